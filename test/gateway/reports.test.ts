import { afterEach, describe, expect, it } from 'vitest';
import { element, textOf, type Element } from '../../src/imps/codec/element.js';
import { codeOf, message, type Phone as ImpsPhone } from '../imps/tools/phone.js';
import { chat, cpmDevice } from './sip-chat.js';
import { GatewayWorld, until } from './world.js';

let world: GatewayWorld;
afterEach(() => world.close());

const MESSAGE = { 'Content-Type': 'message/cpim' };
const second = cpmDevice.replace('111111', '222222');
const notification = (id: string, status: string): string =>
  chat(
    `n-${status}`,
    `<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>${id}</message-id>` +
      `<datetime>2026-01-01T00:00:00Z</datetime><delivery-notification><status><${status}/></status></delivery-notification></imdn>`,
    { asks: '', type: 'message/imdn+xml' },
  );
const next = (phone: ImpsPhone): Promise<Element> => until(async () => (await phone.drain())[0]);

describe('a message of a phone that CPM took and could not deliver', () => {
  it.each([
    ['by a message in the same conversation, when it asked for nothing', false],
    ['by its delivery report', true],
  ])('is told %s', async (_how, report) => {
    world = await GatewayWorld.start();
    const [before, alice] = [await world.sip('bob', cpmDevice), await world.loggedIn('alice')];
    await before.register(`${cpmDevice};expires=0`);
    const asks = report ? [element('DeliveryReport', true)] : [];
    expect(codeOf(await alice.request(message('later', ['wv:bob@ims.test'], ...asks)))).toBe(200);
    const bob = await world.sip('bob', cpmDevice);
    await bob.answer('MESSAGE', 603);
    const told = await next(alice);
    if (report) expect([told.name, codeOf(told)]).toEqual(['DeliveryReport-Request', 410]);
    else expect(textOf(told, 'ContentData')).toMatch(/^\[Not delivered: Unable to deliver \(410\)/);
  });

  it('is told of once each way: one device refuses it, another has it after all', async () => {
    world = await GatewayWorld.start();
    const [one, two] = [await world.sip('bob', cpmDevice), await world.sip('bob', second)];
    const alice = await world.loggedIn('alice');
    const sent = alice.request(message('both', ['wv:bob@ims.test'], element('DeliveryReport', true)));
    const [request] = await Promise.all([one.answer('MESSAGE', 200), two.answer('MESSAGE', 200)]);
    expect(codeOf(await sent)).toBe(200);
    const tell = async (status: string): Promise<number[]> => {
      const told = notification(request.get('Contribution-ID')!, status);
      expect((await one.ask('MESSAGE', 'sip:alice@ims.test', MESSAGE, told)).status).toBe(200);
      return (await alice.drain()).map(codeOf);
    };
    expect(await tell('failed')).toEqual([410]);
    expect(await tell('error')).toEqual([]);
    expect(await tell('delivered')).toEqual([200]);
    expect(await tell('delivered')).toEqual([]);
  });
});

describe('a message to a phone that expires there', () => {
  it('is told to its sender, who had a 200 for it and asked for nothing', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', cpmDevice);
    await world.loggedIn('alice');
    const sent = { ...MESSAGE, Expires: '1', 'Contribution-ID': 'c-1' };
    const answer = await bob.ask(
      'MESSAGE',
      'sip:alice@ims.test',
      sent,
      chat('m-1', 'too late', { asks: '' }),
    );
    expect(answer.status).toBe(200);
    const body = Buffer.from((await bob.answer('MESSAGE', 200)).body).toString();
    expect(body).toMatch(/<message-id>m-1<\/message-id>[^]*<failed\/>/);
  });
});
