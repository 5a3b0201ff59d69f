import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it as test } from 'vitest';
import { SystemClock } from '../../src/base/clock.js';
import type { Logger } from '../../src/base/log.js';
import { openStore } from '../../src/store/open.js';
import { table, type Store } from '../../src/store/store.js';
import { missing } from '../tools/install.js';
import { addReplica, clusterWorks, RedisServer, startCluster } from '../tools/redis.js';
import { runningTime } from '../tools/running-time.js';
import { TcpProxy } from '../tools/tcp-proxy.js';
import { until } from '../tools/until.js';

interface Note {
  readonly count: number;
  readonly padding?: string;
}
const notes = table<Note>('notes');
const unavailable = { code: 'store-unavailable' };

/** Keeps what was logged at level error. */
class ErrorLog implements Logger {
  readonly errors: string[] = [];
  trace(): void {}
  debug(): void {}
  info(): void {}
  warn(): void {}
  error(fields: object, message = ''): void {
    this.errors.push(`${message} ${JSON.stringify(fields)}`);
  }
  isLevelEnabled = (): boolean => true;
  child = (): Logger => this;
}

/** What one test opens; the tests run beside one another, since what they do most is wait for Redis. */
class Site {
  readonly #ends: (() => unknown)[] = [];

  async open(url: string): Promise<{ store: Store; log: ErrorLog }> {
    const clock = new SystemClock((error) => {
      throw error;
    });
    const log = new ErrorLog();
    const store = await openStore(url, { clock, log });
    this.#ends.push(async () => {
      await store.close();
      clock.close();
    });
    return { store, log };
  }

  async redis(...more: string[]): Promise<RedisServer> {
    return this.#owns(await RedisServer.start(...more));
  }

  async cluster(masters: number, ...more: string[]): Promise<RedisServer[]> {
    return (await startCluster(masters, ...more)).map((node) => this.#owns(node));
  }

  async replica(master: RedisServer, ...more: string[]): Promise<RedisServer> {
    return this.#owns(await addReplica(master, ...more));
  }

  async proxy(target: number): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(target);
    this.#ends.push(() => proxy.close());
    return proxy;
  }

  async close(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }

  #owns(server: RedisServer): RedisServer {
    this.#ends.push(() => server.dispose());
    return server;
  }
}

const it = test.extend<{ site: Site }>({
  site: async ({ task: _ }, use) => {
    const site = new Site();
    await use(site);
    await site.close();
  },
});

const put = (store: Store, key: string, count: number, padding?: string): Promise<void> =>
  store.update(notes, key, () => ({
    kind: 'put',
    value: padding === undefined ? { count } : { count, padding },
    deadline: 1000,
    result: undefined,
  }));

/** Tries an update until it is acknowledged. @returns milliseconds until then. */
async function recovered(store: Store, key: string): Promise<number> {
  const passed = runningTime();
  for (;;) {
    try {
      await put(store, key, 0);
      return passed();
    } catch (error) {
      expect(error).toMatchObject(unavailable);
      await delay(20);
    }
  }
}

const remove = (store: Store, key: string): Promise<void> =>
  store.update(notes, key, () => ({ kind: 'remove', result: undefined }));

/** Waits until the store says by itself that it works. @returns milliseconds until then. */
async function untroubled(store: Store): Promise<number> {
  const passed = runningTime();
  await until(() => store.trouble() === undefined);
  return passed();
}

/** Waits until a replica has all that its master has. */
async function follows(replica: RedisServer, master: RedisServer): Promise<void> {
  await until(async () => (await replica.cli('INFO', 'replication')).includes('master_link_status:up'));
  await until(async () => (await replica.cli('DBSIZE')) === (await master.cli('DBSIZE')));
}

describe.skipIf(missing('redis-server')).concurrent('a store whose Redis', () => {
  it('is not there at the start opens with trouble, and works within 5 s of its coming', async ({ site }) => {
    const redis = await site.redis();
    await redis.kill();
    const { store } = await site.open(redis.url);
    expect(store.trouble()).toMatch(/^redis: /);
    await expect(put(store, 'a', 1)).rejects.toMatchObject(unavailable);
    await expect(store.get(notes, 'a')).rejects.toMatchObject(unavailable);
    const heard: string[] = [];
    store.subscribe('news', (payload) => heard.push(payload));
    await redis.start();
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
    // the subscription was made up for
    const { store: other } = await site.open(redis.url);
    while (heard.length === 0) {
      await other.publish('news', 'hello');
      await delay(20);
    }
    expect(heard[0]).toBe('hello');
  });

  it('stops refuses updates at once, and works within 5 s of its coming back empty, which the log says', async ({
    site,
  }) => {
    const redis = await site.redis();
    const { store, log } = await site.open(redis.url);
    await put(store, 'a', 1);
    await redis.kill();
    await expect(put(store, 'a', 2)).rejects.toMatchObject(unavailable);
    const passed = runningTime();
    await expect(put(store, 'b', 2)).rejects.toMatchObject(unavailable);
    expect(passed()).toBeLessThan(1500);
    expect(store.trouble()).toMatch(/^redis: /);
    await redis.start();
    expect(await recovered(store, 'b')).toBeLessThan(5000);
    await untroubled(store);
    expect(await store.get(notes, 'a')).toBeUndefined();
    expect(log.errors.join('\n')).toMatch(/came back empty/);
  });

  it('is paused makes callers wait 2 s, then refuses at once, and works within 5 s of going on', async ({
    site,
  }) => {
    const redis = await site.redis();
    const { store, log } = await site.open(redis.url);
    await put(store, 'a', 1);
    redis.signal('SIGSTOP');
    const since = performance.now();
    await expect(put(store, 'a', 2)).rejects.toMatchObject(unavailable);
    expect(performance.now() - since).toBeGreaterThan(1900);
    expect(store.trouble()).toMatch(/no answer within 2000 ms/);
    const passed = runningTime();
    await expect(put(store, 'a', 3)).rejects.toMatchObject(unavailable);
    expect(passed()).toBeLessThan(1500);
    redis.signal('SIGCONT');
    expect(await untroubled(store)).toBeLessThan(5000);
    // the first update was sent and may have been done; the second never was
    const count = (await store.get(notes, 'a'))?.count;
    expect([1, 2]).toContain(count);
    expect(await store.update(notes, 'a', (now) => ({ kind: 'keep', result: now?.count }))).toBe(count);
    expect(log.errors.join('\n')).not.toMatch(/lost updates|came back empty/);
  });

  it('is paused for longer than a connection may be silent works within 5 s of going on', async ({
    site,
  }) => {
    const redis = await site.redis();
    const proxy = await site.proxy(redis.port);
    const { store } = await site.open(`redis://127.0.0.1:${proxy.port}`);
    await put(store, 'a', 1);
    const { connections } = proxy;
    redis.signal('SIGSTOP');
    // connections that were silent for too long are given up
    await until(() => proxy.connections > connections);
    await expect(put(store, 'a', 2)).rejects.toMatchObject(unavailable);
    expect(store.trouble()).toMatch(/^redis: /);
    redis.signal('SIGCONT');
    expect(await recovered(store, 'b')).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
    expect([1, 2]).toContain((await store.get(notes, 'a'))?.count);
  });

  it('is 200 ms away is slow, and no more', async ({ site }) => {
    const redis = await site.redis();
    const proxy = await site.proxy(redis.port);
    const { store } = await site.open(`redis://127.0.0.1:${proxy.port}`);
    proxy.delayMs = 200;
    await Promise.all(Array.from({ length: 500 }, (_, i) => put(store, `k${i}`, i)));
    expect(store.trouble()).toBeUndefined();
    expect((await store.get(notes, 'k499'))?.count).toBe(499);
  });

  it('is out of memory refuses puts and takes removals, reads go on, and puts within 5 s of there being more', async ({
    site,
  }) => {
    const redis = await site.redis('--maxmemory', '8mb', '--maxmemory-policy', 'noeviction');
    const { store } = await site.open(redis.url);
    const acknowledged: string[] = [];
    for (let i = 0; ; i++) {
      try {
        await put(store, `k${i}`, i, 'x'.repeat(20_000));
      } catch (error) {
        expect(error).toMatchObject(unavailable);
        expect((error as Error).message).toMatch(/OOM/);
        break;
      }
      acknowledged.push(`k${i}`);
    }
    expect(acknowledged.length).toBeGreaterThan(20);
    expect(store.trouble()).toMatch(/OOM/);
    for (const [i, key] of acknowledged.entries()) expect((await store.get(notes, key))?.count).toBe(i);
    await store.update(notes, 'k0', () => ({ kind: 'remove', result: undefined }));
    expect(await store.get(notes, 'k0')).toBeUndefined();
    await redis.cli('CONFIG', 'SET', 'maxmemory', '100mb');
    expect(await untroubled(store)).toBeLessThan(5000);
    await put(store, 'after', 1);
    expect(await store.due(notes, 1000, 10_000)).toHaveLength(acknowledged.length);
  });

  it('fails over to a replica that has everything works within 5 s, with everything', async ({ site }) => {
    const master = await site.redis();
    const replica = await site.redis('--replicaof', `127.0.0.1 ${master.port}`);
    const proxy = await site.proxy(master.port);
    const { store, log } = await site.open(`redis://127.0.0.1:${proxy.port}`);
    for (let i = 0; i < 50; i++) await put(store, `k${i}`, i);
    await follows(replica, master);
    await master.kill();
    proxy.retarget(replica.port);
    // it is a replica still, and takes no writes
    await expect(put(store, 'a', 1)).rejects.toMatchObject(unavailable);
    await replica.cli('REPLICAOF', 'NO', 'ONE');
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
    for (let i = 0; i < 50; i++) expect((await store.get(notes, `k${i}`))?.count).toBe(i);
    expect(log.errors.join('\n')).not.toMatch(/lost updates|came back empty/);
  });

  it('changes places with its replica, and lives, is left for the new master within 5 s', async ({
    site,
  }) => {
    const master = await site.redis();
    const replica = await site.redis('--replicaof', `127.0.0.1 ${master.port}`);
    const proxy = await site.proxy(master.port);
    const { store, log } = await site.open(`redis://127.0.0.1:${proxy.port}`);
    await put(store, 'before', 1);
    await follows(replica, master);
    const heard: string[] = [];
    store.subscribe('news', (payload) => heard.push(payload));
    await replica.cli('REPLICAOF', 'NO', 'ONE');
    await master.cli('REPLICAOF', '127.0.0.1', String(replica.port));
    // as with an address that moves: connections that are there stay
    proxy.lead(replica.port);
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
    expect((await store.get(notes, 'before'))?.count).toBe(1);
    expect(await replica.cli('KEYS', '*:notes:r:a')).not.toBe('');
    expect(log.errors.join('\n')).not.toMatch(/lost updates|came back empty/);
    const { store: other } = await site.open(replica.url);
    while (heard.length === 0) {
      await other.publish('news', 'hello');
      await delay(20);
    }
  });

  it('fails over to a replica that lags says in the log how much it lost', async ({ site }) => {
    const master = await site.redis();
    const replica = await site.redis('--replicaof', `127.0.0.1 ${master.port}`);
    const proxy = await site.proxy(master.port);
    const { store, log } = await site.open(`redis://127.0.0.1:${proxy.port}`);
    await put(store, 'old', 1);
    await follows(replica, master);
    await replica.cli('REPLICAOF', 'NO', 'ONE');
    await put(store, 'old', 2);
    await put(store, 'new', 1);
    await master.kill();
    proxy.retarget(replica.port);
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    await until(() => log.errors.some((line) => line.includes('lost updates')));
    expect(log.errors.find((line) => line.includes('lost updates'))).toContain('"records":2');
    expect((await store.get(notes, 'old'))?.count).toBe(1);
  });
});

describe.skipIf(missing('redis-server')).concurrent('removals that were acknowledged', () => {
  const said = (log: ErrorLog): string | undefined =>
    log.errors.find((line) => line.includes('lost updates'));

  it('and that the replica does not have which takes over are counted in the log', async ({ site }) => {
    const master = await site.redis();
    const replica = await site.redis('--replicaof', `127.0.0.1 ${master.port}`);
    const proxy = await site.proxy(master.port);
    const { store, log } = await site.open(`redis://127.0.0.1:${proxy.port}`);
    for (const key of ['a', 'b', 'c', 'again']) await put(store, key, 1);
    await put(store, 'again', 2);
    await remove(store, 'a');
    await follows(replica, master);
    await replica.cli('REPLICAOF', 'NO', 'ONE');
    await remove(store, 'b');
    await remove(store, 'c');
    // the older record, which the replica has, has a higher version than the newer one
    await remove(store, 'again');
    await put(store, 'again', 3);
    await master.kill();
    proxy.retarget(replica.port);
    expect(await recovered(store, 'd')).toBeLessThan(5000);
    await until(() => said(log) !== undefined);
    expect(said(log)).toContain('"records":3');
    expect(await store.get(notes, 'b')).toEqual({ count: 1 });
  });

  it('and that were not on the disk when Redis crashed are counted in the log', async ({ site }) => {
    const redis = await site.redis('--appendonly', 'yes', '--appendfsync', 'no');
    const { store, log } = await site.open(redis.url);
    await put(store, 'a', 1);
    const file = join(redis.folder, 'appendonlydir', 'appendonly.aof.1.incr.aof');
    const onDisk = readFileSync(file);
    await remove(store, 'a');
    await redis.kill();
    // a power cut: the end of the file is not there
    writeFileSync(file, onDisk);
    await redis.start();
    expect(await recovered(store, 'b')).toBeLessThan(5000);
    await until(() => said(log) !== undefined);
    expect(said(log)).toContain('"records":1');
    expect(await store.get(notes, 'a')).toEqual({ count: 1 });
  });

  it('are no loss when everything is there again', async ({ site }) => {
    const master = await site.redis();
    const proxy = await site.proxy(master.port);
    const { store, log } = await site.open(`redis://127.0.0.1:${proxy.port}`);
    for (let i = 0; i < 50; i++) await put(store, `k${i}`, i);
    await Promise.all(Array.from({ length: 50 }, (_, i) => remove(store, `k${i}`)));
    proxy.retarget(master.port);
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    proxy.retarget(master.port);
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    expect(log.errors.join('\n')).not.toMatch(/lost updates|came back empty/);
  });
});

describe.skipIf(missing('redis-server')).concurrent('a store whose cluster', () => {
  const quick = ['--cluster-node-timeout', '1000'];
  const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);

  it('loses a master goes on with the others, and works whole within 5 s of the failover', async ({
    site,
  }) => {
    const nodes = await site.cluster(3, ...quick);
    const replica = await site.replica(nodes[0]!, ...quick);
    const { store, log } = await site.open(nodes.map((node) => node.url).join(','));
    for (const [i, key] of keys.entries()) await put(store, key, i);
    await follows(replica, nodes[0]!);
    await nodes[0]!.kill();
    const results = await Promise.allSettled(keys.map((key, i) => put(store, key, 1000 + i)));
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject(unavailable);
    }
    expect(results.some((result) => result.status === 'fulfilled')).toBe(true);
    expect(results.some((result) => result.status === 'rejected')).toBe(true);
    await until(async () => (await replica.cli('ROLE')).startsWith('master'));
    await clusterWorks([replica, nodes[1]!, nodes[2]!]);
    const passed = runningTime();
    for (const key of keys) await recovered(store, key);
    expect(passed()).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
    expect(await store.due(notes, 1000, 100)).toHaveLength(keys.length);
    expect(log.errors.join('\n')).not.toMatch(/came back empty/);
  });

  it('pauses a master refuses what concerns it, serves the rest, and works within 5 s of its going on', async ({
    site,
  }) => {
    const nodes = await site.cluster(3);
    const { store } = await site.open(nodes[1]!.url + ',' + nodes[2]!.url);
    for (const [i, key] of keys.entries()) await put(store, key, i);
    nodes[0]!.signal('SIGSTOP');
    const results = await Promise.allSettled(keys.map((key, i) => put(store, key, 1000 + i)));
    expect(results.some((result) => result.status === 'fulfilled')).toBe(true);
    expect(results.some((result) => result.status === 'rejected')).toBe(true);
    for (const [i, { status }] of results.entries()) {
      if (status === 'fulfilled') expect((await store.get(notes, keys[i]!))?.count).toBe(1000 + i);
    }
    nodes[0]!.signal('SIGCONT');
    const passed = runningTime();
    for (const key of keys) await recovered(store, key);
    expect(passed()).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
  });

  it('moves a slot to another master, and callers do not notice', async ({ site }) => {
    const nodes = await site.cluster(3);
    const { store } = await site.open(nodes.map((node) => node.url).join(','));
    for (const [i, key] of keys.entries()) await put(store, key, i);
    const [from, to] = [nodes[0]!, nodes[1]!];
    const [fromId, toId] = [await from.cli('CLUSTER', 'MYID'), await to.cli('CLUSTER', 'MYID')];
    const names = (await from.cli('KEYS', '*')).split('\n').filter(Boolean);
    const slot = await from.cli(
      'CLUSTER',
      'KEYSLOT',
      names.find((name) => name.includes(':notes:r:'))!,
    );
    await to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
    await from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
    for (const name of (await from.cli('CLUSTER', 'GETKEYSINSLOT', slot, '1000'))
      .split('\n')
      .filter(Boolean)) {
      await from.cli('MIGRATE', '127.0.0.1', String(to.port), name, '0', '5000');
    }
    for (const node of nodes) await node.cli('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    await Promise.all(keys.map((key, i) => put(store, key, 2000 + i)));
    for (const [i, key] of keys.entries()) expect((await store.get(notes, key))?.count).toBe(2000 + i);
    expect(await store.due(notes, 1000, 100)).toHaveLength(keys.length);
    expect(store.trouble()).toBeUndefined();
  });
});
