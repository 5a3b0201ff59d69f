import { afterEach, describe, expect, it } from 'vitest';
import { element } from '../../src/imps/codec/element.js';
import { sessionsOf, setPolicy } from '../cpm/participating/session-world.js';
import { soon } from '../tools/soon.js';
import { cpmDevice, SipChat } from './sip-chat.js';
import { GatewayWorld } from './world.js';

let world: GatewayWorld;
afterEach(() => world.close());

const ALICE = 'sip:alice@ims.test';
const BOB = 'sip:bob@ims.test';
const other = cpmDevice.replace('35824005-111111-0', '35824005-222222-0');

/** The services that the sessions of a user have. */
const services = async (user: string): Promise<string[]> =>
  (await sessionsOf(world.parley, `?aor=${user}`)).map(({ service }) => String(service).split('.').at(-1)!);

describe('the list of sessions, and the limit on them, know a session whose other end is in the server', () => {
  it.each([
    ['out of the media path', {}],
    ['in the media path', { mediaPath: true }],
  ])('with an IMPS phone, %s, until either side ends it', async (_, policy) => {
    world = await GatewayWorld.start();
    const bob = await SipChat.of(await world.sip('bob', other));
    const alice = await world.loggedIn('alice');
    await setPolicy(world.parley, BOB, { ...policy, maxSessions: 1 });
    expect((await bob.invite(ALICE)).status).toBe(200);
    await soon(async () => [await services(ALICE), await services(BOB)]).toEqual([['session'], ['session']]);
    expect((await (await SipChat.of(bob.phone)).invite(ALICE)).status).toBe(486);
    expect((await bob.bye()).status).toBe(200);
    await soon(() => sessionsOf(world.parley)).toEqual([]);
    expect((await bob.invite(ALICE)).status).toBe(200);
    await soon(() => services(BOB)).toEqual(['session']);
    await Promise.all([bob.phone.answer('BYE', 200), alice.request(element('Logout-Request'))]);
    await soon(() => sessionsOf(world.parley)).toEqual([]);
  });

  it.each([
    ['out of the media path', {}],
    ['in the media path', { mediaPath: true }],
  ])('with a user who was invited by the wv address, %s', async (_, policy) => {
    world = await GatewayWorld.start();
    const alice = await SipChat.of(await world.sip('alice', cpmDevice));
    const bob = await SipChat.of(await world.sip('bob', other));
    await setPolicy(world.parley, BOB, { ...policy, maxSessions: 1 });
    const [, invited] = await Promise.all([alice.answer(), bob.invite('wv:alice@ims.test')]);
    expect(invited.status).toBe(200);
    await soon(async () => [await services(ALICE), await services(BOB)]).toEqual([['session'], ['session']]);
    expect(await sessionsOf(world.parley)).toMatchObject([
      { caller: { user: BOB }, callee: { user: ALICE } },
    ]);
    expect((await (await SipChat.of(bob.phone)).invite('wv:alice@ims.test')).status).toBe(486);
    const [, bye] = await Promise.all([alice.phone.answer('BYE', 200), bob.bye()]);
    expect(bye.status).toBe(200);
    await soon(() => sessionsOf(world.parley)).toEqual([]);
  });

  it.each([
    ['out of the media path', {}],
    ['in the media path of who makes it', { mediaPath: true }],
  ])('with a group, %s, of who makes it and of who is invited', async (_, policy) => {
    world = await GatewayWorld.start();
    const alice = await SipChat.of(await world.sip('alice', cpmDevice));
    const bob = await SipChat.of(await world.sip('bob', other));
    await setPolicy(world.parley, ALICE, { ...policy, maxSessions: 1 });
    const [, made] = await Promise.all([bob.answer(), alice.createGroup([BOB], 'g-1')]);
    expect(made.status).toBe(200);
    await soon(async () => [await services(ALICE), await services(BOB)]).toEqual([['group'], ['group']]);
    expect((await (await SipChat.of(alice.phone)).createGroup([BOB], 'g-2')).status).toBe(486);
    expect((await alice.bye()).status).toBe(200);
    await soon(async () => [await services(ALICE), await services(BOB)]).toEqual([[], ['group']]);
    expect((await bob.bye()).status).toBe(200);
    await soon(() => sessionsOf(world.parley)).toEqual([]);
  });
});
