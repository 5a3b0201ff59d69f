import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createClient } from 'redis';
import { afterEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { openStore } from '../../src/store/open.js';
import { deadlinesName, indexName, recordName, shardOf } from '../../src/store/redis/layout.js';
import { Stamps } from '../../src/store/redis/record.js';
import { table, type Store } from '../../src/store/store.js';
import { compiled } from '../tools/compiled.js';
import { missing } from '../tools/install.js';
import { RedisServer, startCluster } from '../tools/redis.js';

const run = promisify(execFile);
const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function servers(masters: number): Promise<string> {
  const nodes = masters === 1 ? [await RedisServer.start()] : await startCluster(masters);
  ends.push(...nodes.map((node) => () => node.dispose()));
  return nodes.map((node) => node.url).join(',');
}

async function open(url: string): Promise<Store> {
  const store = await openStore(url, { clock: new VirtualClock(), log: silentLogger });
  ends.push(() => store.close());
  return store;
}

interface User {
  readonly bindings: readonly {
    readonly instance: string;
    readonly contact: string;
    readonly cseq: number;
  }[];
}
const users = table<User>('users');

describe.skipIf(missing('redis-server'))('Redis with many', () => {
  it.each([1, 3])(
    'processes: ten count one record up to 500 and lose none (%i masters)',
    async (masters) => {
      const url = await servers(masters);
      const counter = 'test/store/counter.ts';
      const script = compiled(counter);
      const said = await Promise.all(
        Array.from({ length: 10 }, () => run(process.execPath, [script, url, '50'])),
      );
      const reached = said.flatMap(({ stdout }) => JSON.parse(stdout) as number[]);
      expect(reached.sort((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
      const store = await open(url);
      expect(await store.get(table('counts'), 'one')).toEqual({ count: 500 });
      expect(await store.due(table('counts'), 499, 10)).toEqual([]);
      expect(await store.due(table('counts'), 500, 10)).toEqual(['one']);
    },
    60_000,
  );

  it('devices: a user gets fifty through three nodes at once, and each is refreshed', async () => {
    const url = await servers(1);
    const nodes = [await open(url), await open(url), await open(url)];
    const register = (device: number, cseq: number): Promise<number> =>
      nodes[device % 3]!.update(users, 'sip:alice@ims.test', (current) => {
        const instance = `<urn:uuid:00000000-0000-1000-8000-${String(device).padStart(12, '0')}>`;
        const others = (current?.bindings ?? []).filter((binding) => binding.instance !== instance);
        const bindings = [...others, { instance, contact: `sip:alice@10.0.0.${device}:5060`, cseq }];
        return { kind: 'put', value: { bindings }, deadline: 1000 + cseq, result: bindings.length };
      });
    const devices = Array.from({ length: 50 }, (_, device) => device);
    const sizes = await Promise.all(devices.map((device) => register(device, 1)));
    expect(sizes.sort((a, b) => a - b)).toEqual(devices.map((device) => device + 1));
    await Promise.all(devices.map((device) => register(device, 2)));
    const found = await nodes[0]!.get(users, 'sip:alice@ims.test');
    expect(new Set(found?.bindings.map((binding) => binding.instance)).size).toBe(50);
    expect(found?.bindings.every((binding) => binding.cseq === 2)).toBe(true);
  });

  it('keys: among a million, one is read, changed, listed and found due by the commands that it takes among few', async () => {
    const [few, many] = [await commandsAmong(10_000), await commandsAmong(1_000_000)];
    expect(many).toEqual(few);
    // none of them walks through all
    expect(few.flatMap(Object.keys).filter((name) => !bounded.has(name))).toEqual([]);
  }, 180_000);
});

/** Commands of Redis that take time by the records that they are about, and no more than by the logarithm of all. */
const bounded: ReadonlySet<string> = new Set(['evalsha', 'get', 'set', 'zadd', 'zrange']);

/** What a store with so many users has Redis do for a read, a change, a look at what is due and a list: calls by command. */
async function commandsAmong(count: number): Promise<Record<string, number>[]> {
  const redis = await RedisServer.start();
  ends.push(() => redis.dispose());
  await fill(redis, count);
  const store = await open(redis.url);
  const key = userKey(7_654);
  const put = (): Promise<void> =>
    store.update(users, key, (current) => ({
      kind: 'put',
      value: { bindings: current!.bindings.map((binding) => ({ ...binding, cseq: 7 })) },
      deadline: 5,
      result: undefined,
    }));
  const list = async (): Promise<string[]> => {
    const keys: string[] = [];
    for await (const row of store.scan(users, { after: userKey(4_999), limit: 1001 })) keys.push(row.key);
    return keys;
  };
  const listed = Array.from({ length: 1001 }, (_, i) => userKey(5_000 + i));
  const works = [
    async () => expect((await store.get(users, key))?.bindings[0]?.contact).toBe('sip:10.0.0.1'),
    put,
    async () => expect(await store.due(users, 10, 100)).toEqual([key]),
    async () => expect(await list()).toEqual(listed),
  ];
  // Redis has each script by then
  for (const work of [put, ...works]) await work();
  const took: Record<string, number>[] = [];
  for (const work of works) {
    await redis.cli('CONFIG', 'RESETSTAT');
    await work();
    const stats = (await redis.cli('INFO', 'commandstats')).matchAll(/^cmdstat_([^:|]+):calls=(\d+)/gm);
    const calls = [...stats].map(([, name, times]) => [name!, Number(times)] as const);
    // the client's sign of life, every few seconds
    took.push(Object.fromEntries(calls.filter(([name]) => name !== 'ping')));
  }
  return took;
}

const userKey = (n: number): string => `sip:user${String(n).padStart(7, '0')}@ims.test`;

/** Puts users into Redis as the store would, but from within: a million updates would take minutes. */
async function fill(redis: RedisServer, count: number): Promise<void> {
  const value: User = { bindings: [{ instance: '<urn:uuid:1>', contact: 'sip:10.0.0.1', cseq: 1 }] };
  const { octets } = new Stamps().stamp(1, value);
  const shards = new Map<number, string[]>();
  for (let n = 0; n < count; n++) {
    const shard = shardOf(userKey(n));
    const numbers = shards.get(shard) ?? [];
    numbers.push(String(n));
    shards.set(shard, numbers);
  }
  const client = await createClient({ url: redis.url }).connect();
  for (const [shard, numbers] of shards) {
    for (let i = 0; i < numbers.length; i += 2000) {
      await client.eval(
        `for i = 2, #ARGV do
          local key = string.format('sip:user%07d@ims.test', ARGV[i])
          redis.call('SET', KEYS[1] .. key, ARGV[1])
          redis.call('ZADD', KEYS[2], 0, key)
          redis.call('ZADD', KEYS[3], 1000000 + ARGV[i], key)
        end`,
        {
          keys: [recordName(shard, 'users', ''), indexName(shard, 'users'), deadlinesName(shard, 'users')],
          arguments: [octets, ...numbers.slice(i, i + 2000)],
        },
      );
    }
  }
  await client.close();
}
