/**
 * Runs `work` for about a second after a warm-up and prints the CPU time that one run of it takes, garbage collection
 * included: the median of five rounds, so that other load on the machine disturbs little.
 * @param work gets a number that grows by one with each run.
 */
export function measure(name: string, work: (run: number) => unknown): void {
  let run = 0;
  let kept: unknown;
  const round = (ms: number): number => {
    const first = run;
    const before = process.cpuUsage();
    for (;;) {
      for (let i = 0; i < 2000; i++) kept = work(run++);
      const { user, system } = process.cpuUsage(before);
      if (user + system >= ms * 1000) return (user + system) / (run - first);
    }
  };
  round(300);
  const rounds = Array.from({ length: 5 }, () => round(200)).sort((a, b) => a - b);
  console.log(`${name.padEnd(60)} ${rounds[2]!.toFixed(2).padStart(8)} µs`);
  // reading the last result keeps the work from being optimised away
  if (kept === measure) throw new Error('unreachable');
}
