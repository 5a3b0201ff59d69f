import { afterEach, describe, expect, it } from 'vitest';
import { SystemClock } from '../../src/base/clock.js';
import type { Logger } from '../../src/base/log.js';
import { openStore } from '../../src/store/open.js';
import { table, type Store } from '../../src/store/store.js';
import { missing } from '../tools/install.js';
import { addReplica, clusterWorks, RedisServer, startCluster } from '../tools/redis.js';
import { TcpProxy } from '../tools/tcp-proxy.js';

interface Note {
  readonly count: number;
  readonly padding?: string;
}
const notes = table<Note>('notes');
const unavailable = { code: 'store-unavailable' };

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Keeps what was logged at level error. */
class ErrorLog implements Logger {
  readonly errors: string[] = [];
  debug(): void {}
  info(): void {}
  warn(): void {}
  error(fields: object, message = ''): void {
    this.errors.push(`${message} ${JSON.stringify(fields)}`);
  }
  isLevelEnabled = (): boolean => true;
  child = (): Logger => this;
}

async function open(url: string): Promise<{ store: Store; log: ErrorLog }> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const log = new ErrorLog();
  const store = await openStore(url, { clock, log });
  ends.push(async () => {
    await store.close();
    clock.close();
  });
  return { store, log };
}

async function startRedis(...more: string[]): Promise<RedisServer> {
  const redis = await RedisServer.start(...more);
  ends.push(() => redis.dispose());
  return redis;
}

const put = (store: Store, key: string, count: number, padding?: string): Promise<void> =>
  store.update(notes, key, () => ({
    kind: 'put',
    value: padding === undefined ? { count } : { count, padding },
    deadline: 1000,
    result: undefined,
  }));

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Tries an update until it is acknowledged. @returns milliseconds until then. */
async function recovered(store: Store, key: string): Promise<number> {
  const since = performance.now();
  for (;;) {
    try {
      await put(store, key, 0);
      return performance.now() - since;
    } catch (error) {
      expect(error).toMatchObject(unavailable);
      await sleep(20);
    }
  }
}

/** Waits until the store says by itself that it works. @returns milliseconds until then. */
async function untroubled(store: Store): Promise<number> {
  const since = performance.now();
  while (store.trouble() !== undefined) await sleep(20);
  return performance.now() - since;
}

describe.skipIf(missing('redis-server'))('a store whose Redis', () => {
  it('is not there at the start opens with trouble, and works within 5 s of its coming', async () => {
    const redis = await startRedis();
    await redis.kill();
    const { store } = await open(redis.url);
    expect(store.trouble()).toMatch(/^redis: /);
    await expect(put(store, 'a', 1)).rejects.toMatchObject(unavailable);
    await expect(store.get(notes, 'a')).rejects.toMatchObject(unavailable);
    const heard: string[] = [];
    store.subscribe('news', (payload) => heard.push(payload));
    await redis.start();
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    expect(store.trouble()).toBeUndefined();
    // the subscription was made up for
    const { store: other } = await open(redis.url);
    while (heard.length === 0) {
      await other.publish('news', 'hello');
      await sleep(20);
    }
    expect(heard[0]).toBe('hello');
  });

  it('stops refuses updates at once, and works within 5 s of its coming back empty, which the log says', async () => {
    const redis = await startRedis();
    const { store, log } = await open(redis.url);
    await put(store, 'a', 1);
    await redis.kill();
    await expect(put(store, 'a', 2)).rejects.toMatchObject(unavailable);
    const since = performance.now();
    await expect(put(store, 'b', 2)).rejects.toMatchObject(unavailable);
    expect(performance.now() - since).toBeLessThan(1500);
    expect(store.trouble()).toMatch(/^redis: /);
    await redis.start();
    expect(await recovered(store, 'b')).toBeLessThan(5000);
    await untroubled(store);
    expect(await store.get(notes, 'a')).toBeUndefined();
    expect(log.errors.join('\n')).toMatch(/came back empty/);
  });

  it('is paused makes callers wait 2 s, then refuses at once, and works within 5 s of going on', async () => {
    const redis = await startRedis();
    const { store, log } = await open(redis.url);
    await put(store, 'a', 1);
    redis.signal('SIGSTOP');
    const since = performance.now();
    await expect(put(store, 'a', 2)).rejects.toMatchObject(unavailable);
    expect(performance.now() - since).toBeGreaterThan(1900);
    expect(store.trouble()).toMatch(/no answer within 2000 ms/);
    const refused = performance.now();
    await expect(put(store, 'a', 3)).rejects.toMatchObject(unavailable);
    expect(performance.now() - refused).toBeLessThan(1500);
    redis.signal('SIGCONT');
    expect(await untroubled(store)).toBeLessThan(5000);
    // the first update was sent and may have been done; the second never was
    const count = (await store.get(notes, 'a'))?.count;
    expect([1, 2]).toContain(count);
    expect(await store.update(notes, 'a', (now) => ({ kind: 'keep', result: now?.count }))).toBe(count);
    expect(log.errors.join('\n')).not.toMatch(/lost updates|came back empty/);
  });

  it('is paused for longer than a connection may be silent works within 5 s of going on', async () => {
    const redis = await startRedis();
    const { store } = await open(redis.url);
    await put(store, 'a', 1);
    redis.signal('SIGSTOP');
    await sleep(14_000);
    await expect(put(store, 'a', 2)).rejects.toMatchObject(unavailable);
    expect(store.trouble()).toMatch(/^redis: /);
    redis.signal('SIGCONT');
    expect(await recovered(store, 'b')).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
    expect([1, 2]).toContain((await store.get(notes, 'a'))?.count);
  });

  it('is 200 ms away is slow, and no more', async () => {
    const redis = await startRedis();
    const proxy = await TcpProxy.start(redis.port);
    ends.push(() => proxy.close());
    const { store } = await open(`redis://127.0.0.1:${proxy.port}`);
    proxy.delayMs = 200;
    const since = performance.now();
    await Promise.all(Array.from({ length: 500 }, (_, i) => put(store, `k${i}`, i)));
    expect(performance.now() - since).toBeGreaterThan(400);
    expect(performance.now() - since).toBeLessThan(5000);
    expect(store.trouble()).toBeUndefined();
    expect((await store.get(notes, 'k499'))?.count).toBe(499);
  });

  it('is out of memory refuses puts and takes removals, reads go on, and puts within 5 s of there being more', async () => {
    const redis = await startRedis('--maxmemory', '8mb', '--maxmemory-policy', 'noeviction');
    const { store } = await open(redis.url);
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
    redis.cli('CONFIG', 'SET', 'maxmemory', '100mb');
    expect(await untroubled(store)).toBeLessThan(5000);
    await put(store, 'after', 1);
    expect(await store.due(notes, 1000, 10_000)).toHaveLength(acknowledged.length);
  });

  it('fails over to a replica that has everything works within 5 s, with everything', async () => {
    const master = await startRedis();
    const replica = await startRedis('--replicaof', `127.0.0.1 ${master.port}`);
    const proxy = await TcpProxy.start(master.port);
    ends.push(() => proxy.close());
    const { store, log } = await open(`redis://127.0.0.1:${proxy.port}`);
    while (!replica.cli('INFO', 'replication').includes('master_link_status:up')) await sleep(50);
    for (let i = 0; i < 50; i++) await put(store, `k${i}`, i);
    while (replica.cli('DBSIZE') !== master.cli('DBSIZE')) await sleep(20);
    await master.kill();
    proxy.retarget(replica.port);
    // it is a replica still, and takes no writes
    await expect(put(store, 'a', 1)).rejects.toMatchObject(unavailable);
    replica.cli('REPLICAOF', 'NO', 'ONE');
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
    for (let i = 0; i < 50; i++) expect((await store.get(notes, `k${i}`))?.count).toBe(i);
    expect(log.errors.join('\n')).not.toMatch(/lost updates|came back empty/);
  });

  it('changes places with its replica, and lives, is left for the new master within 5 s', async () => {
    const master = await startRedis();
    const replica = await startRedis('--replicaof', `127.0.0.1 ${master.port}`);
    const proxy = await TcpProxy.start(master.port);
    ends.push(() => proxy.close());
    const { store, log } = await open(`redis://127.0.0.1:${proxy.port}`);
    while (!replica.cli('INFO', 'replication').includes('master_link_status:up')) await sleep(50);
    await put(store, 'before', 1);
    while (replica.cli('DBSIZE') !== master.cli('DBSIZE')) await sleep(20);
    const heard: string[] = [];
    store.subscribe('news', (payload) => heard.push(payload));
    replica.cli('REPLICAOF', 'NO', 'ONE');
    master.cli('REPLICAOF', '127.0.0.1', String(replica.port));
    // as with an address that moves: connections that are there stay
    proxy.lead(replica.port);
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
    expect((await store.get(notes, 'before'))?.count).toBe(1);
    expect(replica.cli('KEYS', '*:notes:r:a')).not.toBe('');
    expect(log.errors.join('\n')).not.toMatch(/lost updates|came back empty/);
    const { store: other } = await open(replica.url);
    while (heard.length === 0) {
      await other.publish('news', 'hello');
      await sleep(20);
    }
  });

  it('fails over to a replica that lags says in the log how much it lost', async () => {
    const master = await startRedis();
    const replica = await startRedis('--replicaof', `127.0.0.1 ${master.port}`);
    const proxy = await TcpProxy.start(master.port);
    ends.push(() => proxy.close());
    const { store, log } = await open(`redis://127.0.0.1:${proxy.port}`);
    while (!replica.cli('INFO', 'replication').includes('master_link_status:up')) await sleep(50);
    await put(store, 'old', 1);
    while (replica.cli('DBSIZE') !== master.cli('DBSIZE')) await sleep(20);
    replica.cli('REPLICAOF', 'NO', 'ONE');
    await put(store, 'old', 2);
    await put(store, 'new', 1);
    await master.kill();
    proxy.retarget(replica.port);
    expect(await recovered(store, 'a')).toBeLessThan(5000);
    while (!log.errors.some((line) => line.includes('lost updates'))) await sleep(20);
    expect(log.errors.find((line) => line.includes('lost updates'))).toContain('"records":2');
    expect((await store.get(notes, 'old'))?.count).toBe(1);
  });
});

describe.skipIf(missing('redis-server'))('a store whose cluster', () => {
  const quick = ['--cluster-node-timeout', '1000'];
  const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);

  it('loses a master goes on with the others, and works whole within 5 s of the failover', async () => {
    const nodes = await startCluster(3, ...quick);
    ends.push(...nodes.map((node) => () => node.dispose()));
    const replica = await addReplica(nodes[0]!, ...quick);
    ends.push(() => replica.dispose());
    const { store, log } = await open(nodes.map((node) => node.url).join(','));
    for (const [i, key] of keys.entries()) await put(store, key, i);
    while (replica.cli('DBSIZE') !== nodes[0]!.cli('DBSIZE')) await sleep(20);
    await nodes[0]!.kill();
    const results = await Promise.allSettled(keys.map((key, i) => put(store, key, 1000 + i)));
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject(unavailable);
    }
    expect(results.some((result) => result.status === 'fulfilled')).toBe(true);
    expect(results.some((result) => result.status === 'rejected')).toBe(true);
    while (!replica.cli('ROLE').startsWith('master')) await sleep(50);
    await clusterWorks([replica, nodes[1]!, nodes[2]!]);
    const since = performance.now();
    for (const key of keys) await recovered(store, key);
    expect(performance.now() - since).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
    expect(await store.due(notes, 1000, 100)).toHaveLength(keys.length);
    expect(log.errors.join('\n')).not.toMatch(/came back empty/);
  }, 60_000);

  it('pauses a master refuses what concerns it, serves the rest, and works within 5 s of its going on', async () => {
    const nodes = await startCluster(3);
    ends.push(...nodes.map((node) => () => node.dispose()));
    const { store } = await open(nodes[1]!.url + ',' + nodes[2]!.url);
    for (const [i, key] of keys.entries()) await put(store, key, i);
    nodes[0]!.signal('SIGSTOP');
    const results = await Promise.allSettled(keys.map((key, i) => put(store, key, 1000 + i)));
    expect(results.some((result) => result.status === 'fulfilled')).toBe(true);
    expect(results.some((result) => result.status === 'rejected')).toBe(true);
    for (const [i, { status }] of results.entries()) {
      if (status === 'fulfilled') expect((await store.get(notes, keys[i]!))?.count).toBe(1000 + i);
    }
    nodes[0]!.signal('SIGCONT');
    const since = performance.now();
    for (const key of keys) await recovered(store, key);
    expect(performance.now() - since).toBeLessThan(5000);
    expect(await untroubled(store)).toBeLessThan(5000);
  }, 60_000);

  it('moves a slot to another master, and callers do not notice', async () => {
    const nodes = await startCluster(3);
    ends.push(...nodes.map((node) => () => node.dispose()));
    const { store } = await open(nodes.map((node) => node.url).join(','));
    for (const [i, key] of keys.entries()) await put(store, key, i);
    const [from, to] = [nodes[0]!, nodes[1]!];
    const [fromId, toId] = [from.cli('CLUSTER', 'MYID'), to.cli('CLUSTER', 'MYID')];
    const names = from.cli('KEYS', '*').split('\n').filter(Boolean);
    const slot = from.cli(
      'CLUSTER',
      'KEYSLOT',
      names.find((name) => name.includes(':notes:r:'))!,
    );
    to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
    from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
    for (const name of from.cli('CLUSTER', 'GETKEYSINSLOT', slot, '1000').split('\n').filter(Boolean)) {
      from.cli('MIGRATE', '127.0.0.1', String(to.port), name, '0', '5000');
    }
    for (const node of nodes) node.cli('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    await Promise.all(keys.map((key, i) => put(store, key, 2000 + i)));
    for (const [i, key] of keys.entries()) expect((await store.get(notes, key))?.count).toBe(2000 + i);
    expect(await store.due(notes, 1000, 100)).toHaveLength(keys.length);
    expect(store.trouble()).toBeUndefined();
  }, 60_000);
});
