import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { LmdbStore } from '../../../src/store/lmdb/lmdb-store.js';
import { RedisStore } from '../../../src/store/redis/redis-store.js';
import type { Store } from '../../../src/store/store.js';
import { RedisServer } from '../../tools/redis.js';

/** What a test ends, the last first. */
export type Ending = () => Promise<void> | void;

async function lmdb(clock: Clock, endings: Ending[]): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-imps-'));
  const store = new LmdbStore(folder, { clock, log: silentLogger });
  endings.push(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return store;
}

async function redis(clock: Clock, endings: Ending[]): Promise<Store> {
  const server = await RedisServer.start();
  endings.push(() => server.dispose());
  const store = await RedisStore.open([server.url], { clock, log: silentLogger });
  endings.push(() => store.close());
  return store;
}

/** The stores that wait: every read lets something else happen. */
export const realStores = [
  ['LMDB', lmdb],
  ['Redis', redis],
] as const;
