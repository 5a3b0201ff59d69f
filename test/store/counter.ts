import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { openStore } from '../../src/store/open.js';
import { table } from '../../src/store/store.js';

/* Counts one record up, and says in JSON to what: node counter.js URL TIMES */
const [url, times] = process.argv.slice(2);
const clock = new SystemClock((error) => {
  throw error;
});
const store = await openStore(url!, { clock, log: silentLogger });
const counts = table<{ readonly count: number }>('counts');
const reached: number[] = [];
for (let i = 0; i < Number(times); i++) {
  reached.push(
    await store.update(counts, 'one', (current) => {
      const count = (current?.count ?? 0) + 1;
      return { kind: 'put', value: { count }, deadline: count, result: count };
    }),
  );
}
console.log(JSON.stringify(reached));
await store.close();
clock.close();
