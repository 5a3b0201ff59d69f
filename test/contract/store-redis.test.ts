import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { openStore } from '../../src/store/open.js';
import { table, type Store } from '../../src/store/store.js';
import { missing } from '../tools/install.js';
import { RedisServer, startCluster } from '../tools/redis.js';
import { storeContract, type StoreHarness } from './store.js';
import { storeModel } from './store-model.js';

async function harness(servers: readonly RedisServer[]): Promise<StoreHarness> {
  const url = servers.map((server) => server.url).join(',');
  const opened: Store[] = [];
  return {
    async open() {
      const store = await openStore(url, { clock: new VirtualClock(), log: silentLogger });
      opened.push(store);
      return store;
    },
    async dispose() {
      await Promise.all(opened.map((store) => store.close()));
      await Promise.all(servers.map((server) => server.dispose()));
    },
  };
}

const redis = async (): Promise<StoreHarness> => harness([await RedisServer.start()]);
const cluster = async (): Promise<StoreHarness> => harness(await startCluster(3));

describe.skipIf(missing('redis-server'))('with a real Redis', () => {
  storeContract('Redis', redis);
  storeContract('a Redis Cluster of three masters', cluster);
  it.each([
    ['one Redis', redis],
    ['a Redis Cluster', cluster],
  ])('a hundred events at once reach another node on %s, each by its channel', async (_, start) => {
    const stores = await start();
    const [here, there] = [await stores.open(), await stores.open()];
    const heard = new Set<string>();
    const channels = Array.from({ length: 100 }, (_, index) => `many-${index}`);
    const tell = (payload: string): Promise<void[]> =>
      Promise.all(channels.map((channel) => there.publish(channel, payload)));
    for (const channel of channels) here.subscribe(channel, (payload) => heard.add(`${channel} ${payload}`));
    // an event reaches who has subscribed by then
    const ready = async (): Promise<number> => {
      await tell('ready');
      return heard.size;
    };
    await expect.poll(ready).toBe(100);
    await tell('news');
    const expected = channels.flatMap((channel) => [`${channel} news`, `${channel} ready`]);
    await expect.poll(() => [...heard].toSorted()).toEqual(expected.toSorted());
    await stores.dispose();
  });
  it('large records are put and read in several commands, small ones in one', async () => {
    const server = await RedisServer.start();
    const stores = await harness([server]);
    const [here, there] = [await stores.open(), await stores.open()];
    const scripts = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await server.cli('INFO', 'commandstats'))?.[1] ?? '0');
    const counted = async (work: () => Promise<unknown>): Promise<number> => {
      const before = await scripts();
      await work();
      return (await scripts()) - before;
    };
    const files = table<{ readonly octets: Uint8Array; readonly number: number }>('files');
    const numbers = Array.from({ length: 20 }, (_, number) => number);
    const name = (number: number, size: number): string => `file ${number} of ${size}`;
    const put = (size: number): Promise<unknown> =>
      Promise.all(
        numbers.map((number) =>
          here.update(files, name(number, size), () => ({
            kind: 'put',
            value: { octets: new Uint8Array(size), number },
            result: undefined,
          })),
        ),
      );
    const read = async (size: number): Promise<void> => {
      const found = await Promise.all(numbers.map((number) => there.get(files, name(number, size))));
      expect(found.map((one) => [one?.number, one?.octets.length])).toEqual(
        numbers.map((number) => [number, size]),
      );
    };
    // Redis has each script by then
    await put(1);
    await read(1);
    // a put of a record that is not known reads it first
    expect(await counted(() => put(10))).toBe(2);
    expect(await counted(() => read(10))).toBe(1);
    expect(await counted(() => put(600_000))).toBe(21);
    expect(await counted(() => read(600_000))).toBe(3);
    await stores.dispose();
  });
  storeModel('Redis', 40, redis);
  storeModel('a Redis Cluster of three masters', 40, cluster);
});
