import { connect, type Socket } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import { parseMsrpMedia } from '../../src/msrp/sdp/index.js';
import { useCleanups } from '../tools/cleanups.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

const ICSI = 'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session';
const FEATURES = `;+g.3gpp.icsi-ref="${ICSI}"`;
const FACTORY = 'sip:conference-factory@ims.test';
const ONE_TO_ONE = '5b7c1f0e-6b0a-4c0f-9d62-0a4f3c9b1d11';

let parley: RunningParley;
beforeEach(async () => {
  parley = await startParley({ auth: 'none' });
  cleanups.push(() => parley.stop());
});
const cleanups = useCleanups();

async function device(user: string, instance: string): Promise<Phone & { gruu: string }> {
  const phone = await Phone.open(user, parley.port);
  cleanups.push(() => phone.close());
  const response = await phone.register(`;+sip.instance="<urn:uuid:${instance}>"${FEATURES}`, {
    Supported: 'gruu',
  });
  const gruus = response.headers.lines('Contact').flatMap((line) => line.split(/,(?=\s*<)/));
  const own = gruus.find((line) => line.includes(instance))!;
  return Object.assign(phone, { gruu: /pub-gruu="([^"]+)"/.exec(own)![1]! });
}

function sdp(name: string, setup: string): string {
  return [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    'm=message 9 TCP/MSRP *',
    `a=path:msrp://127.0.0.1:9/${name};tcp`,
    `a=setup:${setup}`,
    'a=accept-types:message/cpim',
    'a=accept-wrapped-types:*',
    '',
  ].join('\r\n');
}

function createGroup(alice: Phone, entries: string, contribution = 'g77'): void {
  const body = [
    '--b1',
    'Content-Type: application/sdp',
    '',
    sdp('alice', 'actpass'),
    '--b1',
    'Content-Type: application/resource-lists+xml',
    'Content-Disposition: recipient-list',
    '',
    '<?xml version="1.0"?><resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists" xmlns:cp="urn:ietf:params:xml:ns:copycontrol">' +
      `<list>${entries}</list></resource-lists>`,
    '--b1--',
    '',
  ].join('\r\n');
  alice.send(
    'INVITE',
    FACTORY,
    {
      Contact: `<${alice.contact}>${FEATURES}`,
      'P-Preferred-Service': 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session.group',
      Require: 'recipient-list-invite',
      Subject: 'Trip planning',
      'Conversation-ID': 'k2',
      'Contribution-ID': contribution,
      'Content-Type': 'multipart/mixed;boundary=b1',
    },
    body,
  );
}

/** Accepts an invitation of the focus with an MSRP description. */
function accept(phone: Phone, invite: SipRequest): void {
  const body = sdp(phone.user, 'active');
  const via = invite.headers.lines('Via').map((line) => `Via: ${line}`);
  const routes = invite.headers.lines('Record-Route').map((line) => `Record-Route: ${line}`);
  phone.peer.sendOctets(
    [
      'SIP/2.0 200 OK',
      ...via,
      ...routes,
      `From: ${invite.get('From')}`,
      `To: ${invite.get('To')};tag=${phone.user}`,
      `Call-ID: ${invite.callId}`,
      `CSeq: ${invite.get('CSeq')}`,
      `Contact: <${phone.contact}>${FEATURES}`,
      'Content-Type: application/sdp',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
    parley.port,
  );
}

function acknowledge(phone: Phone, response: SipResponse): void {
  const target = response.contacts[0]!.uriText;
  phone.send('ACK', target, {
    From: response.get('From'),
    To: response.get('To'),
    'Call-ID': response.callId,
    CSeq: `${response.cseq.number} ACK`,
    Via: `SIP/2.0/UDP 127.0.0.1:${phone.peer.port};branch=z9hG4bKack${response.callId}`,
  });
}

const bobEntry = (gruu: string): string =>
  `<entry uri="${gruu};method=INVITE?Session-Replaces=${ONE_TO_ONE}" cp:copyControl="to"/>`;
const CAROL = '<entry uri="sip:carol@ims.test" cp:copyControl="to"/>';

/** An MSRP client that opens the connection itself, as phones behind address translation do. */
class MsrpClient {
  readonly #socket: Socket;
  readonly #own: string;
  readonly #theirs: string;
  #text = '';
  #changed: () => void = () => {};

  constructor(name: string, description: Uint8Array) {
    const { path } = parseMsrpMedia(description);
    this.#own = `msrp://127.0.0.1:9/${name};tcp`;
    this.#theirs = path[0]!.text;
    this.#socket = connect(path[0]!.port!, path[0]!.host);
    cleanups.push(() => this.#socket.destroy());
    this.#socket.on('data', (data) => {
      this.#text += data.toString('utf8');
      for (const [, id] of this.#text.matchAll(/MSRP (\w+) SEND/g)) {
        if (!this.#text.includes(`-------${id}$`) || this.#answered.has(id!)) continue;
        this.#answered.add(id!);
        this.#socket.write(
          `MSRP ${id} 200 OK\r\nTo-Path: ${this.#theirs}\r\nFrom-Path: ${this.#own}\r\n-------${id}$\r\n`,
        );
      }
      this.#changed();
    });
    this.#write('open0001', undefined);
  }

  readonly #answered = new Set<string>();

  /** Resolves when what has arrived matches. */
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#text)) await new Promise<void>((resolve) => (this.#changed = resolve));
  }

  say(id: string, from: string, to: string, text: string, fromPath = this.#own): void {
    this.#write(
      id,
      `From: <${from}>\r\nTo: <${to}>\r\n\r\nContent-Type: text/plain\r\n\r\n${text}`,
      fromPath,
    );
  }

  #write(id: string, cpim: string | undefined, fromPath = this.#own): void {
    const body =
      cpim === undefined
        ? ''
        : `Byte-Range: 1-${cpim.length}/${cpim.length}\r\nContent-Type: message/cpim\r\n\r\n${cpim}\r\n`;
    this.#socket.write(
      `MSRP ${id} SEND\r\nTo-Path: ${this.#theirs}\r\nFrom-Path: ${fromPath}\r\nMessage-ID: m${id}\r\n${body}-------${id}$\r\n`,
    );
  }
}

describe('the extension of a 1-1 session to a group (Figure 9)', () => {
  it('invites only the device of the 1-1 session, with the replacement, and answers when the first has accepted', async () => {
    const alice = await device('alice', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1');
    const bob = await device('bob', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb1');
    const bobsOther = await device('bob', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb2');
    const carol = await device('carol', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc3');
    createGroup(alice, bobEntry(bob.gruu) + CAROL);
    const [toBob, toCarol] = await Promise.all([bob.peer.request('INVITE'), carol.peer.request('INVITE')]);
    expect(toBob.get('Session-Replaces')).toBe(ONE_TO_ONE);
    expect(toCarol.has('Session-Replaces')).toBe(false);
    expect(bobsOther.peer.unread).toEqual([]);
    for (const invite of [toBob, toCarol]) {
      expect(invite.get('Contact')).toMatch(/^<sip:gs-[^>]+@ims\.test;gr>;isfocus/);
      expect(invite.get('Contribution-ID')).toBe('g77');
      expect(invite.get('Conversation-ID')).toBe('k2');
      expect(invite.get('Subject')).toBe('Trip planning');
      expect(invite.get('Referred-By')).toBe('<sip:alice@ims.test>');
      const text = Buffer.from(invite.body).toString();
      expect(text).toContain('<entry uri="sip:bob@ims.test" cp:copyControl="to"/>');
      expect(text).toContain('<entry uri="sip:carol@ims.test" cp:copyControl="to"/>');
    }
    accept(bob, toBob);
    const created = await alice.peer.response(200);
    expect(created.status).toBe(200);
    expect(created.contacts[0]!.params.has('isfocus')).toBe(true);
    acknowledge(alice, created);
    accept(carol, toCarol);
    await carol.peer.request('ACK');
    expect(bobsOther.peer.unread).toEqual([]);
  });

  it.each([
    ['bob refuses', 'bob', 603],
    ['carol answers first', 'carol', 0],
  ])('has the group with who accepts when %s', async (_name, _who, bobStatus) => {
    const alice = await device('alice', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1');
    const bob = await device('bob', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb1');
    const carol = await device('carol', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc3');
    createGroup(alice, bobEntry(bob.gruu) + CAROL);
    const [toBob, toCarol] = await Promise.all([bob.peer.request('INVITE'), carol.peer.request('INVITE')]);
    if (bobStatus > 0) bob.peer.answer(toBob, bobStatus);
    accept(carol, toCarol);
    const created = await alice.peer.response(200);
    expect(created.status).toBe(200);
    acknowledge(alice, created);
  });

  it("does not try bob's other device when that of the 1-1 session is gone", async () => {
    const alice = await device('alice', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1');
    const bobsOther = await device('bob', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb2');
    const gone = 'sip:bob@ims.test;gr=urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bb1';
    createGroup(alice, bobEntry(gone));
    expect((await alice.peer.response(200)).status).toBe(480);
    expect(bobsOther.peer.unread).toEqual([]);
  });
});

describe('a group', () => {
  it.each([
    ['names nobody', '', 403],
    ['names only its creator', '<entry uri="sip:alice@ims.test"/>', 403],
    ['asks for another method', '<entry uri="sip:bob@ims.test;method=MESSAGE"/>', 400],
    ['cannot be read', '<entry', 400],
  ])('is refused when its list %s', async (_name, entries, status) => {
    const alice = await device('alice', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1');
    createGroup(alice, entries);
    expect((await alice.peer.response(200)).status).toBe(status);
  });

  it('tells its members who is there, and carries each message to all the others', async () => {
    const alice = await device('alice', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1');
    const bob = await device('bob', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb1');
    const mallory = await device('mallory', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb9');
    createGroup(alice, '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>');
    const toBob = await bob.peer.request('INVITE');
    accept(bob, toBob);
    const created = await alice.peer.response(200);
    acknowledge(alice, created);
    const focus = created.contacts[0]!.uriText;

    alice.send('SUBSCRIBE', focus, { Event: 'conference', Expires: '3600' });
    const notify = await alice.peer.request('NOTIFY');
    alice.peer.answer(notify, 200);
    expect(Buffer.from(notify.body).toString()).toMatch(/state="full" version="0"[^]*<user-count>2</);

    for (const [method, headers] of [
      ['SUBSCRIBE', { Event: 'conference' }],
      ['REFER', { 'Refer-To': '<sip:carol@ims.test>' }],
      ['INVITE', {}],
    ] as const)
      expect((await mallory.ask(method, focus, headers)).status, method).toBe(403);
    expect(
      (await alice.ask('REFER', 'sip:gs-nothing@ims.test', { 'Refer-To': '<sip:carol@ims.test>' })).status,
    ).toBe(404);

    const offer = /v=0[^]*?\r\n--/.exec(Buffer.from(toBob.body).toString())![0].slice(0, -4);
    const aliceMsrp = new MsrpClient('alice', created.body);
    const bobMsrp = new MsrpClient('bob', Buffer.from(offer));
    await bobMsrp.until(/MSRP open0001 200/);
    await aliceMsrp.until(/MSRP open0001 200/);
    aliceMsrp.say('say00001', 'sip:alice@ims.test', 'sip:anonymous@anonymous.invalid', 'Hello all');
    await bobMsrp.until(/Hello all/);
    await aliceMsrp.until(/MSRP say00001 200/);
    aliceMsrp.say('say00002', 'sip:carol@ims.test', focus, 'forged');
    await aliceMsrp.until(/MSRP say00002 403/);
    aliceMsrp.say('say00003', 'sip:alice@ims.test', 'sip:nobody@ims.test', 'private');
    await aliceMsrp.until(/MSRP say00003 404/);
    aliceMsrp.say('say00004', 'sip:alice@ims.test', focus, 'x', 'msrp://127.0.0.1:9/mallory;tcp');
    await aliceMsrp.until(/MSRP say00004 481/);
  });

  it('that nobody accepted leaves nothing behind', async () => {
    const alice = await device('alice', 'aaaaaaaa-0000-4000-8000-000000000001');
    createGroup(alice, CAROL);
    expect((await alice.peer.response(200)).status).toBe(480);
    const left = async (): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { id } of parley.app.controlling!.groups.all()) ids.push(id);
      return ids;
    };
    await expect.poll(left).toEqual([]);
  });

  it('that is closed for good stays away when an invitation that rang is cancelled by it', async () => {
    const alice = await device('alice', 'aaaaaaaa-0000-4000-8000-000000000001');
    const bob = await device('bob', 'bbbbbbbb-0000-4000-8000-000000000001');
    const carol = await device('carol', 'cccccccc-0000-4000-8000-000000000001');
    createGroup(alice, `${bobEntry(bob.gruu)}${CAROL}`);
    const ringing = await carol.peer.request('INVITE');
    carol.peer.answer(ringing, 180, { Contact: `<${carol.contact}>` }, 'carol');
    accept(bob, await bob.peer.request('INVITE'));
    acknowledge(alice, await alice.peer.response(200));
    const { groups, controlling } = parley.app.controlling!;
    const stored = async (): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { id } of groups.all()) ids.push(id);
      return ids;
    };
    const [id] = await stored();
    await controlling.close(id!);
    carol.peer.answer(await carol.peer.request('CANCEL'), 200);
    carol.peer.answer(ringing, 487, {}, 'carol');
    await carol.peer.request('ACK');
    await expect
      .poll(() => parley.app.trail.recent({ code: 'group.invitation-refused' }).map(({ detail }) => detail))
      .toEqual(['sip:carol@ims.test 487']);
    expect(await stored()).toEqual([]);
  });
});
