import { describe, expect, it } from 'vitest';
import { SystemClock } from '../../src/base/clock.js';
import type { Logger } from '../../src/base/log.js';
import { openStore } from '../../src/store/open.js';
import { table, type Store } from '../../src/store/store.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { RedisServer } from '../tools/redis.js';
import { Sentinel, startWatched, urlOf, type Watched } from '../tools/sentinels.js';

const notes = table<{ readonly count: number }>('notes');
const unavailable = { code: 'store-unavailable' };
const cleanups = useCleanups();
const patience = { timeout: 30_000 };

/** Keeps what was logged above level info. */
class Log implements Logger {
  readonly lines: string[] = [];
  trace(): void {}
  debug(): void {}
  info(): void {}
  warn(_fields: object, message = ''): void {
    this.lines.push(message);
  }
  error(_fields: object, message = ''): void {
    this.lines.push(message);
  }
  isLevelEnabled = (): boolean => true;
  child = (): Logger => this;
}

async function open(url: string): Promise<{ store: Store; log: Log }> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const log = new Log();
  const store = await openStore(url, { clock, log });
  cleanups.push(async () => {
    await store.close();
    clock.close();
  });
  return { store, log };
}

async function watched(): Promise<Watched> {
  const servers = await startWatched();
  cleanups.push(() => servers.dispose());
  return servers;
}

const put = (store: Store, key: string, count: number): Promise<void> =>
  store.update(notes, key, () => ({ kind: 'put', value: { count }, result: undefined }));

/** Waits until the replica is the master. */
const promoted = ({ replica }: Watched): Promise<void> =>
  expect.poll(() => replica.cli('ROLE'), patience).toMatch(/^master/);

/** Tries an update until it is acknowledged, for 5 seconds at most. */
async function recovered(store: Store, key: string): Promise<void> {
  await expect
    .poll(
      () =>
        put(store, key, 0).then(
          () => 'done',
          (error: { code: string }) => error.code,
        ),
      { timeout: 5_000 },
    )
    .toBe('done');
  await expect.poll(() => store.trouble(), { timeout: 5_000 }).toBeUndefined();
}

/** A slow machine's sentinels may elect once more: then the connection goes, and comes again. */
const holds = (store: Store, key: string, count: number): Promise<void> =>
  expect
    .poll(
      () =>
        store.get(notes, key).then(
          (note) => note?.count,
          (error: { code: string }) => error.code,
        ),
      patience,
    )
    .toBe(count);

const replicated = async ({ master, replica }: Watched): Promise<void> =>
  expect.poll(() => replica.cli('DBSIZE'), patience).toBe(await master.cli('DBSIZE'));

describe.skipIf(missing('redis-server'))('a store on the master that Redis Sentinels know', () => {
  it('refuses updates when it dies, and within 5 s of the election works with everything, events too', async () => {
    const servers = await watched();
    const { store, log } = await open(servers.url);
    const heard: string[] = [];
    let missed = 0;
    store.subscribe(
      'news',
      (payload) => heard.push(payload),
      () => missed++,
    );
    for (let i = 0; i < 50; i++) await put(store, `k${i}`, i);
    await replicated(servers);
    await servers.master.kill();
    await expect(put(store, 'a', 1)).rejects.toMatchObject(unavailable);
    expect(store.trouble()).toMatch(/^redis: /);
    const before = missed;
    await promoted(servers);
    await recovered(store, 'a');
    for (let i = 0; i < 50; i++) await holds(store, `k${i}`, i);
    expect(missed).toBeGreaterThan(before);
    const { store: other } = await open(servers.url);
    await expect
      .poll(async () => (await other.publish('news', 'hello'), heard.length), patience)
      .toBeGreaterThan(0);
    expect(log.lines.join('\n')).not.toMatch(/lost updates|came back empty/);
  }, 60_000);

  it('leaves it when it stands still and another is elected, though the connection to it is there', async () => {
    const servers = await watched();
    const { store } = await open(servers.url);
    await put(store, 'before', 1);
    await replicated(servers);
    servers.master.signal('SIGSTOP');
    cleanups.push(() => servers.master.signal('SIGCONT'));
    await expect(put(store, 'a', 1)).rejects.toMatchObject(unavailable);
    await promoted(servers);
    await recovered(store, 'a');
    await holds(store, 'before', 1);
    servers.master.signal('SIGCONT');
    await put(store, 'after', 2);
    expect((await store.get(notes, 'after'))?.count).toBe(2);
    expect(await servers.replica.cli('KEYS', '*:notes:r:after')).not.toBe('');
  }, 60_000);

  it('believes the newest election, goes back to none before it, and is used on while no sentinel answers', async () => {
    const [older, newer] = [await RedisServer.start(), await RedisServer.start()];
    cleanups.push(
      () => older.dispose(),
      () => newer.dispose(),
    );
    const behind = await Sentinel.start(older, { quorum: 2, epoch: 1 });
    const ahead = await Sentinel.start(newer, { quorum: 2, epoch: 5 });
    cleanups.push(
      () => behind.dispose(),
      () => ahead.dispose(),
    );
    const { store, log } = await open(urlOf([behind, ahead]));
    await put(store, 'a', 1);
    await ahead.kill();
    let own = 0;
    const asked = async (): Promise<number> =>
      Number(/total_commands_processed:(\d+)/.exec(await behind.cli('INFO', 'stats'))?.[1]) - own++;
    const before = await asked();
    await expect.poll(asked, patience).toBeGreaterThan(before + 2);
    await put(store, 'b', 1);
    await behind.kill();
    await expect.poll(() => log.lines.join('\n'), patience).toMatch(/no sentinel tells the master/);
    await put(store, 'c', 1);
    expect(store.trouble()).toBeUndefined();
    expect([await older.cli('DBSIZE'), (await newer.cli('KEYS', '*:notes:r:*')).split('\n').length]).toEqual([
      '0',
      3,
    ]);
  }, 60_000);

  it('opens with trouble when no sentinel is there, and works within 5 s of their coming', async () => {
    const servers = await watched();
    for (const sentinel of servers.sentinels) await sentinel.kill();
    const { store } = await open(servers.url);
    expect(store.trouble()).toMatch(/no sentinel tells the master mymaster/);
    await expect(put(store, 'a', 1)).rejects.toMatchObject(unavailable);
    for (const sentinel of servers.sentinels) await sentinel.start();
    await recovered(store, 'a');
  }, 60_000);
});
