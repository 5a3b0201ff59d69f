// npx tsc -p bench && node dist/bench/groups/run.js [groups]
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeMachine } from '../machine.js';
import { cpuSeconds, memory } from '../measure.js';
import { startParley, type RunningParley } from '../servers/parley.js';
import { Crowd } from './crowd.js';

/*
 * Group sessions of a Parley on LMDB: groups of five made a second, one group of a hundred in which ten talk, memory of groups that are
 * idle, and groups that are joined again after SIGKILL. The participants are all in this process.
 */
const idle = Number(process.argv[2] ?? 1_000);
const MADE = 300;
const AT_ONCE = 8;
const RESTARTED = Math.min(1_000, idle);
const SECONDS = 10;

const users = Array.from({ length: 100 }, (_, i) => `u${i}`);
const print = (line: string): boolean => process.stdout.write(`${line}\n`);

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

const some = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => users[(first + i) % users.length]!);

async function withParley<T>(
  work: (parley: RunningParley, crowd: Crowd) => Promise<T>,
  folder?: string,
): Promise<T> {
  const parley = await startParley(folder === undefined ? {} : { folder });
  const crowd = await Crowd.open(parley.port);
  try {
    await crowd.register(users);
    return await work(parley, crowd);
  } finally {
    crowd.close();
    await parley.stop();
  }
}

async function creation(): Promise<void> {
  await withParley(async (parley, crowd) => {
    const make = (prefix: string) => (i: number) => {
      const [creator, ...others] = some(i * 5, 5);
      return crowd.create(creator!, others, `${prefix}${i}`);
    };
    await inParallel(50, AT_ONCE, make('warm'));
    const before = cpuSeconds(parley.processes());
    const seconds = await inParallel(MADE, AT_ONCE, make('g'));
    const cpu = (cpuSeconds(parley.processes()) - before) / MADE;
    print(
      `| groups of 5 made | ${(MADE / seconds).toFixed(0)} a second, ${(cpu * 1000).toFixed(2)} ms CPU each |`,
    );
  });
}

async function talk(): Promise<void> {
  await withParley(async (parley, crowd) => {
    const latencies: number[] = [];
    crowd.onText = (text) => {
      const at = /^t=([\d.]+)$/.exec(text)?.[1];
      if (at !== undefined) latencies.push(performance.now() - Number(at));
    };
    await crowd.create(users[0]!, users.slice(1), 'talk');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const before = cpuSeconds(parley.processes());
    const startedAt = performance.now();
    let said = 0;
    while (said < SECONDS * 100) {
      crowd.say(users[said % 10]!, `t=${performance.now()}`);
      said++;
      await new Promise((resolve) =>
        setTimeout(resolve, Math.max(0, startedAt + said * 10 - performance.now())),
      );
    }
    const wanted = said * 99;
    const until = performance.now() + 10_000;
    while (latencies.length < wanted && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const seconds = (performance.now() - startedAt) / 1000;
    const cpu = cpuSeconds(parley.processes()) - before;
    latencies.sort((a, b) => a - b);
    const p = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(1);
    print(
      `| 100 participants, 10 senders of 10 a second | ${latencies.length} of ${wanted} delivered, ` +
        `${(latencies.length / seconds).toFixed(0)} a second, p50 ${p(0.5)} ms, p99 ${p(0.99)} ms; ` +
        `${(latencies.length / cpu).toFixed(0)} a CPU second |`,
    );
  });
}

async function idleAndRestart(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-groups-'));
  const focuses: string[] = [];
  await withParley(async (parley, crowd) => {
    const before = memory(parley.processes());
    await inParallel(idle, AT_ONCE, async (i) => {
      const [creator, ...others] = some(i * 10, 10);
      focuses[i] = await crowd.create(creator!, others, `idle${i}`);
    });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const after = memory(parley.processes());
    const own = (after.total - after.file - (before.total - before.file)) / idle / 1024;
    print(
      `| ${idle} idle groups of 10 | ${own.toFixed(1)} KiB a group (${(after.total / 1048576).toFixed(0)} MiB in all) |`,
    );
    process.kill(parley.processes()[0]!, 'SIGKILL');
  }, folder);
  await withParley(async (parley, crowd) => {
    const seconds = await inParallel(RESTARTED, AT_ONCE, (i) =>
      crowd.join(some(i * 10, 1)[0]!, focuses[i]!, `idle${i}`),
    );
    print(
      `| ${RESTARTED} groups after SIGKILL | ready after ${parley.readyAfter.toFixed(0)} ms, all joined again in ${seconds.toFixed(2)} s |`,
    );
  }, folder);
  await rm(folder, { recursive: true, force: true });
}

print(`${describeMachine()}\n\n| groups | |\n| --- | --- |`);
await creation();
await talk();
await idleAndRestart();
