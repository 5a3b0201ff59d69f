import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InterworkedInvitation } from '../../src/cpm/interworking/function.js';
import { accept, created } from '../cpm/controlling/extension-world.js';
import {
  acceptInvitation,
  acknowledge,
  cpmDevice,
  createGroup,
  FACTORY,
  joinGroup,
} from '../tools/group-party.js';
import type { SipResponse } from '../../src/sip/message/message.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';

const BOB = '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>';
let parley: RunningParley;
let alice: Phone;
let bob: Phone;
let mallory: Phone;
let contributions = 0;
const contribution = (): string => `refusal-${++contributions}`;

beforeAll(async () => {
  parley = await startParley({
    auth: 'none',
    // a busy machine must make the server neither refuse work nor send it twice
    sip: { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } },
    cpm: { groups: { maximum: 4 } },
  });
  const uuid = (n: number): string => `6ca759e8-d1b1-5dee-95f9-e36d2aca6b0${n}`;
  alice = await cpmDevice('alice', uuid(1), parley.port);
  bob = await cpmDevice('bob', uuid(2), parley.port);
  mallory = await cpmDevice('mallory', uuid(3), parley.port);
});
afterAll(async () => {
  for (const phone of [alice, bob, mallory]) phone.close();
  await parley.stop();
});

/** The status that a list gets. */
async function refused(entries: string): Promise<number> {
  createGroup(alice, entries, contribution());
  return (await alice.peer.response(200)).status;
}

/** A group of alice and bob. @returns the group session identity, and the 200 that bob can take requests back from. */
async function group(): Promise<string> {
  createGroup(alice, BOB, contribution());
  await accept(bob, await bob.peer.request('INVITE'));
  return (await created(alice)).focus;
}

const nested = (depth: number, inner: string): string =>
  '<list>'.repeat(depth) + inner + '</list>'.repeat(depth);
const many = Array.from({ length: 5 }, (_, i) => `<entry uri="sip:u${i}@ims.test"/>`).join('');

describe('a list of recipients', () => {
  it.each([
    ['is empty', '', 403],
    ['names only its creator', '<entry uri="sip:alice@ims.test"/>', 403],
    ['names more than a group may have', many, 403],
    ['names more than can be read at once', many.repeat(400), 403],
    ['names a group', '<entry uri="sip:gs-another@ims.test"/>', 400],
    ['names the factory', `${BOB}<entry uri="${FACTORY}"/>`, 400],
    ['is nested too deep', nested(20, BOB), 400],
    ['refers to an entity', '<entry uri="&bomb;"/>', 400],
    ['is not well-formed', '<entry', 400],
    ['has an entry without address', '<entry/>', 400],
    ['has an entry that is no address', '<entry uri="bob"/>', 400],
    ['asks for another method', '<entry uri="sip:bob@ims.test;method=MESSAGE"/>', 400],
    ['asks for removal', `${BOB}<entry uri="sip:mallory@ims.test;method=BYE"/>`, 400],
    ['asks for removal as RFC 5368 writes it', '<entry uri="sip:bob@ims.test?method=BYE"/>', 400],
    [
      'hides a line break in a header field',
      '<entry uri="sip:bob@ims.test?Session-Replaces=a%0D%0ARoute:x"/>',
      400,
    ],
    ['has a Replaces that is none', '<entry uri="sip:bob@ims.test?Replaces=abc"/>', 400],
  ])('that %s is refused', async (_why, entries, status) => {
    expect(await refused(entries)).toBe(status);
    expect(bob.peer.unread).toEqual([]);
  });

  it('with duplicates, lists in lists and its creator invites each other user once', async () => {
    createGroup(
      alice,
      `${BOB}<entry uri="sip:BOB@ims.test"/><entry uri="sip:bob@IMS.test;x=y"/>` +
        `<entry uri="sip:alice@ims.test"/><list>${BOB}</list>`,
      contribution(),
    );
    // a user part is compared with its case (RFC 3261 §19.1.4): BOB is somebody else, who is not there
    const invite = await bob.peer.request('INVITE');
    await accept(bob, invite);
    const { focus } = await created(alice);
    expect(
      Buffer.from(invite.body)
        .toString()
        .match(/sip:bob@ims\.test/g),
    ).toHaveLength(1);
    expect(bob.peer.unread).toEqual([]);
    const running = parley.app.controlling!.controlling.focusOf(/sip:([^@]+)/.exec(focus)![1]!);
    expect(running!.group.members.map(({ identity }) => identity)).toEqual([
      'sip:alice@ims.test',
      'sip:bob@ims.test',
      'sip:BOB@ims.test',
    ]);
  });

  it('smuggles no header field into an invitation', async () => {
    const smuggled = [
      ['Route', '<sip:mallory@127.0.0.1:9;lr>'],
      ['From', '<sip:mallory@ims.test>'],
      ['P-Asserted-Identity', '<sip:king@ims.test>'],
      ['Via', 'SIP/2.0/UDP evil'],
      ['Contact', '<sip:evil@127.0.0.1>'],
      ['Body', 'evil'],
    ]
      .map(([name, value]) => `${name}=${encodeURIComponent(value!)}`)
      .join('&amp;');
    createGroup(alice, `<entry uri="sip:bob@ims.test?${smuggled}" cp:copyControl="to"/>`, contribution());
    const invite = await bob.peer.request('INVITE');
    expect(Buffer.concat(bob.peer.datagrams.slice(-1)).toString()).not.toMatch(/mallory|king|evil/);
    expect(invite.from.uriText).toMatch(/^sip:gs-/);
    await accept(bob, invite);
    await created(alice);
  });

  it('gives an invitation the Subject that its entry has, and the others that of the group', async () => {
    const entries = `<entry uri="sip:bob@ims.test?Subject=F%C3%BCr%20Bob" cp:copyControl="to"/><entry uri="sip:mallory@ims.test"/>`;
    createGroup(alice, entries, contribution());
    const [toBob, toMallory] = [await bob.peer.request('INVITE'), await mallory.peer.request('INVITE')];
    expect([toBob, toMallory].map((invite) => invite.get('Subject'))).toEqual(['Für Bob', 'Trip planning']);
    await accept(bob, toBob);
    await accept(mallory, toMallory);
    await created(alice);
  });

  it('leads from an address outside CPM to the interworking function, whose answer counts as that of a member', async () => {
    const asked: InterworkedInvitation[] = [];
    parley.app.interworking.registry.add({
      name: 'mail',
      service: 'smtp',
      addresses: ['mailto:'],
      capabilities: new Set(['group']),
      target: {
        knows: (address) => address !== 'mailto:nobody@mail.test',
        message: () => Promise.resolve(404),
        async invitation(invitation) {
          asked.push(invitation);
          await parley.app.stack.createUAS(invitation.request, invitation.response, {
            headers: { 'Content-Type': 'application/sdp', Contact: '<sip:mail@127.0.0.1:9>' },
            body:
              'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n' +
              'a=path:msrp://127.0.0.1:9/mail;tcp\r\na=setup:active\r\na=accept-types:message/cpim\r\na=accept-wrapped-types:*\r\n',
          });
        },
      },
    });
    const id = contribution();
    createGroup(
      alice,
      '<entry uri="mailto:dora@mail.test" cp:copyControl="to"/><entry uri="mailto:nobody@mail.test"/>' +
        '<entry uri="pigeon:erik"/>',
      id,
    );
    const { focus } = await created(alice);
    expect(asked.map(({ kind, recipient, contributionId }) => [kind, recipient, contributionId])).toEqual([
      ['group', 'mailto:dora@mail.test', id],
    ]);
    const running = parley.app.controlling!.controlling.focusOf(/sip:([^@]+)/.exec(focus)![1]!);
    await expect
      .poll(() => running!.group.members.map(({ identity, state }) => `${identity} ${state}`))
      .toEqual([
        'sip:alice@ims.test connected',
        'mailto:dora@mail.test connected',
        'mailto:nobody@mail.test refused',
        'pigeon:erik refused',
      ]);
  });
});

describe('a request to a group or the factory', () => {
  it('is refused with what it lacks', async () => {
    const focus = await group();
    const plain = { 'Content-Type': 'application/sdp' };
    for (const [phone, method, uri, headers, status] of [
      [alice, 'INVITE', FACTORY, plain, 400],
      [alice, 'INVITE', FACTORY, { ...plain, Require: 'nonsense' }, 420],
      [alice, 'INVITE', FACTORY, { ...plain, Supported: 'timer', 'Session-Expires': '60' }, 422],
      [alice, 'MESSAGE', FACTORY, {}, 405],
      [alice, 'OPTIONS', FACTORY, {}, 200],
      [alice, 'SUBSCRIBE', focus, { Event: 'presence' }, 489],
      [alice, 'MESSAGE', focus, {}, 405],
      [alice, 'INVITE', focus, {}, 488],
      [alice, 'OPTIONS', focus, {}, 200],
      [mallory, 'OPTIONS', focus, {}, 403],
      [alice, 'REFER', focus, {}, 400],
      [alice, 'REFER', focus, { 'Refer-To': `<${focus}>` }, 400],
      [alice, 'REFER', focus, { 'Refer-To': `<${FACTORY}>` }, 400],
      [alice, 'REFER', focus, { 'Refer-To': '<sip:bob@ims.test;method=INFO>' }, 400],
      [alice, 'REFER', focus, { 'Refer-To': '<cid:nothing@ims.test>' }, 400],
      [alice, 'REFER', focus, { 'Refer-To': '<sip:dave@ims.test;method=BYE>' }, 404],
      [bob, 'REFER', focus, { 'Refer-To': '<sip:alice@ims.test;method=BYE>' }, 403],
      [mallory, 'REFER', focus, { 'Refer-To': '<sip:mallory@ims.test>' }, 403],
      [mallory, 'SUBSCRIBE', focus, { Event: 'conference' }, 403],
      [mallory, 'INVITE', focus, plain, 403],
      [mallory, 'INVITE', 'sip:gs-nothing@ims.test', plain, 404],
    ] as const)
      expect(
        (await phone.ask(method, uri, headers)).status,
        `${method} ${uri} ${JSON.stringify(headers)}`,
      ).toBe(status);
  });

  it('that is refused for its method or event hears what there is instead', async () => {
    const focus = await group();
    const method = await alice.ask('MESSAGE', focus);
    expect([method.status, method.get('Allow')]).toEqual([405, expect.stringContaining('SUBSCRIBE')]);
    const event = await alice.ask('SUBSCRIBE', focus, { Event: 'presence' });
    expect([event.status, event.get('Allow-Events')]).toEqual([489, 'conference']);
    const none = await alice.ask('SUBSCRIBE', focus, { Event: 'conference', Accept: 'application/pidf+xml' });
    expect(none.status).toBe(406);
    const fetched = { Event: 'conference', Expires: '0', Accept: 'application/*' };
    expect((await alice.ask('SUBSCRIBE', focus, fetched)).status).toBe(200);
    alice.peer.answer(await alice.peer.request('NOTIFY'), 200);
  });

  it('inside a session is told what that takes: a subscription has a dialog of its own', async () => {
    createGroup(alice, BOB, contribution());
    await accept(bob, await bob.peer.request('INVITE'));
    const { answer, focus } = await created(alice);
    const dialog = { From: answer.get('From'), To: answer.get('To'), 'Call-ID': answer.callId };
    const headers = { ...dialog, CSeq: '100 SUBSCRIBE', Event: 'conference' };
    const refusal = await alice.ask('SUBSCRIBE', focus, headers);
    expect([refusal.status, refusal.get('Allow')]).toEqual([
      405,
      'ACK, BYE, CANCEL, INVITE, OPTIONS, REFER, UPDATE',
    ]);
  });

  it('of somebody who has no place there says that it is of no use to ask again', async () => {
    const focus = await group();
    const warned = (answer: SipResponse): string | undefined => answer.get('Warning');
    const plain = { 'Content-Type': 'application/sdp' };
    expect(warned(await mallory.ask('INVITE', focus, plain))).toBe(
      '399 ims.test "127 Service not authorised"',
    );
    createGroup(mallory, BOB, `refusal-${contributions}`);
    const restarted = await mallory.peer.response(200);
    expect([restarted.status, warned(restarted)]).toEqual([403, '399 ims.test "127 Service not authorised"']);
    expect(warned(await mallory.ask('INVITE', 'sip:gs-nothing@ims.test', plain))).toBeUndefined();
  });

  it('for somebody who was removed is refused, and leaving members come back', async () => {
    const focus = await group();
    const removed = await alice.ask('REFER', focus, { 'Refer-To': '<sip:bob@ims.test;method=BYE>' });
    expect(removed.status).toBe(202);
    const bye = await bob.peer.request('BYE');
    expect(bye.get('Reason')).toContain('cause=410');
    bob.peer.answer(bye, 200);
    joinGroup(bob, focus);
    expect((await bob.peer.response(200)).status).toBe(403);
    expect((await alice.ask('REFER', focus, { 'Refer-To': '<sip:bob@ims.test>' })).status).toBe(202);
    acceptInvitation(bob, await bob.peer.request('INVITE'));
    await bob.peer.request('ACK');
  });

  it('with a list inside a dialog is refused with 420', async () => {
    createGroup(alice, BOB, contribution());
    await accept(bob, await bob.peer.request('INVITE'));
    const answer = await alice.peer.response(200);
    acknowledge(alice, answer);
    alice.send(
      'INVITE',
      answer.contacts[0]!.uriText,
      {
        From: answer.get('From'),
        To: answer.get('To'),
        'Call-ID': answer.callId,
        CSeq: `${answer.cseq.number + 100} INVITE`,
        'Content-Type': 'application/resource-lists+xml',
      },
      `<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list>${BOB}</list></resource-lists>`,
    );
    const refusal = await alice.peer.response(200);
    expect([refusal.status, refusal.get('Unsupported')]).toEqual([420, 'recipient-list-invite']);
  });
});
