import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { LmdbStore } from '../../src/store/lmdb/lmdb-store.js';
import { table } from '../../src/store/store.js';

/* Puts records of 10 kB until one is refused, and says in JSON how many were acknowledged and what the store says. */
const clock = new SystemClock((error) => {
  throw error;
});
const store = new LmdbStore(process.argv[2]!, { clock, log: silentLogger });
const notes = table<{ readonly octets: Uint8Array }>('notes');
let acknowledged = 0;
let code = '';
while (code === '') {
  const key = `k${String(acknowledged).padStart(5, '0')}`;
  const value = { octets: new Uint8Array(10_000) };
  await store
    .update(notes, key, () => ({ kind: 'put', value, deadline: 1000, result: undefined }))
    .then(
      () => acknowledged++,
      (error: unknown) => (code = (error as { code: string }).code),
    );
}
console.log(JSON.stringify({ acknowledged, code, trouble: store.trouble() }));
await store.close();
clock.close();
