import { describe, expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();

async function startRedis(): Promise<RedisServer> {
  const redis = await RedisServer.start();
  cleanups.push(() => redis.dispose());
  return redis;
}

describe.skipIf(missing('redis-server'))('a server on Redis', () => {
  it('that starts before its Redis is there when Redis is', async () => {
    const redis = await startRedis();
    await redis.kill();
    const config =
      'subscribers: [{ privateId: alice@ims.test, password: alice-secret, identities: ["sip:alice@ims.test"] }]';
    const program = new Program(['serve'], { config, env: { PARLEY_STORE: redis.url, PARLEY_AUTH: 'none' } });
    cleanups.push(() => program.dispose());
    await expect
      .poll(() => program.log.map(({ msg }) => msg), { timeout: 20_000 })
      .toContain('the start waits for the store');
    await redis.start();
    const { port } = await program.ready();
    const alice = await Phone.open('alice', port);
    cleanups.push(() => alice.close());
    expect((await alice.register()).status).toBe(200);
  });

  it('starts beside others on an empty one, whoever is the first to add the subscribers', async () => {
    const redis = await startRedis();
    const subscribers = ['alice', 'bob', 'carol'].map((name) => ({
      privateId: `${name}@ims.test`,
      password: `${name}-secret`,
      identities: [`sip:${name}@ims.test`],
      imps: `wv:${name}@ims.test`,
    }));
    const nodes = await Promise.all(
      [1, 2, 3, 4].map(() => startParley({ store: redis.url, subscribers, auth: 'none' })),
    );
    for (const node of nodes) cleanups.push(() => node.stop());
    for (const { app } of nodes)
      expect(await app.subscribers.list(undefined, 10)).toMatchObject(
        subscribers.map(({ privateId }) => ({ privateId })),
      );
  });
});
