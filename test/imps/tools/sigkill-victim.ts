import { writeSync } from 'node:fs';
import { SystemClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import type { UserId } from '../../../src/imps/address/wv-address.js';
import { createImpsServer } from '../../../src/imps/server.js';
import { LmdbStore } from '../../../src/store/lmdb/lmdb-store.js';
import { RedisStore } from '../../../src/store/redis/redis-store.js';

/* An IMPS server on a store in a folder or in Redis, until it is killed. It says where it listens: `url http://…`. */
const fail = (error: unknown): never => {
  throw error;
};
const clock = new SystemClock(fail);
const place = process.argv[2]!;
const options = { clock, log: silentLogger };
const store = place.startsWith('redis:')
  ? await RedisStore.open([place], options)
  : new LmdbStore(place, options);
const server = createImpsServer({
  store,
  clock,
  trail: new MemoryTrail(() => clock.now()),
  log: silentLogger,
  config: { listen: '127.0.0.1:0', cirListen: '127.0.0.1:0', login: { sessionsPerUser: 1000 } },
});
for (const name of ['alice', 'bob']) {
  const user = `wv:${name}@ims.test` as UserId;
  await server.users.create({ user, password: `${name}-secret`, state: 'active', createdAt: 0 });
}
const { http } = await server.start();
writeSync(1, `url ${http}\n`);
// timers of the clock do not keep a process alive, and the listener is meant to
