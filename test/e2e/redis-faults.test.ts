import { describe, expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { addReplica, clusterWorks, RedisServer, startCluster } from '../tools/redis.js';
import { TcpProxy } from '../tools/tcp-proxy.js';

const cleanups = useCleanups();
const patience = { timeout: 20_000 };

async function startRedis(...more: string[]): Promise<RedisServer> {
  const redis = await RedisServer.start(...more);
  cleanups.push(() => redis.dispose());
  return redis;
}

async function serverOn(store: string): Promise<RunningParley> {
  const parley = await startParley({
    auth: 'none',
    roles: ['core'],
    store,
    // a busy machine must not make the server send twice
    sip: { timers: { t1: 10_000, t2: 10_000 } },
  });
  cleanups.push(() => parley.stop());
  return parley;
}

async function phone(user: string, parley: RunningParley): Promise<Phone> {
  const opened = await Phone.open(user, parley.port);
  cleanups.push(() => opened.close());
  return opened;
}

const ready = async ({ api }: RunningParley): Promise<number> => (await fetch(`${api}/readyz`)).status;
const alive = async ({ api }: RunningParley): Promise<number> => (await fetch(`${api}/healthz`)).status;

/** Waits for a state of `/readyz`. What a fault takes at most is the store's tests' affair. */
async function untilReady(parley: RunningParley, status: 200 | 503): Promise<void> {
  await expect.poll(() => ready(parley), patience).toBe(status);
}

/** The fault has ended: the server finds it out by itself. */
async function recoveredWithin(ms: number, parley: RunningParley): Promise<void> {
  await expect.poll(() => ready(parley), { timeout: ms }).toBe(200);
}

const refused = (retryAfter: string | undefined): void => expect(Number(retryAfter)).toBeGreaterThan(0);

describe.skipIf(missing('redis-server'))('what callers get when Redis', () => {
  it('stops and comes back empty: 503 to all that needs it, and then a registrar that knows nobody', async () => {
    const redis = await startRedis();
    const parley = await serverOn(redis.url);
    const [alice, bob] = [await phone('alice', parley), await phone('bob', parley)];
    expect((await bob.register()).status).toBe(200);
    await redis.kill();
    const registration = await alice.register();
    expect(registration.status).toBe(503);
    refused(registration.get('Retry-After'));
    for (const method of ['INVITE', 'MESSAGE', 'OPTIONS'])
      expect((await alice.ask(method, bob.aor)).status).toBe(503);
    expect((await fetch(`${parley.api}/api/v1/registrations`)).status).toBe(503);
    await untilReady(parley, 503);
    expect(await alive(parley)).toBe(200);
    await redis.start();
    await untilReady(parley, 200);
    expect((await alice.ask('MESSAGE', bob.aor)).status).toBe(480);
    expect((await bob.register()).status).toBe(200);
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('comes back empty: what the configuration gives, and the keys of the domain, are there again', async () => {
    const redis = await startRedis();
    const parley = await startParley({
      roles: ['core'],
      store: redis.url,
      subscribers: [
        { privateId: 'alice@ims.test', password: 'secret-1', identities: ['sip:alice@ims.test'] },
      ],
      profiles: [{ name: 'default', criteria: [] }],
    });
    cleanups.push(() => parley.stop());
    const subscribers = async (): Promise<string> => (await fetch(`${parley.api}/api/v1/subscribers`)).text();
    expect(await subscribers()).toContain('alice@ims.test');
    /** Without the version in front. */
    const kept = async (): Promise<Record<string, string>> => {
      const names = (await redis.cli('KEYS', '*:r:*'))
        .split('\n')
        .filter((name) => /:(?:keys|service-profiles|secrets):r:/.test(name));
      const records: Record<string, string> = {};
      for (const name of names.toSorted())
        records[name] = await redis.cli('--no-raw', 'GETRANGE', name, '16', '-1');
      return records;
    };
    const before = await kept();
    expect(Object.keys(before).length).toBeGreaterThan(3);
    await redis.kill();
    await untilReady(parley, 503);
    await redis.start();
    await expect.poll(kept, patience).toEqual(before);
    await expect.poll(subscribers, patience).toContain('alice@ims.test');
  });

  it('is paused: 503 after a wait, and what was acknowledged before is there when it goes on', async () => {
    const redis = await startRedis();
    const parley = await serverOn(redis.url);
    const [alice, bob] = [await phone('alice', parley), await phone('bob', parley)];
    expect((await bob.register()).status).toBe(200);
    redis.signal('SIGSTOP');
    cleanups.push(() => redis.signal('SIGCONT'));
    expect((await alice.register()).status).toBe(503);
    await untilReady(parley, 503);
    expect((await alice.ask('MESSAGE', bob.aor)).status).toBe(503);
    expect(await alive(parley)).toBe(200);
    redis.signal('SIGCONT');
    await untilReady(parley, 200);
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('is 200 ms away: they wait, and get what they asked for', async () => {
    const redis = await startRedis();
    const proxy = await TcpProxy.start(redis.port);
    cleanups.push(() => proxy.close());
    const parley = await serverOn(`redis://127.0.0.1:${proxy.port}`);
    const [alice, bob] = [await phone('alice', parley), await phone('bob', parley)];
    proxy.delayMs = 200;
    expect((await bob.register()).status).toBe(200);
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    expect(await ready(parley)).toBe(200);
  });

  it('fails over to its replica: 503 until that is the master, then all is there that it has', async () => {
    const master = await startRedis();
    const replica = await startRedis('--replicaof', `127.0.0.1 ${master.port}`);
    const proxy = await TcpProxy.start(master.port);
    cleanups.push(() => proxy.close());
    const parley = await serverOn(`redis://127.0.0.1:${proxy.port}`);
    const [alice, bob] = [await phone('alice', parley), await phone('bob', parley)];
    await expect.poll(() => replica.cli('INFO', 'replication'), patience).toContain('master_link_status:up');
    expect((await bob.register()).status).toBe(200);
    await expect.poll(() => replica.cli('KEYS', '*:registrations:r:*'), patience).toContain(bob.aor);
    await master.kill();
    proxy.retarget(replica.port);
    expect((await alice.register()).status).toBe(503);
    expect((await fetch(`${parley.api}/api/v1/registrations`)).status).toBe(503);
    await untilReady(parley, 503);
    expect(await alive(parley)).toBe(200);
    await replica.cli('REPLICAOF', 'NO', 'ONE');
    await recoveredWithin(5_000, parley);
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    expect((await alice.register()).status).toBe(200);
  });

  it('as a cluster loses a master: 503 for the users of its slots alone, and nothing is lost when its replica is the master', async () => {
    const quick = ['--cluster-node-timeout', '1000'];
    const nodes = await startCluster(3, ...quick);
    cleanups.push(...nodes.map((node) => () => node.dispose()));
    const replica = await addReplica(nodes[0]!, ...quick);
    cleanups.push(() => replica.dispose());
    const parley = await serverOn(nodes.map(({ url }) => url).join(','));
    const users = await Promise.all(Array.from({ length: 12 }, (_, i) => phone(`user${String(i)}`, parley)));
    for (const user of users) expect((await user.register()).status).toBe(200);
    await expect.poll(() => replica.cli('DBSIZE'), patience).toBe(await nodes[0]!.cli('DBSIZE'));
    await nodes[0]!.kill();
    const statuses = await Promise.all(users.map(async (user) => (await user.register()).status));
    expect([...new Set(statuses)].sort()).toEqual([200, 503]);
    expect(await alive(parley)).toBe(200);
    await expect.poll(() => replica.cli('ROLE'), patience).toMatch(/^master/);
    await clusterWorks([replica, nodes[1]!, nodes[2]!]);
    await recoveredWithin(5_000, parley);
    const [caller] = users;
    for (const user of users.slice(1)) {
      caller!.send('MESSAGE', user.aor);
      await user.answer('MESSAGE', 200);
      expect((await caller!.peer.response(200)).status).toBe(200);
    }
    for (const user of users) expect((await user.register()).status).toBe(200);
  }, 60_000);

  it('is full: 503 to new registrations, while those that are there ring and may leave', async () => {
    const redis = await startRedis('--maxmemory-policy', 'noeviction');
    const parley = await serverOn(redis.url);
    const [alice, bob] = [await phone('alice', parley), await phone('bob', parley)];
    expect((await bob.register()).status).toBe(200);
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1');
    const registration = await alice.register();
    expect(registration.status).toBe(503);
    refused(registration.get('Retry-After'));
    expect(await alive(parley)).toBe(200);
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    expect((await bob.register('', { Contact: '*', Expires: '0' })).status).toBe(200);
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0');
    await untilReady(parley, 200);
    expect((await alice.register()).status).toBe(200);
  });
});
