import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { markdown } from '../load-runs.js';
import { cpuSeconds, memory } from '../measure.js';
import { startParley, type ParleyOptions, type RunningParley } from '../servers/parley.js';
import { Crowd } from './crowd.js';

const AT_ONCE = 8;
/** How long ten of a hundred talk. */
const SECONDS = 10;
const PARTICIPANTS = 100;
/** Then the transactions by which the groups were made hold no memory any more (RFC 3261 §17.1.1.2: 64·T1, and a little). */
const TRANSACTIONS_END_MS = 36_000;
/** Octets of the file that goes to a hundred participants. */
const FILE_OCTETS = 4_000_000;

const users = Array.from({ length: PARTICIPANTS }, (_, i) => `u${i}`);

/** What was measured, and the figures. */
type Row = readonly [what: string, figures: string];

/**
 * Group sessions of a Parley on LMDB: groups of five made a second, one group of a hundred in which ten talk and one sends a file, memory
 * of groups that are idle, and groups that all their members join again after SIGKILL. The participants are all in this process.
 * @param idle groups of ten that do nothing; up to a thousand of them are joined again, each when its ten are in. @param made groups of five.
 */
export async function measureGroups(
  { idle, made }: { readonly idle: number; readonly made: number },
  told: (line: string) => void,
): Promise<string> {
  const rows: Row[] = [];
  for (const part of [() => creation(made), talk, file, () => idleAndRestart(idle)])
    for (const row of await part()) {
      told(row.join(': '));
      rows.push(row);
    }
  return markdown(['groups', ''], rows);
}

async function inParallel(
  count: number,
  atOnce: number,
  work: (i: number) => Promise<unknown>,
): Promise<number> {
  const startedAt = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return (performance.now() - startedAt) / 1000;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const some = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => users[(first + i) % users.length]!);

/** What is measured is not how users are limited. */
const MANY = { newPerMinute: 1_000_000 };

async function withParley<T>(
  work: (parley: RunningParley, crowd: Crowd) => Promise<T>,
  options: Pick<ParleyOptions, 'folder' | 'settings'> = { settings: { cpm: { groups: MANY } } },
): Promise<T> {
  const parley = await startParley(options);
  const crowd = await Crowd.open(parley.port);
  try {
    await crowd.register(users);
    return await work(parley, crowd);
  } finally {
    crowd.close();
    await parley.stop();
  }
}

async function creation(made: number): Promise<Row[]> {
  return withParley(async (parley, crowd) => {
    const make = (prefix: string) => (i: number) => {
      const [creator, ...others] = some(i * 5, 5);
      return crowd.create(creator!, others, `${prefix}${i}`);
    };
    await inParallel(50, AT_ONCE, make('warm'));
    const before = cpuSeconds(parley.processes());
    const seconds = await inParallel(made, AT_ONCE, make('g'));
    const cpu = (cpuSeconds(parley.processes()) - before) / made;
    return [
      [
        'groups of 5 made',
        `${(made / seconds).toFixed(0)} a second, ${(cpu * 1000).toFixed(2)} ms CPU each, ${crowd.refused} invitations refused in overload and sent again`,
      ],
    ];
  });
}

async function talk(): Promise<Row[]> {
  return withParley(async (parley, crowd) => {
    const latencies: number[] = [];
    crowd.onText = (text) => {
      const at = /^t=([\d.]+)$/.exec(text)?.[1];
      if (at !== undefined) latencies.push(performance.now() - Number(at));
    };
    await crowd.create(users[0]!, users.slice(1), 'talk');
    await pause(1_000);
    const before = cpuSeconds(parley.processes());
    const startedAt = performance.now();
    let said = 0;
    while (said < SECONDS * 100) {
      crowd.say(users[said % 10]!, `t=${performance.now()}`);
      said++;
      await pause(Math.max(0, startedAt + said * 10 - performance.now()));
    }
    const wanted = said * 99;
    const until = performance.now() + 10_000;
    while (latencies.length < wanted && performance.now() < until) await pause(20);
    const seconds = (performance.now() - startedAt) / 1000;
    const cpu = cpuSeconds(parley.processes()) - before;
    latencies.sort((a, b) => a - b);
    const p = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(1);
    return [
      [
        `${PARTICIPANTS} participants, 10 senders of 10 a second`,
        `${latencies.length} of ${wanted} delivered, ${(latencies.length / seconds).toFixed(0)} a second, ` +
          `p50 ${p(0.5)} ms, p99 ${p(0.99)} ms; ${(latencies.length / cpu).toFixed(0)} a CPU second`,
      ],
    ];
  });
}

/** One file to all participants: how much memory that takes at its peak. */
async function file(): Promise<Row[]> {
  return withParley(async (parley, crowd) => {
    await crowd.create(users[0]!, users.slice(1), 'file');
    let received = 0;
    crowd.onText = (_text, octets) => (received += octets);
    await pause(1_000);
    const before = memory(parley.processes()).total;
    let peak = before;
    crowd.say(users[0]!, 'x'.repeat(FILE_OCTETS));
    const until = performance.now() + 120_000;
    while (received < FILE_OCTETS * (PARTICIPANTS - 1) && performance.now() < until) {
      peak = Math.max(peak, memory(parley.processes()).total);
      await pause(20);
    }
    return [
      [
        `a file of ${FILE_OCTETS / 1e6} MB to ${PARTICIPANTS - 1} participants`,
        `${(received / FILE_OCTETS).toFixed(1)} copies delivered, ${((peak - before) / 1e6).toFixed(0)} MB more memory at the peak`,
      ],
    ];
  });
}

/** Sessions that the server itself counts. */
async function sessionsOf({ api }: RunningParley): Promise<number> {
  const metrics = await (await fetch(new URL('/metrics', api))).text();
  return Number(/^parley_group_sessions (\d+)$/m.exec(metrics)?.[1]);
}

/** It takes longer to make them than a group may be idle, and what is measured is not how a server sheds load. */
const PATIENT = { cpm: { groups: { ...MANY, inactivity: 86_400 } }, sip: { overloadDelay: 60_000 } };

async function idleAndRestart(idle: number): Promise<Row[]> {
  const restarted = Math.min(1_000, idle);
  const rows: Row[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-groups-'));
  const options = { folder, settings: PATIENT };
  const focuses: string[] = [];
  await withParley(async (parley, crowd) => {
    const before = memory(parley.processes());
    const heapBefore = await parley.heap();
    await inParallel(idle, AT_ONCE, async (i) => {
      const [creator, ...others] = some(i * 10, 10);
      focuses[i] = await crowd.create(creator!, others, `idle${i}`);
    });
    await pause(TRANSACTIONS_END_MS);
    const sessions = await sessionsOf(parley);
    if (sessions !== idle * 10) throw new Error(`${sessions} sessions in ${idle} groups of 10`);
    const after = memory(parley.processes());
    const heap = ((await parley.heap()) - heapBefore) / idle / 1024;
    const own = (after.total - after.file - (before.total - before.file)) / idle / 1024;
    rows.push([
      `${idle} idle groups of 10`,
      `${own.toFixed(1)} KiB a group, of which ${heap.toFixed(1)} live heap (${(after.total / 1048576).toFixed(0)} MiB in all)`,
    ]);
    process.kill(parley.processes()[0]!, 'SIGKILL');
  }, options);
  await withParley(async (parley, crowd) => {
    let recovered = 0;
    const seconds = await inParallel(restarted, AT_ONCE, async (i) => {
      for (const user of some(i * 10, 10)) await crowd.join(user, focuses[i]!, `idle${i}`);
      recovered++;
    });
    const sessions = await sessionsOf(parley);
    if (sessions !== recovered * 10) throw new Error(`${sessions} sessions in ${recovered} groups of 10`);
    rows.push([
      `${restarted} groups after SIGKILL`,
      `ready after ${parley.readyAfter.toFixed(0)} ms, all ten of ${recovered} groups in again after ${seconds.toFixed(2)} s`,
    ]);
  }, options);
  await rm(folder, { recursive: true, force: true });
  return rows;
}
