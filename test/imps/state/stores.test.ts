import { afterEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { element } from '../../../src/imps/codec/element.js';
import { missing } from '../../tools/install.js';
import { codeOf, message } from '../tools/phone.js';
import { realStores, type Ending } from '../tools/stores.js';
import { userId, worldOn } from '../tools/world.js';

const endings: Ending[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

describe.skipIf(missing('redis-server'))('a session and what waits in it', () => {
  it.each(realStores)('are still there after a restart on %s', async (_name, open) => {
    const clock = new VirtualClock();
    const store = await open(clock, endings);
    let here = await worldOn(store, clock);
    const alice = await here.phone('alice').start();
    const bob = await here.phone('bob').start();
    expect(codeOf(await bob.request(message('before', [userId('alice')])))).toBe(200);
    await here.close();

    here = await worldOn(store, clock);
    endings.push(() => here.close());
    const again = here.phone('alice');
    again.sessionId = alice.sessionId;
    expect(await again.messages()).toEqual(['before']);
    expect(codeOf(await again.request(element('KeepAlive-Request')))).toBe(200);
    const second = await here.phone('bob', { clientId: 'wv:other' }).start();
    await second.request(message('after', [userId('alice')]));
    expect(await again.messages()).toEqual(['after']);
    // the same octets would be the login that made the session, repeated
    const other = here.phone('alice');
    other.nextTransaction();
    expect(codeOf(await other.login2())).toBe(603);
    expect(here.errors).toEqual([]);
  });
});
