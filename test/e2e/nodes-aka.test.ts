import { describe, expect, it } from 'vitest';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipResponse } from '../../src/sip/message/message.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';
import { testKeys, Usim } from '../tools/usim.js';

const cleanups = useCleanups();

type Register = (headers: HeaderMap) => Promise<SipResponse>;

/** REGISTER of one device at each of two nodes. */
async function twoNodes(): Promise<[Register, Register]> {
  const redis = await RedisServer.start();
  cleanups.push(() => redis.dispose());
  const { k, op, amf } = testKeys;
  const settings = {
    store: redis.url,
    subscribers: [{ privateId: 'alice@ims.test', identities: ['sip:alice@ims.test'], aka: { k, op, amf } }],
    sip: { overloadDelay: 60_000 },
  };
  const start = async (): Promise<Register> => {
    const node = await startParley(settings);
    cleanups.push(() => node.stop());
    const phone = await Phone.open('alice', node.port);
    cleanups.push(() => phone.close());
    return (headers) => phone.register('', { 'Call-ID': 'registration', ...headers });
  };
  return [await start(), await start()];
}

describe.skipIf(missing('redis-server'))('a challenge of AKA', () => {
  it('may be answered at another node, and once altogether', async () => {
    const [a, b] = await twoNodes();
    const usim = new Usim('alice@ims.test', 'ims.test');
    const answer = usim.answer(await a(usim.hello()));
    expect((await b(answer)).status).toBe(200);
    expect((await a(answer)).status).toBe(401);

    const again = usim.answer(await b(usim.hello()));
    const both = await Promise.all([a(again), b(again)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 401]);
  });

  it('whose sequence number is too low is followed by a right one of the node that gets AUTS', async () => {
    const [a, b] = await twoNodes();
    const usim = new Usim('alice@ims.test', 'ims.test');
    for (let sqn = 33; sqn < 33 * 70; sqn += 33) usim.sequence.accept(sqn);
    const again = await b(usim.answer(await a(usim.hello())));
    expect(again.status).toBe(401);
    expect((await a(usim.answer(again))).status).toBe(200);
  });
});
