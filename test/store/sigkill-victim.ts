import { writeSync } from 'node:fs';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { LmdbStore } from '../../src/store/lmdb/lmdb-store.js';
import type { LmdbOptions } from '../../src/store/lmdb/options.js';
import { table } from '../../src/store/store.js';

/*
 * Updates a store without end, and says on its standard output what it is about to do and what was acknowledged:
 * `try KEY COUNT DEADLINE` and `ok KEY`; a COUNT of 0 means that the record is removed, a DEADLINE of - none.
 * Each key has one update at a time, but for `shared`, which all workers count up: `shared COUNT`.
 */
export interface Count {
  readonly count: number;
  readonly padding: string;
}
export const counts = table<Count>('counts');
export const shared = table<Count>('shared');

const workers = 16;
const keysOfWorker = 12;

async function main(folder: string, options: Partial<LmdbOptions>): Promise<void> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const store = new LmdbStore(folder, { clock, log: silentLogger }, options);
  let last = Date.now();
  const random = (below: number): number => Math.floor(Math.random() * below);
  const work = async (worker: number): Promise<never> => {
    for (;;) {
      const key = `worker${worker}-${random(keysOfWorker)}`;
      const count = random(5) === 0 ? 0 : ++last;
      const deadline = count === 0 || random(4) === 0 ? undefined : 1 + random(1_000_000);
      const padding = 'x'.repeat(random(random(10) === 0 ? 20_000 : 600));
      writeSync(1, `try ${key} ${count} ${deadline ?? '-'}\n`);
      await store.update(counts, key, () =>
        count === 0
          ? { kind: 'remove', result: undefined }
          : { kind: 'put', value: { count, padding }, deadline, result: undefined },
      );
      writeSync(1, `ok ${key}\n`);
      const total = await store.update(shared, 'total', (current) => {
        const next = (current?.count ?? 0) + 1;
        return { kind: 'put', value: { count: next, padding }, deadline: next, result: next };
      });
      writeSync(1, `shared ${total}\n`);
    }
  };
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)));
}

const [folder, options] = process.argv.slice(2);
if (import.meta.url === `file://${process.argv[1]}`)
  await main(folder!, JSON.parse(options!) as Partial<LmdbOptions>);
