import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { element } from '../../../src/imps/codec/element.js';
import { LmdbStore } from '../../../src/store/lmdb/lmdb-store.js';
import { RedisStore } from '../../../src/store/redis/redis-store.js';
import type { Store } from '../../../src/store/store.js';
import { missing } from '../../tools/install.js';
import { RedisServer } from '../../tools/redis.js';
import { codeOf, message } from '../tools/phone.js';
import { userId, worldOn } from '../tools/world.js';

const endings: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function lmdb(clock: VirtualClock): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-imps-'));
  const store = new LmdbStore(folder, { clock, log: silentLogger });
  endings.push(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return store;
}

async function redis(clock: VirtualClock): Promise<Store> {
  const server = await RedisServer.start();
  endings.push(() => server.dispose());
  const store = await RedisStore.open([server.url], { clock, log: silentLogger });
  endings.push(() => store.close());
  return store;
}

describe.skipIf(missing('redis-server'))('a session and what waits in it', () => {
  it.each([
    ['LMDB', lmdb],
    ['Redis', redis],
  ] as const)('are still there after a restart on %s', async (_name, open) => {
    const clock = new VirtualClock();
    const store = await open(clock);
    let here = await worldOn(store, clock);
    const alice = await here.phone('alice').start();
    const bob = await here.phone('bob').start();
    expect(codeOf(await bob.request(message('before', [userId('alice')])))).toBe(200);
    await here.close();

    here = await worldOn(store, clock);
    endings.push(() => here.close());
    const again = here.phone('alice');
    again.sessionId = alice.sessionId;
    expect(await again.messages()).toEqual(['before']);
    expect(codeOf(await again.request(element('KeepAlive-Request')))).toBe(200);
    const second = await here.phone('bob', { clientId: 'wv:other' }).start();
    await second.request(message('after', [userId('alice')]));
    expect(await again.messages()).toEqual(['after']);
    // the same octets would be the login that made the session, repeated
    const other = here.phone('alice');
    other.nextTransaction();
    expect(codeOf(await other.login2())).toBe(603);
    expect(here.errors).toEqual([]);
  });
});
