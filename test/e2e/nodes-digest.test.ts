import { describe, expect, it } from 'vitest';
import type { SipResponse } from '../../src/sip/message/message.js';
import { DigestClient } from '../../src/sip/auth/digest-client.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();

/** Sends a REGISTER with these credentials. */
type Register = (authorization: string) => Promise<SipResponse>;

/** The phone of one user at each of two nodes. */
async function twoNodes(): Promise<[Register, Register]> {
  const redis = await RedisServer.start();
  cleanups.push(() => redis.dispose());
  const start = async (): Promise<Register> => {
    const node = await startParley({
      store: redis.url,
      subscribers: [
        { privateId: 'alice@ims.test', identities: ['sip:alice@ims.test'], password: 'alice-secret' },
      ],
      sip: { overloadDelay: 60_000 },
    });
    cleanups.push(() => node.stop());
    const phone = await Phone.open('alice', node.port);
    cleanups.push(() => phone.close());
    return (authorization) =>
      phone.register('', {
        'Call-ID': 'registration',
        ...(authorization && { Authorization: authorization }),
      });
  };
  return [await start(), await start()];
}

const signed = (client: DigestClient): string => client.sign({ method: 'REGISTER', uri: 'sip:ims.test' })!;
const challenges = (answer: SipResponse): string[] => {
  expect(answer.status).toBe(401);
  return [...answer.headers.lines('WWW-Authenticate')];
};

describe.skipIf(missing('redis-server'))('two nodes that challenge with digest', () => {
  it('take a request that one overheard from the other at neither of them', async () => {
    const [a, b] = await twoNodes();
    const alice = new DigestClient({ username: 'alice@ims.test', password: 'alice-secret' });
    alice.challenged(challenges(await a('')));
    const overheard = signed(alice);
    expect((await a(overheard)).status).toBe(200);
    expect((await b(overheard)).status).toBe(401);
    expect((await a(overheard)).status).toBe(401);
  });

  it('give who comes to both of them in turn a nonce that both take, after one that is stale', async () => {
    const [a, b] = await twoNodes();
    const alice = new DigestClient({ username: 'alice@ims.test', password: 'alice-secret' });
    alice.challenged(challenges(await a('')));
    const stale = challenges(await b(signed(alice)));
    expect(stale.every((challenge) => challenge.includes('stale=true'))).toBe(true);
    expect(alice.challenged(stale)).toBe(true);
    const answers = [signed(alice), signed(alice), signed(alice)] as const;
    expect((await a(answers[0])).status).toBe(200);
    expect((await b(answers[1])).status).toBe(200);
    expect((await a(answers[2])).status).toBe(200);
    for (const overheard of answers)
      for (const node of [a, b]) expect((await node(overheard)).status).toBe(401);
  });
});
