import { describe, expect, it, afterEach } from 'vitest';
import { element, textOf } from '../../src/imps/codec/element.js';
import type { UserId } from '../../src/imps/index.js';
import { codeOf, type Phone } from '../imps/tools/phone.js';
import { setPolicy } from '../cpm/participating/session-world.js';
import {
  createGroup,
  everybody,
  inviteTo,
  joinGroup,
  next,
  privately,
  sname,
  toGroup,
} from './phone-in-group.js';
import { chat, numberedDevice, SipChat } from './sip-chat.js';
import { GatewayWorld, until } from './world.js';

const GROUP = 'wv:alice/picnic@ims.test';

let world: GatewayWorld;
afterEach(() => world.close());

/** A group of Alice's phone, which further ones join, by screen name, and Bob's SIP device after them. */
async function start(settings = {}): Promise<{
  bob: SipChat;
  alice: Phone;
  join: (phone: Phone, name: string) => Promise<void>;
}> {
  // a busy machine must not have a request sent twice
  world = await GatewayWorld.start({ ...settings, sip: { timers: { t1: 10_000, t2: 10_000 } } });
  // a number of nobody on the SIP side
  const nobody = {
    user: 'wv:+46701234567@ims.test' as UserId,
    password: '+46701234567-secret',
    msisdn: undefined,
    state: 'active',
    createdAt: 0,
  } as const;
  await world.parley.app.imps!.server.users.create(nobody);
  const bob = await SipChat.of(await world.sip('bob', numberedDevice(1)));
  const alice = await world.loggedIn('alice');
  expect(codeOf(await alice.request(createGroup(GROUP)))).toBe(200);
  const join = async (phone: Phone, name: string): Promise<void> =>
    expect((await phone.request(joinGroup(GROUP, name))).name).toBe('JoinGroup-Response');
  return { bob, alice, join };
}

const letIn = async (bob: SipChat, alice: Phone): Promise<void> => {
  const [, sent] = await Promise.all([
    bob.answer(),
    alice.request(inviteTo(GROUP, 'i-1', 'wv:bob@ims.test')),
  ]);
  expect(codeOf(sent)).toBe(200);
  expect(textOf(await next(alice, 'Invite-Response'), 'Acceptance')).toBe('T');
};
/** How many sessions the focus has. */
const sessions = async (): Promise<number> => {
  const metrics = await (await fetch(`${world.parley.api}/metrics`)).text();
  return Number(/^parley_group_sessions(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1]);
};
const hears = (bob: SipChat, text: string): Promise<true> =>
  until(() => bob.heard.some((one) => one.endsWith(text)) || undefined);
const heard = async (phone: Phone): Promise<readonly (string | undefined)[]> => {
  const message = await next(phone, 'NewMessage');
  return [textOf(message, 'ContentData'), sname(message)];
};

describe('when a group of phones becomes a CPM group session', () => {
  it('a member without SIP identity hears and is heard', async () => {
    const { bob, alice, join } = await start();
    const zoe = await world.loggedIn('+46701234567');
    await join(zoe, 'Zoe');
    await letIn(bob, alice);
    expect(codeOf(await alice.request(toGroup('sandwiches', everybody(GROUP))))).toBe(200);
    expect(await heard(zoe)).toEqual(['sandwiches', 'Alice']);
    expect(codeOf(await zoe.request(toGroup('cake', everybody(GROUP))))).toBe(200);
    expect(await heard(alice)).toEqual(['cake', 'Zoe']);
    await hears(bob, 'cake');
    expect(await bob.say(chat('g-1', 'lemonade', { asks: '' }))).toBe(200);
    expect(await heard(zoe)).toEqual(['lemonade', 'bob']);
    expect(codeOf(await alice.request(toGroup('psst', privately(GROUP, 'Zoe'))))).toBe(200);
    expect(await heard(zoe)).toEqual(['psst', 'Alice']);
  });

  it('a member who takes no CPM sessions hears all the same: it has joined by itself', async () => {
    const { bob, alice, join } = await start();
    await setPolicy(world.parley, 'sip:carol@ims.test', { phoneSessions: 'refuse' });
    const carol = await world.loggedIn('carol');
    await join(carol, 'Carol');
    await letIn(bob, alice);
    expect(await bob.say(chat('g-1', 'lemonade', { asks: '' }))).toBe(200);
    expect(await heard(carol)).toEqual(['lemonade', 'bob']);
  });

  it('a member whom it cannot take is in the group no more, and hears why', async () => {
    const { bob, alice, join } = await start({ gateway: { sessions: { perPhone: 1 } } });
    const carol = await world.loggedIn('carol');
    await carol.request(createGroup('wv:carol/other@ims.test'));
    await Promise.all([
      bob.answer(),
      carol.request(inviteTo('wv:carol/other@ims.test', 'i-1', 'wv:bob@ims.test')),
    ]);
    await next(carol, 'Invite-Response');
    await join(carol, 'Carol');
    await letIn(await SipChat.of(bob.phone), alice);
    expect(codeOf(await next(carol, 'LeaveGroup-Response'))).toBe(538);
    const members = await alice.request(element('GetJoinedUsers-Request', element('GroupID', GROUP)));
    expect(JSON.stringify(members)).not.toContain('Carol');
  });

  it('every phone of a user that has joined hears each message once, before it has said anything', async () => {
    const { bob, alice, join } = await start();
    const phones = [
      await world.loggedIn('carol'),
      await world.loggedIn('carol', { clientId: 'wv:test2$lab@maker.m1.1' }),
    ];
    const second = await world.loggedIn('alice', { clientId: 'wv:test2$lab@maker.m1.1' });
    for (const phone of phones) await join(phone, 'Carol');
    await join(second, 'Alice');
    await letIn(bob, alice);
    await until(async () => ((await sessions()) === 5 ? true : undefined));
    expect(await bob.say(chat('g-1', 'lemonade', { asks: '' }))).toBe(200);
    for (const phone of [...phones, second, alice]) expect(await heard(phone)).toEqual(['lemonade', 'bob']);
    for (const phone of [...phones, second, alice]) expect(await phone.messages()).toEqual([]);
    // one phone of the user leaves, the other is still in
    await phones[0]!.request(element('LeaveGroup-Request', element('GroupID', GROUP)));
    expect(await bob.say(chat('g-2', 'ice', { asks: '' }))).toBe(200);
    expect(await heard(phones[1]!)).toEqual(['ice', 'bob']);
  });
});
