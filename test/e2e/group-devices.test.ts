import { describe, expect, it } from 'vitest';
import type { Member } from '../../src/cpm/controlling/member.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { accept, cast, created } from '../cpm/controlling/extension-world.js';
import { msrp, rejoin } from '../cpm/controlling/meeting.js';
import { useCleanups } from '../tools/cleanups.js';
import { acceptInvitation, createGroup, descriptionIn, leaveGroup } from '../tools/group-party.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';

const cleanups = useCleanups();
const BOB = '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>';

/** Alice makes a group with bob, whose two devices ring. */
async function ringing() {
  // a busy machine must make the server neither refuse work nor send it twice
  const timers = { t1: 10_000, t2: 10_000 };
  const parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000, timers } });
  cleanups.push(() => parley.stop());
  const party = await cast(parley.port, cleanups);
  createGroup(party.alice, BOB);
  const [first, second] = await Promise.all([
    party.bob.peer.request('INVITE'),
    party.bobsOther.peer.request('INVITE'),
  ]);
  party.bobsOther.peer.answer(second, 180, { Contact: `<${party.bobsOther.contact}>` }, 'other');
  return { parley, party, first, second };
}

const bobIn = (parley: RunningParley): Member =>
  [...parley.app.controlling!.controlling.running][0]!.group.members.find(
    ({ identity }) => identity === 'sip:bob@ims.test',
  )!;

/** Requests that a device has not looked at. */
const requestsAt = ({ peer }: Phone): SipRequest[] =>
  peer.unread.filter((message): message is SipRequest => 'method' in message);

describe('a member with two devices', () => {
  it('is in with the one that answers, and the other one stops ringing', async () => {
    const { parley, party, first, second } = await ringing();
    await accept(party.bob, first);
    const cancel = await party.bobsOther.peer.request('CANCEL');
    party.bobsOther.peer.answer(cancel, 200, {}, 'other');
    party.bobsOther.peer.answer(second, 487, {}, 'other');
    await created(party.alice);
    expect(bobIn(parley)).toMatchObject({ state: 'connected', endpoints: [{ joining: 'dialed-out' }] });
  });

  it('whose other device answers too, as its ringing is taken back, has one session: that one is ended', async () => {
    const { parley, party, first, second } = await ringing();
    const { bob, bobsOther, alice } = party;
    await accept(bob, first);
    await bobsOther.peer.request('CANCEL');
    // its answer had left before
    const { peer, server, contact } = bobsOther;
    acceptInvitation({ peer, server, contact, user: 'other' }, second);
    await bobsOther.peer.request('ACK');
    const bye = await bobsOther.peer.request('BYE');
    bobsOther.peer.answer(bye, 200);
    await created(alice);
    expect(bobIn(parley)).toMatchObject({ state: 'connected', endpoints: [{ joining: 'dialed-out' }] });
    expect(requestsAt(bob)).toEqual([]);
  });

  it('may join with the second one as well: both get what is said, and it is in until both have gone', async () => {
    const { parley, party, first, second } = await ringing();
    const { alice, bob, bobsOther } = party;
    await accept(bob, first);
    bobsOther.peer.answer(await bobsOther.peer.request('CANCEL'), 200, {}, 'other');
    bobsOther.peer.answer(second, 487, {}, 'other');
    await bobsOther.peer.request('ACK');
    const { focus, description } = await created(alice);
    const { answer, media } = await rejoin(bobsOther, focus, cleanups);
    const one = msrp('bob', descriptionIn(first), cleanups);
    const hers = msrp('alice', description, cleanups);
    for (const client of [one, media, hers]) await client.until(/MSRP open0001 200/);
    hers.say('say00001', 'sip:alice@ims.test', focus, 'To both of you');
    for (const client of [one, media]) await client.until(/To both of you/);
    one.say('say00001', 'sip:bob@ims.test', focus, 'From the first');
    for (const client of [hers, media]) await client.until(/From the first/);
    expect(bobIn(parley).endpoints.map(({ joining }) => joining)).toEqual(['dialed-out', 'dialed-in']);
    await leaveGroup(bobsOther, answer, 'SIP;cause=480');
    expect(bobIn(parley)).toMatchObject({ state: 'connected', endpoints: [{ joining: 'dialed-out' }] });
    await leaveGroup(bob, first, 'SIP;cause=480');
    await expect.poll(() => bobIn(parley).state).toBe('away');
  });
});
