import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Group } from '../../src/cpm/controlling/group.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import { accept } from '../cpm/controlling/extension-world.js';
import { acknowledge, cpmDevice, createGroup } from '../tools/group-party.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';

const BOB = '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>';
let parley: RunningParley;
let alice: Phone;
let bob: Phone;
let carol: Phone;
let dave: Phone;
let contributions = 0;

beforeAll(async () => {
  parley = await startParley({
    auth: 'none',
    // a busy machine must make the server not send twice
    sip: { timers: { t1: 10_000, t2: 10_000 } },
    cpm: { groups: { maximum: 4, ringing: 100 } },
  });
  const uuid = (n: number): string => `6ca759e8-d1b1-5dee-95f9-e36d2aca6e0${n}`;
  alice = await cpmDevice('alice', uuid(1), parley.port);
  bob = await cpmDevice('bob', uuid(2), parley.port);
  carol = await cpmDevice('carol', uuid(3), parley.port);
  dave = await cpmDevice('dave', uuid(4), parley.port);
});
afterAll(async () => {
  for (const phone of [alice, bob, carol, dave]) phone.close();
  await parley.stop();
});

/** A group of alice and bob. @returns alice's 200. */
async function group(): Promise<SipResponse> {
  createGroup(alice, BOB, `refer-${++contributions}`);
  await accept(bob, await bob.peer.request('INVITE'));
  const answer = await alice.peer.response(200);
  acknowledge(alice, answer);
  return answer;
}

const uriOf = (answer: SipResponse): string => answer.contacts[0]!.uriText;
const groupOf = async (answer: SipResponse): Promise<Group> =>
  (await parley.app.controlling!.groups.get(/sip:([^@]+)/.exec(uriOf(answer))![1]!))!;
const stateOf = async (answer: SipResponse, name: string): Promise<string | undefined> =>
  (await groupOf(answer)).members.find(({ identity }) => identity === `sip:${name}@ims.test`)?.state;

/** A REFER of alice inside her session. @returns its response. */
function inDialog(answer: SipResponse, cseq: number, headers: HeaderMap, body = ''): Promise<SipResponse> {
  return alice.ask(
    'REFER',
    uriOf(answer),
    {
      From: answer.get('From'),
      To: answer.get('To'),
      'Call-ID': answer.callId,
      CSeq: `${cseq} REFER`,
      ...headers,
    },
    body,
  );
}

/** Answers the next NOTIFY. @returns what it says. */
async function told(phone: Phone): Promise<{ notify: SipRequest; line: string; state: string }> {
  const notify = await phone.peer.request('NOTIFY');
  phone.peer.answer(notify, 200);
  expect(notify.get('Content-Type')).toMatch(/^message\/sipfrag/);
  const line = Buffer.from(notify.body).toString().trim();
  return { notify, line, state: notify.get('Subscription-State')! };
}

const requestsAt = ({ peer }: Phone): unknown[] => peer.unread.filter((message) => 'method' in message);

describe('a REFER to the focus', () => {
  it('inside the session is answered at once, and how the invitation ends comes by NOTIFY in that dialog', async () => {
    const answer = await group();
    const accepted = await inDialog(answer, 100, { 'Refer-To': '<sip:carol@ims.test>' });
    expect([accepted.status, accepted.has('Refer-Sub')]).toEqual([202, false]);
    const first = await told(alice);
    expect([first.line, first.notify.callId]).toEqual(['SIP/2.0 100 Trying', answer.callId]);
    expect(first.notify.get('Event')).toBe('refer;id=100');
    // as long as it may ring, and some seconds for its end to be told
    expect(first.state).toBe('active;expires=132');
    const invite = await carol.peer.request('INVITE');
    expect(invite.get('Referred-By')).toBe('<sip:alice@ims.test>');
    carol.peer.answer(invite, 180, { Contact: `<${carol.contact}>` }, 'carol');
    expect(requestsAt(alice)).toEqual([]);
    await accept(carol, invite);
    const last = await told(alice);
    expect([last.line, last.state]).toEqual(['SIP/2.0 200 OK', 'terminated;reason=noresource']);
    expect(await stateOf(answer, 'carol')).toBe('connected');
  });

  it.each([
    [603, 'SIP/2.0 603 Decline'],
    [486, 'SIP/2.0 486 Busy Here'],
  ])('tells a refusal with %i as it is', async (status, line) => {
    const answer = await group();
    expect((await inDialog(answer, 100, { 'Refer-To': '<sip:carol@ims.test>' })).status).toBe(202);
    expect((await told(alice)).line).toBe('SIP/2.0 100 Trying');
    carol.peer.answer(await carol.peer.request('INVITE'), status, {}, 'carol');
    const last = await told(alice);
    expect([last.line, last.state]).toEqual([line, 'terminated;reason=noresource']);
    expect(await stateOf(answer, 'carol')).toBe('refused');
  });

  it('tells two of one session apart', async () => {
    const answer = await group();
    await inDialog(answer, 100, { 'Refer-To': '<sip:carol@ims.test>' });
    await told(alice);
    await inDialog(answer, 101, { 'Refer-To': '<sip:dave@ims.test>' });
    expect((await told(alice)).notify.get('Event')).toBe('refer;id=101');
    dave.peer.answer(await dave.peer.request('INVITE'), 603, {}, 'dave');
    const second = await told(alice);
    expect([second.notify.get('Event'), second.line]).toEqual(['refer;id=101', 'SIP/2.0 603 Decline']);
    carol.peer.answer(await carol.peer.request('INVITE'), 486, {}, 'carol');
    const first = await told(alice);
    expect([first.notify.get('Event'), first.line]).toEqual(['refer;id=100', 'SIP/2.0 486 Busy Here']);
  });

  it('for somebody who rings already tells how that ringing ends, and rings no second time', async () => {
    const answer = await group();
    await inDialog(answer, 100, { 'Refer-To': '<sip:carol@ims.test>' });
    await told(alice);
    const invite = await carol.peer.request('INVITE');
    await inDialog(answer, 101, { 'Refer-To': '<sip:carol@ims.test>' });
    const second = await told(alice);
    expect([second.notify.get('Event'), second.line]).toEqual(['refer;id=101', 'SIP/2.0 100 Trying']);
    expect([requestsAt(alice), requestsAt(carol)]).toEqual([[], []]);
    carol.peer.answer(invite, 603, {}, 'carol');
    for (const id of [100, 101]) {
      const last = await told(alice);
      expect([last.notify.get('Event'), last.line]).toEqual([`refer;id=${id}`, 'SIP/2.0 603 Decline']);
    }
  });

  it('for who was put out while it rang is an invitation of its own, whatever becomes of the other', async () => {
    const answer = await group();
    const add = { 'Refer-To': '<sip:carol@ims.test>', 'Refer-Sub': 'false' };
    await inDialog(answer, 100, add);
    const first = await carol.peer.request('INVITE');
    carol.peer.answer(first, 180, { Contact: `<${carol.contact}>` }, 'carol');
    await inDialog(answer, 101, { ...add, 'Refer-To': '<sip:carol@ims.test;method=BYE>' });
    carol.peer.answer(await carol.peer.request('CANCEL'), 200, {}, 'carol');
    await inDialog(answer, 102, add);
    const second = await carol.peer.request('INVITE');
    carol.peer.answer(first, 487, {}, 'carol');
    await carol.peer.request('ACK');
    expect(await stateOf(answer, 'carol')).toBe('invited');
    await accept(carol, second);
    await expect.poll(() => stateOf(answer, 'carol')).toBe('connected');
  });

  it('outside the session makes a subscription of its own', async () => {
    const answer = await group();
    const accepted = await alice.ask('REFER', uriOf(answer), { 'Refer-To': '<sip:carol@ims.test>' });
    expect([accepted.status, accepted.has('Refer-Sub')]).toEqual([202, false]);
    expect(accepted.contacts[0]!.uriText).toBe(uriOf(answer));
    const first = await told(alice);
    expect([first.notify.callId, first.notify.fromTag]).toEqual([accepted.callId, accepted.toTag]);
    expect([first.notify.get('Event'), first.line]).toEqual(['refer', 'SIP/2.0 100 Trying']);
    await accept(carol, await carol.peer.request('INVITE'));
    const last = await told(alice);
    expect([last.line, last.state]).toEqual(['SIP/2.0 200 OK', 'terminated;reason=noresource']);
  });

  it.each(['inside', 'outside'])(
    'with Refer-Sub: false %s the session is told nothing more (RFC 4488)',
    async (where) => {
      const answer = await group();
      const headers = { 'Refer-To': '<sip:carol@ims.test>', 'Refer-Sub': 'false', Supported: 'norefersub' };
      const accepted = await (where === 'inside'
        ? inDialog(answer, 100, headers)
        : alice.ask('REFER', uriOf(answer), headers));
      expect([accepted.status, accepted.get('Refer-Sub')]).toEqual([202, 'false']);
      await accept(carol, await carol.peer.request('INVITE'));
      await expect.poll(() => stateOf(answer, 'carol')).toBe('connected');
      expect(requestsAt(alice)).toEqual([]);
    },
  );

  it('with a list adds and removes several, and makes no subscription (RFC 5368)', async () => {
    const answer = await group();
    const list =
      '<?xml version="1.0"?><resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list>' +
      '<entry uri="sip:carol@ims.test"/><entry uri="sip:dave@ims.test"/><entry uri="sip:bob@ims.test;method=BYE"/>' +
      '</list></resource-lists>';
    const headers = {
      'Refer-To': '<cid:cn35t8jf02@ims.test>',
      Require: 'multiple-refer, norefersub',
      'Content-Type': 'application/resource-lists+xml',
      'Content-Disposition': 'recipient-list',
      'Content-ID': '<cn35t8jf02@ims.test>',
    };
    const accepted = await inDialog(answer, 100, headers, list);
    expect([accepted.status, accepted.get('Refer-Sub')]).toEqual([202, 'false']);
    const bye = await bob.peer.request('BYE');
    expect(bye.get('Reason')).toContain('cause=410');
    bob.peer.answer(bye, 200);
    await Promise.all([carol, dave].map(async (phone) => accept(phone, await phone.peer.request('INVITE'))));
    await expect
      .poll(async () => (await groupOf(answer)).members.map(({ state }) => state))
      .toEqual(['connected', 'removed', 'connected', 'connected']);
    expect(requestsAt(alice)).toEqual([]);
    // one that cannot all be followed is not followed at all
    const tooMany = list.replace(
      '</list>',
      '<entry uri="sip:erin@ims.test"/><entry uri="sip:fred@ims.test"/></list>',
    );
    expect((await inDialog(answer, 101, headers, tooMany)).status).toBe(403);
    const other = { ...headers, 'Content-ID': '<other@ims.test>' };
    expect((await inDialog(answer, 102, other, list)).status).toBe(400);
  });

  it('is refused with 486 when the group is full', async () => {
    const answer = await group();
    const added = inDialog(answer, 100, {
      'Refer-To': '<sip:carol@ims.test>',
      'Refer-Sub': 'false',
    });
    await accept(carol, await carol.peer.request('INVITE'));
    expect((await added).status).toBe(202);
    await inDialog(answer, 101, { 'Refer-To': '<sip:dave@ims.test>', 'Refer-Sub': 'false' });
    await accept(dave, await dave.peer.request('INVITE'));
    const full = await inDialog(answer, 102, { 'Refer-To': '<sip:erin@ims.test>' });
    expect(full.status).toBe(486);
    expect(await stateOf(answer, 'erin')).toBeUndefined();
  });

  it('that removes the group itself ends it for good, which only its chairman may do', async () => {
    const answer = await group();
    const close = { 'Refer-To': `<${uriOf(answer)};method=BYE>`, 'Refer-Sub': 'false' };
    expect((await bob.ask('REFER', uriOf(answer), close)).status).toBe(403);
    expect((await inDialog(answer, 100, close)).status).toBe(202);
    for (const phone of [alice, bob]) {
      const bye = await phone.peer.request('BYE');
      expect(bye.get('Reason')).toContain('cause=410');
      phone.peer.answer(bye, 200);
    }
    expect((await bob.ask('INVITE', uriOf(answer), { 'Content-Type': 'application/sdp' })).status).toBe(404);
  });

  it('may remove who sent it, who is no chairman', async () => {
    const answer = await group();
    const out = await bob.ask('REFER', uriOf(answer), {
      'Refer-To': '<sip:bob@ims.test;method=BYE>',
      'Refer-Sub': 'false',
    });
    expect(out.status).toBe(202);
    bob.peer.answer(await bob.peer.request('BYE'), 200);
    // nobody has put it out: it may come back as any other who left
    expect(await stateOf(answer, 'bob')).toBe('left');
  });

  it('of a stranger, and of somebody who was removed, is refused with 403', async () => {
    const answer = await group();
    const refer = (phone: Phone, who: string) =>
      phone.ask('REFER', uriOf(answer), { 'Refer-To': `<${who}>` }).then(({ status }) => status);
    expect(await refer(dave, 'sip:dave@ims.test')).toBe(403);
    expect(await refer(dave, 'sip:bob@ims.test;method=BYE')).toBe(403);
    expect(await refer(bob, 'sip:alice@ims.test;method=BYE')).toBe(403);
    const out = await inDialog(answer, 100, {
      'Refer-To': '<sip:bob@ims.test;method=BYE>',
      'Refer-Sub': 'false',
    });
    expect(out.status).toBe(202);
    bob.peer.answer(await bob.peer.request('BYE'), 200);
    expect(await refer(bob, 'sip:carol@ims.test')).toBe(403);
    expect(requestsAt(carol)).toEqual([]);
  });

  it('for somebody who was put out is followed for the chairman alone', async () => {
    const answer = await group();
    await inDialog(answer, 100, { 'Refer-To': '<sip:carol@ims.test>', 'Refer-Sub': 'false' });
    await accept(carol, await carol.peer.request('INVITE'));
    const out = { 'Refer-To': '<sip:carol@ims.test;method=BYE>', 'Refer-Sub': 'false' };
    expect((await inDialog(answer, 101, out)).status).toBe(202);
    carol.peer.answer(await carol.peer.request('BYE'), 200);
    const back = { 'Refer-To': '<sip:carol@ims.test>', 'Refer-Sub': 'false' };
    expect((await bob.ask('REFER', uriOf(answer), back)).status).toBe(403);
    expect(requestsAt(carol)).toEqual([]);
    expect((await inDialog(answer, 102, back)).status).toBe(202);
    await accept(carol, await carol.peer.request('INVITE'));
  });

  it('is followed when its Refer-To has no angle brackets, as clients write it', async () => {
    const answer = await group();
    const added = await inDialog(answer, 100, { 'Refer-To': 'sip:carol@ims.test', 'Refer-Sub': 'false' });
    expect(added.status).toBe(202);
    carol.peer.answer(await carol.peer.request('INVITE'), 603, {}, 'carol');
  });

  it('is done also when who asked has gone', async () => {
    const answer = await group();
    await inDialog(answer, 100, { 'Refer-To': '<sip:carol@ims.test>' });
    await told(alice);
    const invite = await carol.peer.request('INVITE');
    const ended = await alice.ask('BYE', uriOf(answer), {
      From: answer.get('From'),
      To: answer.get('To'),
      'Call-ID': answer.callId,
      CSeq: '101 BYE',
    });
    expect(ended.status).toBe(200);
    await accept(carol, invite);
    await expect.poll(() => stateOf(answer, 'carol')).toBe('connected');
    expect(requestsAt(alice)).toEqual([]);
  });
});
