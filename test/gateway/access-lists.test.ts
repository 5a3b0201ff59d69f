import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { element, type Element } from '../../src/imps/codec/element.js';
import { setPolicy } from '../cpm/participating/session-world.js';
import { codeOf, detailsOf, message, type Phone } from '../imps/tools/phone.js';
import { inviteTo, createGroup } from './phone-in-group.js';
import { numberedDevice, SipChat } from './sip-chat.js';
import { GatewayWorld } from './world.js';

let world: GatewayWorld;
beforeEach(async () => {
  // a busy machine must not have a request sent twice
  world = await GatewayWorld.start({ sip: { timers: { t1: 10_000, t2: 10_000 } } });
});
afterEach(() => world.close());

const list = (name: 'Block' | 'Grant', ...users: readonly string[]): Element =>
  element(
    'BlockEntity-Request',
    element(
      `${name}List`,
      element('InUse', true),
      element(
        'AddList',
        users.map((user) => element('UserID', user)),
      ),
    ),
  );
const laidDown = async (phone: Phone, lists: Element): Promise<void> =>
  expect(codeOf(await phone.request(lists))).toBe(200);
const plain = { 'Content-Type': 'text/plain' };
const alices = 'sip:alice@ims.test';

describe('the block list of an IMPS user', () => {
  it('keeps messages and sessions from the SIP devices of the user too, whatever address the sender has', async () => {
    const device = await world.sip('alice', numberedDevice(1));
    const [bob, carol] = [
      await SipChat.of(await world.sip('bob', numberedDevice(2))),
      await world.sip('carol'),
    ];
    const phone = await world.loggedIn('alice');
    await laidDown(phone, list('Block', 'wv:bob@ims.test'));
    expect((await bob.phone.ask('MESSAGE', alices, plain, 'let me in')).status).toBe(603);
    expect((await bob.phone.ask('MESSAGE', 'tel:+15550100001', plain, 'let me in')).status).toBe(603);
    expect((await bob.invite(alices)).status).toBe(603);
    await setPolicy(world.parley, alices, { blockedAnswer: 'silent' });
    expect((await bob.phone.ask('MESSAGE', alices, plain, 'anybody?')).status).toBe(200);
    const asked = carol.ask('MESSAGE', alices, plain, 'hello');
    expect((await device.answer('MESSAGE', 200)).body.toString()).toBe('hello');
    expect((await asked).status).toBe(200);
    expect(await phone.messages()).toEqual(['hello']);
  });

  it('keeps what a phone sends from the SIP devices as well', async () => {
    await world.sip('alice', numberedDevice(1));
    const phone = await world.loggedIn('alice');
    const bob = await world.loggedIn('bob');
    await laidDown(phone, list('Block', 'wv:bob@ims.test'));
    expect(detailsOf(await bob.request(message('let me in', [`wv:alice@ims.test`])))).toEqual([
      '538 wv:alice@ims.test',
    ]);
  });

  it('lets in, when it is a grant list, whom it names and nobody else', async () => {
    const [bob, carol] = [await world.sip('bob'), await world.sip('carol')];
    const phone = await world.loggedIn('alice');
    await laidDown(phone, list('Grant', 'wv:bob@ims.test'));
    expect((await carol.ask('MESSAGE', alices, plain, 'hello')).status).toBe(603);
    expect((await bob.ask('MESSAGE', alices, plain, 'hello')).status).toBe(200);
  });
});

describe('the block list of a CPM user', () => {
  it('keeps messages and invitations of other phones from the phones of the user', async () => {
    const phone = await world.loggedIn('alice');
    const bob = await world.loggedIn('bob');
    const group = 'wv:bob/picnic@ims.test';
    await bob.request(createGroup(group));
    expect(codeOf(await bob.request(message('before', ['wv:alice@ims.test'])))).toBe(200);
    await setPolicy(world.parley, alices, { blocked: ['sip:bob@ims.test'] });
    expect(detailsOf(await bob.request(message('after', ['wv:alice@ims.test'])))).toEqual([
      '532 wv:alice@ims.test',
    ]);
    expect(detailsOf(await bob.request(inviteTo(group, 'i-1', 'wv:alice@ims.test')))).toEqual([
      '532 wv:alice@ims.test',
    ]);
    expect(await phone.messages()).toEqual(['before']);
  });
});
