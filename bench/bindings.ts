import { mkdtemp, rm } from 'node:fs/promises';
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runLoad } from '../src/cli/load.js';
import { markdown } from './load-runs.js';
import { memory, type Memory } from './measure.js';
import { startKamailio } from './servers/kamailio.js';
import { startParley } from './servers/parley.js';
import type { RunningServer } from './servers/server.js';

/** Milliseconds without a request before memory is read: Node.js gives back what it can when it is idle. */
const SETTLE_MS = 20_000;
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

/** Registers `bindings` users with one device each, and tells what that takes in memory and, for Parley, at start. */
export async function measureBindings(
  bindings: number,
  { withKamailio, told }: { readonly withKamailio: boolean; readonly told: (line: string) => unknown },
): Promise<string> {
  const fill = async (server: RunningServer): Promise<void> => {
    const target = `127.0.0.1:${server.port}`;
    const { successful, failures, firstError, rate } = await runLoad({
      ...{ scenario: 'register', target, users: bindings, calls: bindings, rate: 0 },
      onProgress: (counters) => told(`${server.name}: ${counters.successful} of ${bindings} registered`),
    });
    told(`${server.name}: ${successful} of ${bindings} registered at ${rate.toFixed(0)}/s`);
    if (successful < bindings) told(`${JSON.stringify(failures)}: ${firstError}`);
    // a server that sheds load on a busy machine refuses some: a few less do not change the figures
    if (successful < bindings * 0.95)
      throw new Error(`${server.name} took ${successful} of ${bindings} bindings`);
  };
  const row = (name: string, before: Memory, after: Memory, more: string): string[] => [
    name,
    megabytes(before.total - before.file),
    megabytes(after.total - after.file),
    `${((after.total - after.file - before.total + before.file) / bindings).toFixed(0)} B`,
    megabytes(after.file),
    more,
  ];

  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'));
  const rows: string[][] = [];
  const table = (): string =>
    markdown(['server', 'empty', `with ${bindings} bindings`, 'a binding', 'pages of files', ''], rows);
  try {
    const empty = await startParley({ folder });
    const before = memory(empty.processes());
    await fill(empty);
    const filled = memory(empty.processes());
    const onDisk = statSync(join(folder, 'data', 'data.mdb')).size;
    rows.push(row('Parley, after they registered', before, filled, `${megabytes(onDisk)} on disk`));
    await settle();
    rows.push(row('Parley, idle after that', before, memory(empty.processes()), ''));
    await empty.stop();

    const again = await startParley({ folder });
    const after = memory(again.processes());
    rows.push(
      row('Parley, started again', before, after, `ready after ${(again.readyAfter / 1000).toFixed(2)} s`),
    );
    await fill(again);
    await settle();
    rows.push(row('Parley, all refreshed after that', before, memory(again.processes()), ''));
    await again.stop();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }

  if (!withKamailio) return table();
  const kamailio = await startKamailio({ sharedMemory: Math.ceil(256 + (bindings * 4096) / 1e6) });
  try {
    const before = memory(kamailio.processes());
    await fill(kamailio);
    rows.push(row('Kamailio', before, memory(kamailio.processes()), 'in memory only'));
  } finally {
    await kamailio.stop();
  }
  return table();
}
