import { describe, expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';
import { TcpProxy } from '../tools/tcp-proxy.js';

const cleanups = useCleanups();

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
  await expect.poll(() => ready(parley), { timeout: 20_000 }).toBe(status);
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

  it('is full: 503 to new registrations, while those that are there ring and may leave', async () => {
    const redis = await startRedis('--maxmemory-policy', 'noeviction');
    const parley = await serverOn(redis.url);
    const [alice, bob] = [await phone('alice', parley), await phone('bob', parley)];
    expect((await bob.register()).status).toBe(200);
    redis.cli('CONFIG', 'SET', 'maxmemory', '1');
    const registration = await alice.register();
    expect(registration.status).toBe(503);
    refused(registration.get('Retry-After'));
    expect(await alive(parley)).toBe(200);
    alice.send('MESSAGE', bob.aor);
    await bob.answer('MESSAGE', 200);
    expect((await alice.peer.response(200)).status).toBe(200);
    expect((await bob.register('', { Contact: '*', Expires: '0' })).status).toBe(200);
    redis.cli('CONFIG', 'SET', 'maxmemory', '0');
    await untilReady(parley, 200);
    expect((await alice.register()).status).toBe(200);
  });
});
