import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** A process under load, as {@link killAgainAndAgain} started it. */
export interface Victim {
  readonly process: ChildProcess;
  /** Resolves when everything that the victim had said before its death has been heard. */
  readonly silent: Promise<unknown>;
}

export interface KillOptions {
  readonly times: number;
  /** The kill comes at a random instant up to so many milliseconds after the first acknowledgement. */
  readonly withinMs: number;
  /** Starts the process and its load. It calls `acknowledged` at least once, and as soon as it has been told. */
  readonly start: (acknowledged: () => void) => Victim;
  /** Looks at what is left after each kill. */
  readonly verify: (round: number) => Promise<void>;
}

/** Kills a process with SIGKILL under load, as often as asked, and has what it left verified each time. */
export async function killAgainAndAgain(options: KillOptions): Promise<void> {
  for (let round = 1; round <= options.times; round++) {
    const victim = await new Promise<Victim>((resolve) => {
      const started = options.start(() => resolve(started));
      started.process.once('exit', () => resolve(started));
    });
    const ended =
      victim.process.exitCode === null ? once(victim.process, 'exit') : [victim.process.exitCode, null];
    // real time: the instant must not depend on what the victim does
    await new Promise((resolve) => setTimeout(resolve, Math.random() * options.withinMs));
    victim.process.kill('SIGKILL');
    const [code, signal] = (await ended) as [number | null, string | null];
    if (signal !== 'SIGKILL')
      throw new Error(`round ${round}: the process ended by itself with ${code ?? signal}`);
    await victim.silent;
    await options.verify(round);
  }
}

/**
 * Hears a child that says each acknowledgement in a line on its standard output, written at once.
 * A line that the kill has cut off is not heard.
 */
export function hearLines(child: ChildProcess, onLine: (line: string) => void): Promise<unknown> {
  const output = child.stdout!;
  let rest = '';
  output.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    lines.forEach(onLine);
  });
  return once(output, 'close');
}
