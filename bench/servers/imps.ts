import { writeSync } from 'node:fs';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import type { UserId } from '../../src/imps/address/wv-address.js';
import { createImpsServer } from '../../src/imps/server.js';
import { LmdbStore } from '../../src/store/lmdb/lmdb-store.js';

/* An IMPS server on LMDB with as many users as asked: `node imps.js FOLDER USERS`. Says `imps http://… CIR-PORT`. */
const clock = new SystemClock((error) => {
  throw error;
});
const server = createImpsServer({
  store: new LmdbStore(process.argv[2]!, { clock, log: silentLogger }),
  clock,
  trail: new MemoryTrail(() => clock.now()),
  log: silentLogger,
  config: { listen: '127.0.0.1:0', cirListen: '127.0.0.1:0' },
});
const count = Number(process.argv[3]);
for (let from = 0; from < count; from += 1000) {
  await Promise.all(
    Array.from({ length: Math.min(1000, count - from) }, (_, index) => {
      const user = `wv:user${from + index}@ims.test` as UserId;
      return server.users.create({ user, password: 'secret', state: 'active', createdAt: 0 });
    }),
  );
}
const { http, cirPort } = await server.start();
writeSync(1, `imps ${http} ${cirPort}\n`);
