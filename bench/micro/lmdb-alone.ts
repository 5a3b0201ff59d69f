// npx tsc -p bench/micro && node dist/micro/bench/micro/lmdb-alone.js 1000000 100000
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { open } from 'lmdb';

/* What LMDB takes for updates of random records by itself: the package's own batches, and transactions of ours. */
const [records = '1000000', updates = '100000'] = process.argv.slice(2);
const count = Number(records);
const total = Number(updates);
const folder = mkdtempSync(join(tmpdir(), 'parley-lmdb-alone-'));
const value = Buffer.alloc(600, 7);
const keyOf = (i: number): Buffer => Buffer.from(`sip:user${String(i).padStart(7, '0')}@ims.test`);
const encodings = { encoding: 'binary', keyEncoding: 'binary' } as const;
const env = open<Buffer, Buffer>({ path: folder, noSubdir: false, noSync: true, maxDbs: 2, ...encodings });
const db = env.openDB<Buffer, Buffer>({ name: 'users', ...encodings });

for (let i = 0; i < count; i += 10_000) {
  for (let j = i; j < Math.min(count, i + 10_000); j++) void db.put(keyOf((j * 7919) % count), value);
  await db.committed;
}

const random = (): Buffer => keyOf(Math.floor(Math.random() * count));
async function measure(what: string, work: (n: number) => Promise<void>): Promise<void> {
  await work(total / 10);
  const before = process.cpuUsage();
  const since = performance.now();
  await work(total);
  const { user, system } = process.cpuUsage(before);
  const rate = Math.round((total / (performance.now() - since)) * 1000);
  console.log(
    `${what.padEnd(50)} ${String(rate).padStart(8)} /s ${((user + system) / total).toFixed(2).padStart(8)} µs CPU`,
  );
}

for (const width of [1, 32, 1000]) {
  await measure(`put, ${width} in flight`, async (n) => {
    let run = 0;
    const one = async (): Promise<void> => {
      while (run++ < n) await db.put(random(), value);
    };
    await Promise.all(Array.from({ length: width }, one));
  });
  await measure(`transactionSync of ${width}, one a turn`, async (n) => {
    for (let i = 0; i < n; i += width) {
      env.transactionSync(() => {
        for (let j = 0; j < width; j++) db.putSync(random(), value);
      });
      await turn();
    }
  });
}
await env.close();
rmSync(folder, { recursive: true });
