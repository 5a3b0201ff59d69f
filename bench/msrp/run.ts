import { cpuSeconds, median } from '../measure.js';
import { Pair } from './pair.js';
import { startKamailioRelay, startParleyRelay, type RunningRelay } from './servers.js';

/** Its msrp module takes frames of 10 KiB at most, and says nothing to longer ones. */
const KAMAILIO_OCTETS = 8192;

/** Messages until the code of a relay in JavaScript is compiled; before, one costs more than twice as much. */
const WARM_UP = 30_000;

interface Load {
  readonly title: string;
  readonly messages: number;
  readonly octets: number;
  /** Messages under way. */
  readonly window: number;
}

interface Figures {
  readonly perSecond: number;
  readonly megabytes: number;
  /** Microseconds of CPU a message. */
  readonly cpu: number;
}

async function measure(relay: RunningRelay, { messages, octets, window }: Load): Promise<Figures> {
  const pair = await Pair.open(relay);
  try {
    await pair.run(Math.max(WARM_UP, Math.ceil(messages / 10)), octets, window);
    const before = cpuSeconds(relay.processes());
    const ms = await pair.run(messages, octets, window);
    const cpu = cpuSeconds(relay.processes()) - before;
    const perSecond = (messages / ms) * 1000;
    return { perSecond, megabytes: (perSecond * octets) / 1e6, cpu: (cpu / messages) * 1e6 };
  } finally {
    pair.close();
  }
}

/**
 * SENDs through a relay to one peer, which answers each: Parley and Kamailio one after the other, `rounds` times.
 * @returns a table of medians.
 */
export async function measureMsrp(
  messages: number,
  rounds: number,
  without: ReadonlySet<string>,
  told: (line: string) => unknown,
): Promise<string> {
  const loads: Load[] = [
    { title: '200 octets', messages, octets: 200, window: 256 },
    { title: '8 KiB', messages: Math.ceil(messages / 5), octets: 8192, window: 64 },
    { title: '64 KiB', messages: Math.ceil(messages / 20), octets: 65_536, window: 16 },
  ];
  const starters = { kamailio: startKamailioRelay, parley: startParleyRelay };
  const rows = ['| message | relay | messages/s | MB/s | CPU µs a message |', '|---|---|--:|--:|--:|'];
  for (const load of loads) {
    const found = new Map<string, Figures[]>();
    for (let round = 0; round < rounds; round++) {
      for (const [key, start] of Object.entries(starters)) {
        if (without.has(key) || (key === 'kamailio' && load.octets > KAMAILIO_OCTETS)) continue;
        const relay = await start();
        const figures = await measure(relay, load);
        await relay.stop();
        told(`${load.title} ${relay.name}: ${Math.round(figures.perSecond)}/s, ${figures.cpu.toFixed(1)} µs`);
        found.set(relay.name, [...(found.get(relay.name) ?? []), figures]);
      }
    }
    for (const [name, all] of found) {
      const of = (pick: (figures: Figures) => number): number => median(all.map(pick));
      const [rate, megabytes, cpu] = [of((f) => f.perSecond), of((f) => f.megabytes), of((f) => f.cpu)];
      rows.push(
        `| ${load.title} | ${name} | ${Math.round(rate)} | ${megabytes.toFixed(1)} | ${cpu.toFixed(1)} |`,
      );
    }
  }
  return rows.join('\n');
}
