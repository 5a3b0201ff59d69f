import { afterEach, expect, describe, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { element } from '../../../src/imps/codec/element.js';
import { mailbox } from '../../../src/imps/state/records.js';
import { missing } from '../../tools/install.js';
import { CirLine } from '../tools/cir-line.js';
import { message } from '../tools/phone.js';
import { realStores, type Ending } from '../tools/stores.js';
import { userId, worldOn } from '../tools/world.js';

const endings: Ending[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const numbers = Array.from({ length: 20 }, (_, number) => `${number}`);

describe.skipIf(missing('redis-server')).each(realStores)('what happens at once on %s', (_name, open) => {
  it('comes to wait with one CIR for all', async () => {
    const clock = new VirtualClock();
    const here = await worldOn(await open(clock, endings), clock);
    endings.push(() => here.close());
    const alice = await here.phone('alice').start();
    const bob = here.phone('bob');
    bob.cookie = 'cookie-of-bob';
    await bob.login2();
    await bob.negotiate(element('SupportedCIRMethod', 'STCP'));
    const line = new CirLine(here.cirPort);
    endings.push(() => void line.socket.destroy());
    line.socket.write(`HELO ${bob.sessionId}\r\n`);
    await line.until(1);
    clock.advance(1000);
    await Promise.all(numbers.map((text) => alice.request(message(text, [userId('bob')]))));
    await line.until(2);
    expect((await bob.messages()).toSorted()).toEqual(numbers.toSorted());
    line.socket.write('PING\r\n');
    expect(await line.until(3)).toEqual(['OK', 'WVCI 1.3 cookie-of-bob', 'OK']);
    expect(here.errors).toEqual([]);
  });

  it('is acknowledged by two sessions and reported once, and nothing is left', async () => {
    const clock = new VirtualClock();
    const store = await open(clock, endings);
    const here = await worldOn(store, clock);
    endings.push(() => here.close());
    const alice = await here.phone('alice').start();
    const clients = ['wv:first', 'wv:second'].map((clientId) => here.phone('bob', { clientId }));
    for (const client of clients) await client.start(element('OnlineETEMHandling', 'FORKALL'));
    for (const text of numbers)
      await alice.request(message(text, [userId('bob')], element('DeliveryReport', true)));
    const got = await Promise.all(clients.map((client) => client.messages()));
    expect(got).toEqual([numbers, numbers]);
    const reports = (await alice.drain()).filter(({ name }) => name === 'DeliveryReport-Request');
    expect(reports).toHaveLength(numbers.length);
    const left: string[] = [];
    for await (const { key } of store.scan(mailbox)) left.push(key);
    expect(left).toEqual([]);
    expect(here.errors).toEqual([]);
  });
});
