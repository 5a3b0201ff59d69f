import { describe, expect, it } from 'vitest';
import { preferenceFor } from '../../../src/cpm/policy/chosen-device.js';
import { cpmServices } from '../../../src/identity/cpm-services.js';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import { unquote } from '../../../src/sip/message/lexer.js';
import { useCleanups } from '../../tools/cleanups.js';
import { startParley, type RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { ALICE, BOB, BOB2, device, setPolicy } from '../participating/session-world.js';

const cleanups = useCleanups();
const MESSAGE = [cpmServices.message];
const PAGER: HeaderMap = {
  Contact: undefined,
  'P-Preferred-Service': cpmServices.message,
  'Content-Type': 'text/plain',
};

async function server(): Promise<RunningParley> {
  const timers = { t1: 10_000, t2: 10_000 };
  const parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000, timers } });
  cleanups.push(() => parley.stop());
  return parley;
}

async function phone(user: string, parley: RunningParley, contactParams: string): Promise<Phone> {
  const opened = await Phone.open(user, parley.port);
  cleanups.push(() => opened.close());
  await opened.register(contactParams, { Supported: 'gruu' });
  return opened;
}

const status = async (from: Phone, text = 'hello'): Promise<number> =>
  (await from.ask('MESSAGE', 'sip:bob@ims.test', PAGER, text)).status;
const quiet = (one: Phone): void => {
  expect(one.peer.unread.filter((message) => 'method' in message)).toEqual([]);
};

describe('a pager mode message', () => {
  it('of a blocked sender is declined, forbidden, or swallowed with 200, as the recipient wishes', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE, MESSAGE));
    const bob = await phone('bob', parley, device(BOB, MESSAGE));
    await setPolicy(parley, 'sip:bob@ims.test', { blocked: ['sip:alice@ims.test'] });
    expect(await status(alice)).toBe(603);
    await setPolicy(parley, 'sip:bob@ims.test', { blockedAnswer: 'forbid' });
    expect(await status(alice)).toBe(403);
    await setPolicy(parley, 'sip:bob@ims.test', { blockedAnswer: 'silent' });
    expect(await status(alice)).toBe(200);
    expect(parley.app.trail.counts().get('cpm.message-swallowed')).toBe(1);
    quiet(bob);
  });

  it('is refused with Warning 399 to whom may not send, and above the size and rate that are allowed', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE, MESSAGE));
    await setPolicy(parley, 'sip:alice@ims.test', { services: ['sessions'] });
    const refused = await alice.ask('MESSAGE', 'sip:bob@ims.test', PAGER, 'hello');
    expect(refused.status).toBe(403);
    expect(refused.get('Warning')).toBe('399 ims.test "127 Service not authorised"');
    await setPolicy(parley, 'sip:alice@ims.test', { services: null, maxBytes: 4 });
    expect(await status(alice)).toBe(403);
    await setPolicy(parley, 'sip:alice@ims.test', { maxBytes: null, messagesPerMinute: 0 });
    expect(await status(alice)).toBe(403);
    await setPolicy(parley, 'sip:alice@ims.test', { messagesPerMinute: null });
    await phone('bob', parley, device(BOB, MESSAGE)).then((bob) =>
      bob.register(device(BOB, MESSAGE), { Expires: '0' }),
    );
    expect(await status(alice)).toBe(202);
  });

  it('waits while the recipient is not to be disturbed, and comes at the end of that', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE, MESSAGE));
    const bob = await phone('bob', parley, device(BOB, MESSAGE));
    await setPolicy(parley, 'sip:bob@ims.test', { doNotDisturb: true });
    expect(await status(alice)).toBe(202);
    await setPolicy(parley, 'sip:bob@ims.test', { doNotDisturb: null });
    expect(Buffer.from((await bob.answer('MESSAGE', 200, { Contact: [] })).body).toString()).toBe('hello');
  });

  it.each([
    ['by its GRUU', `sip:bob@ims.test;gr=${BOB}`, {}],
    ['by Accept-Contact', 'sip:bob@ims.test', { 'Accept-Contact': preferenceFor(BOB) }],
  ])('waits also where it is for one device %s, whichever its user chooses', async (_, to, aim) => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE, MESSAGE));
    const bob = await phone('bob', parley, device(BOB, MESSAGE));
    const two = await phone('bob', parley, device(BOB2, MESSAGE));
    await setPolicy(parley, 'sip:bob@ims.test', { doNotDisturb: true, deliverTo: BOB });
    const headers = { 'P-Preferred-Service': cpmServices.message, ...aim };
    expect((await alice.ask('MESSAGE', to, headers, 'hello')).status).toBe(202);
    await setPolicy(parley, 'sip:bob@ims.test', { doNotDisturb: null, deliverTo: BOB2 });
    expect(Buffer.from((await bob.answer('MESSAGE', 200, { Contact: [] })).body).toString()).toBe('hello');
    quiet(two);
  });

  it('waits for the device of its GRUU, which has temporary ones and is written in more than one way', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE, MESSAGE));
    const bob = await phone('bob', parley, device(BOB, MESSAGE));
    const registered = await bob.register(device(BOB, MESSAGE), { Supported: 'gruu' });
    const temporary = unquote(registered.contacts[0]!.params.get('temp-gruu')!);
    await setPolicy(parley, 'sip:bob@ims.test', { doNotDisturb: true });
    const gr = BOB.replace('urn:uuid:', '').toUpperCase();
    for (const to of [temporary, `sip:bob@IMS.test;transport=udp;gr=urn:uuid:${gr}`])
      expect((await alice.ask('MESSAGE', to, PAGER, 'hello')).status).toBe(202);
    quiet(bob);
  });

  it('that waits for the chosen device goes to another one that is chosen meanwhile', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE, MESSAGE));
    const bob = await phone('bob', parley, device(BOB, MESSAGE));
    await setPolicy(parley, 'sip:bob@ims.test', { deliverTo: BOB2 });
    expect(await status(alice)).toBe(202);
    await setPolicy(parley, 'sip:bob@ims.test', { deliverTo: BOB });
    expect(Buffer.from((await bob.answer('MESSAGE', 200, { Contact: [] })).body).toString()).toBe('hello');
  });

  it('goes to the chosen device alone, and waits for it', async () => {
    const parley = await server();
    const alice = await phone('alice', parley, device(ALICE, MESSAGE));
    const one = await phone('bob', parley, device(BOB, MESSAGE));
    await setPolicy(parley, 'sip:bob@ims.test', { deliverTo: BOB2 });
    expect(await status(alice)).toBe(202);
    const two = await phone('bob', parley, device(BOB2, MESSAGE));
    expect(Buffer.from((await two.answer('MESSAGE', 200, { Contact: [] })).body).toString()).toBe('hello');
    quiet(one);
  });
});

describe('the policy of a user', () => {
  it('that makes no sense is refused by the API, and one of nobody is not found', async () => {
    const parley = await server();
    await phone('bob', parley, device(BOB, MESSAGE));
    expect(await setPolicy(parley, 'sip:bob@ims.test', { maxSessions: -1 })).toBe(400);
    expect(await setPolicy(parley, 'sip:bob@ims.test', { unheardOf: true })).toBe(400);
    expect(await setPolicy(parley, 'sip:nobody@elsewhere.test', { maxSessions: 1 })).toBe(404);
  });
});
