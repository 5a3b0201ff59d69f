import { prepareLoad, type LoadOptions } from '../src/cli/load.js';
import { cpuSeconds, median } from './measure.js';
import type { RunningServer } from './servers/server.js';

/** What one run of a scenario cost one server. */
export interface Sample {
  /** Successful calls a second. */
  readonly rate: number;
  /** Microseconds of CPU, user and system, for each successful call. */
  readonly cpu: number;
  /** Share of one core that the server used: near 1 means that it, not SIPp, set the rate. */
  readonly busy: number;
  readonly failed: number;
  readonly retransmissions: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly firstError: string | undefined;
}

export interface Contender {
  readonly name: string;
  readonly start: () => Promise<RunningServer>;
}

export type Work = Pick<LoadOptions, 'scenario' | 'users' | 'rate' | 'calls'> & {
  /** Calls made before the counting starts: caches fill, the compiler does its work. */
  readonly warmUp: number;
  /** Each node's SIPp has its own `users`; else all have the same. */
  readonly ownUsers?: boolean;
};

/** Starts each contender anew in each round, one after the other, so that what else the machine does meets them all. */
export async function alternate(
  contenders: readonly Contender[],
  work: Work,
  rounds: number,
  told: (line: string) => void,
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const { name, start } of contenders) {
      const server = await start();
      try {
        const sample = await measure(server, work);
        samples.get(name)?.push(sample);
        told(
          `${work.scenario} at ${work.rate || 'saturation'}, round ${round}: ${name}: ` +
            `${sample.rate.toFixed(0)}/s, ${sample.cpu.toFixed(1)} µs, ${sample.failed} failed` +
            (sample.failed > 0 ? ` ${JSON.stringify(sample.failures)} ${sample.firstError}` : ''),
        );
      } finally {
        await server.stop();
      }
    }
  }
  return samples;
}

async function measure(server: RunningServer, work: Work): Promise<Sample> {
  const { warmUp, calls } = work;
  await underLoad(server, { ...work, calls: warmUp, rate: 0 }, (run) => run());
  return underLoad(server, { ...work, calls }, async (run) => {
    const processes = server.processes();
    const before = cpuSeconds(processes);
    const results = await run();
    const used = cpuSeconds(processes) - before;
    const sum = (of: (result: LoadResult) => number): number =>
      results.reduce((total, result) => total + of(result), 0);
    return {
      rate: sum(({ rate }) => rate),
      cpu: (used / sum(({ successful }) => successful)) * 1e6,
      busy: used / Math.max(...results.map(({ seconds }) => seconds)),
      failed: sum(({ failed }) => failed),
      retransmissions: sum(({ retransmissions }) => retransmissions),
      failures: Object.assign({}, ...results.map(({ failures }) => failures)) as Record<string, number>,
      firstError: results.find(({ firstError }) => firstError !== undefined)?.firstError,
    };
  });
}

type LoadResult = Awaited<ReturnType<Awaited<ReturnType<typeof prepareLoad>>['run']>>;

/** Prepares a SIPp for each node, all with so many calls; `use` gets what runs them all at once. */
async function underLoad<T>(
  server: RunningServer,
  { scenario, users, calls, rate, ownUsers = false }: Omit<Work, 'warmUp'>,
  use: (run: () => Promise<LoadResult[]>) => Promise<T>,
): Promise<T> {
  const ports = [server.port, ...(server.others ?? [])];
  const loads: Awaited<ReturnType<typeof prepareLoad>>[] = [];
  try {
    for (const [node, port] of ports.entries()) {
      // as many calls a node, so that each is as warm as a single one
      const share = { calls, rate: rate / ports.length };
      // a scenario with two sides makes up twice as many
      const firstUser = ownUsers && typeof users === 'number' ? 1 + 2 * node * users : 1;
      loads.push(await prepareLoad({ scenario, users, firstUser, target: `127.0.0.1:${port}`, ...share }));
    }
    return await use(() => Promise.all(loads.map((load) => load.run())));
  } finally {
    for (const load of loads) await load.close();
  }
}

/** One line of a table for each contender; ratios are to the first. */
export function table(samples: ReadonlyMap<string, readonly Sample[]>): string {
  const baseline = median([...samples.values()][0]!.map(({ cpu }) => cpu));
  const rows = [...samples].map(([name, of]) => {
    const cpu = of.map((sample) => sample.cpu);
    const sum = (field: 'failed' | 'retransmissions'): number =>
      of.reduce((total, one) => total + one[field], 0);
    return [
      name,
      median(of.map(({ rate }) => rate)).toFixed(0),
      median(cpu).toFixed(1),
      Math.min(...cpu).toFixed(1),
      (median(cpu) / baseline).toFixed(2),
      `${(100 * median(of.map(({ busy }) => busy))).toFixed(0)} %`,
      `${sum('failed')} / ${sum('retransmissions')}`,
    ];
  });
  return markdown(
    ['server', 'calls/s', 'CPU µs a call, median', 'min', 'ratio', 'of one core', 'failed / retransmitted'],
    rows,
  );
}

export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join(
    '\n',
  );
}
