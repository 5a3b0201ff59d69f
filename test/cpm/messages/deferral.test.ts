import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cpmServices } from '../../../src/identity/cpm-services.js';
import { parseCpim } from '../../../src/msrp/cpim/index.js';
import { IS_COMPOSING_TYPE } from '../../../src/msrp/is-composing.js';
import { parseImdn } from '../../../src/msrp/imdn.js';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import type { SipRequest } from '../../../src/sip/message/message.js';
import { useCleanups } from '../../tools/cleanups.js';
import { soon } from '../../tools/soon.js';
import type { RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { Program } from '../../tools/program.js';
import { cpimText as cpim } from '../cpim-text.js';
import { setPolicy } from '../participating/session-world.js';
import { patientServer } from '../patient-server.js';

const UUID = 'urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e';
const TABLET = 'urn:uuid:7a6f1c1e-3d53-4d59-9c2c-4a7f9f8f2b11';
const DEVICE =
  `;+sip.instance="<${UUID}>"` + ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"';

const isComposing = `<?xml version="1.0" encoding="UTF-8"?>
<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state><refresh>90</refresh></isComposing>
`;

const cleanups = useCleanups();

const server = (settings?: Record<string, unknown>): Promise<RunningParley> =>
  patientServer(cleanups, settings);

async function opened(user: string, port: number): Promise<Phone> {
  const phone = await Phone.open(user, port);
  cleanups.push(() => phone.close());
  return phone;
}

const PAGER: HeaderMap = {
  Contact: undefined,
  'P-Preferred-Service': cpmServices.message,
  'Content-Type': 'message/cpim',
};

const send = async (from: Phone, to: string, body: string, headers: HeaderMap = {}): Promise<number> =>
  (await from.ask('MESSAGE', to, { ...PAGER, ...headers }, body)).status;

const textOf = (request: SipRequest): string => parseCpim(request.body).content.toString();
const received = (phone: Phone): Promise<SipRequest> => phone.answer('MESSAGE', 200, { Contact: [] });
const waiting = async (parley: RunningParley): Promise<unknown[]> =>
  ((await (await fetch(`${parley.api}/api/v1/messages`)).json()) as { messages: unknown[] }).messages;

describe('a pager mode message', () => {
  it('that waits for a subscriber who is removed is not for who comes next, and its sender is told', async () => {
    const parley = await server();
    const subscribers = `${parley.api}/api/v1/subscribers`;
    const bobIs = JSON.stringify({
      privateId: 'bob@ims.test',
      password: 'bob-secret',
      identities: ['sip:bob@ims.test'],
    });
    const add = async (): Promise<void> => {
      const headers = { 'content-type': 'application/json' };
      expect((await fetch(subscribers, { method: 'POST', headers, body: bobIs })).status).toBe(201);
    };
    await add();
    const alice = await opened('alice', parley.port);
    await alice.register(DEVICE);
    expect(await send(alice, 'sip:bob@ims.test', cpim('for the old bob', 'm-1'))).toBe(202);
    const removal = alice.answer('MESSAGE', 200, { Contact: [] });
    expect((await fetch(`${subscribers}/bob@ims.test`, { method: 'DELETE' })).status).toBe(200);
    await add();
    const bob = await opened('bob', parley.port);
    await bob.register(DEVICE);
    expect(parseImdn(parseCpim((await removal).body).content)).toMatchObject({ messageId: 'm-1' });
    await soon(() => waiting(parley)).toEqual([]);
    expect(bob.peer.unread.filter((message) => 'method' in message)).toEqual([]);
  });

  it('reaches a device that is there, octet for octet, with the identifiers that its sender left out', async () => {
    const parley = await server();
    const bob = await opened('bob', parley.port);
    await bob.register(DEVICE);
    const alice = await opened('alice', parley.port);
    const body = cpim('grüße \u{1f600}', 'm-1');
    alice.send('MESSAGE', 'sip:bob@ims.test', PAGER, body);
    const message = await received(bob);
    expect((await alice.peer.response(200)).status).toBe(200);
    expect(Buffer.from(message.body)).toEqual(Buffer.from(body));
    expect(message.get('Contribution-ID')).toMatch(/^[0-9a-f-]{36}$/);
    expect(message.get('Conversation-ID')).toMatch(/^[0-9a-f-]{36}$/);
    expect(message.has('P-Preferred-Service')).toBe(false);
    expect(await waiting(parley)).toEqual([]);
  });

  it('to a user without a device is kept with 202 and delivered in the order sent when one registers, once', async () => {
    const parley = await server();
    const alice = await opened('alice', parley.port);
    const sent = { 'Conversation-ID': 'c-1', Expires: '600', Date: 'Fri, 27 Nov 2026 10:00:00 GMT' };
    for (const text of ['one', 'two', 'three'])
      expect(await send(alice, 'sip:bob@ims.test', cpim(text, text), sent)).toBe(202);
    expect(await waiting(parley)).toMatchObject([
      { recipient: 'sip:bob@ims.test', sender: 'sip:alice@ims.test' },
      {},
      {},
    ]);
    const bob = await opened('bob', parley.port);
    await bob.register(DEVICE);
    const texts: string[] = [];
    for (let i = 0; i < 3; i++) {
      const message = await received(bob);
      for (const [name, value] of Object.entries(sent)) expect(message.get(name)).toBe(value);
      expect(message.get('Contribution-ID')).toMatch(/^[0-9a-f-]{36}$/); // made by the sender's side, and kept
      expect(message.from.uriText).toBe('sip:alice@ims.test');
      texts.push(textOf(message));
    }
    expect(texts).toEqual(['one', 'two', 'three']);
    await soon(() => waiting(parley)).toEqual([]);
    await bob.register(DEVICE);
    alice.send('MESSAGE', 'sip:bob@ims.test', PAGER, cpim('four', 'four'));
    // what came a second time would come before it
    expect(textOf(await received(bob))).toBe('four');
  });

  it.each([
    ['bare', IS_COMPOSING_TYPE, isComposing],
    ['as message/cpim', 'message/cpim', cpim(isComposing, 'm-1').replace('text/plain', IS_COMPOSING_TYPE)],
  ])(
    'that says that its sender is composing, %s, passes octet for octet, and is not kept',
    async (_, type, body) => {
      const parley = await server();
      const alice = await opened('alice', parley.port);
      const headers = { 'Content-Type': type };
      expect(await send(alice, 'sip:bob@ims.test', body, headers)).toBe(480);
      expect(await send(alice, 'sip:bob@ims.test', cpim('waits', 'm-2'))).toBe(202);
      expect(await waiting(parley)).toHaveLength(1);
      const bob = await opened('bob', parley.port);
      await bob.register(DEVICE);
      expect(textOf(await received(bob))).toBe('waits');
      alice.send('MESSAGE', 'sip:bob@ims.test', { ...PAGER, ...headers }, body);
      const message = await received(bob);
      expect((await alice.peer.response(200)).status).toBe(200);
      expect(Buffer.from(message.body).toString()).toBe(body);
      await setPolicy(parley, 'sip:bob@ims.test', { doNotDisturb: true });
      expect(await send(alice, 'sip:bob@ims.test', body, headers)).toBe(480);
    },
  );

  it('that a device got and whose answer was lost comes again as the same request', async () => {
    const parley = await server({ sip: { timers: { t1: 60, t2: 120 } } });
    const bob = await opened('bob', parley.port);
    await bob.register(DEVICE);
    const alice = await opened('alice', parley.port);
    alice.send('MESSAGE', 'sip:bob@ims.test', PAGER, cpim('once', 'm-1'));
    const first = await bob.peer.request('MESSAGE');
    expect((await alice.peer.response(200)).status).toBe(202);
    while (bob.peer.unread.length > 0) await bob.peer.next();
    let looks = 0;
    await soon(async () => {
      // a try that a busy machine does not answer within 64·T1 is followed by another one when the device registers
      if (looks++ % 50 === 0) await bob.register(DEVICE);
      // repetitions of the first try may come late, and are answered for nobody
      while (bob.peer.unread.length > 0) {
        const again = await bob.answer('MESSAGE', 482, { Contact: [] });
        for (const name of ['Call-ID', 'CSeq', 'From']) expect(again.get(name)).toBe(first.get(name));
      }
      return waiting(parley);
    }).toEqual([]);
  });

  it('that a device answers with 480 waits until a device registers again', async () => {
    const parley = await server();
    const bob = await opened('bob', parley.port);
    await bob.register(DEVICE);
    const alice = await opened('alice', parley.port);
    alice.send('MESSAGE', 'sip:bob@ims.test', PAGER, cpim('later', 'm-1'));
    await bob.answer('MESSAGE', 480, { Contact: [] });
    expect((await alice.peer.response(200)).status).toBe(202);
    await bob.register(DEVICE);
    expect(textOf(await received(bob))).toBe('later');
    await soon(() => waiting(parley)).toEqual([]);
  });

  it('does not overtake those that wait, and is their next try', async () => {
    const parley = await server();
    const bob = await opened('bob', parley.port);
    await bob.register(DEVICE);
    const alice = await opened('alice', parley.port);
    alice.send('MESSAGE', 'sip:bob@ims.test', PAGER, cpim('first', 'm-1'));
    await bob.answer('MESSAGE', 480, { Contact: [] });
    expect((await alice.peer.response(200)).status).toBe(202);
    expect(await send(alice, 'sip:bob@ims.test', cpim('second', 'm-2'))).toBe(202);
    expect([textOf(await received(bob)), textOf(await received(bob))]).toEqual(['first', 'second']);
    await soon(() => waiting(parley)).toEqual([]);
  });

  it('goes to all devices, also to those that the user prefers less', async () => {
    const parley = await server();
    const devices = await Promise.all([opened('bob', parley.port), opened('bob', parley.port)]);
    await devices[0].register(`;q=1.0${DEVICE}`);
    await devices[1].register(`;q=0.5${DEVICE.replace(UUID, TABLET)}`);
    const alice = await opened('alice', parley.port);
    alice.send('MESSAGE', 'sip:bob@ims.test', PAGER, cpim('for all', 'm-1'));
    const got = await Promise.all(devices.map(received));
    expect(got.map(textOf)).toEqual(['for all', 'for all']);
    expect((await alice.peer.response(200)).status).toBe(200);
  });

  it('that Accept-Contact alone marks is one, and is kept', async () => {
    const parley = await server();
    const alice = await opened('alice', parley.port);
    const marked = {
      'P-Preferred-Service': undefined,
      'Content-Type': 'text/plain',
      'Accept-Contact': '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"',
    };
    expect(await send(alice, 'sip:bob@ims.test', 'plain', marked)).toBe(202);
    expect(await send(alice, 'sip:bob@ims.test', 'plain', { ...marked, 'Accept-Contact': '*' })).toBe(480);
  });

  it('that Accept-Contact aims at an absent device waits for it, and holds up no other device', async () => {
    const parley = await server();
    const phone = await opened('bob', parley.port);
    const tablet = await opened('bob', parley.port);
    await tablet.register(DEVICE.replace(UUID, TABLET));
    const alice = await opened('alice', parley.port);
    const aimed = { 'Accept-Contact': `*;+sip.instance="<${UUID}>";require;explicit` };
    expect(await send(alice, 'sip:bob@ims.test', cpim('for the phone', 'm-1'), aimed)).toBe(202);
    expect(await send(alice, 'sip:bob@ims.test', cpim('for all', 'm-2'))).toBe(202);
    expect(textOf(await received(tablet))).toBe('for all');
    await phone.register(DEVICE);
    expect(textOf(await received(phone))).toBe('for the phone');
    await soon(() => waiting(parley)).toEqual([]);
    expect(tablet.peer.unread.filter((message) => 'method' in message)).toEqual([]);
  });

  it('to a GRUU is for that device alone: it is not kept', async () => {
    const parley = await server();
    const bob = await opened('bob', parley.port);
    await bob.register(DEVICE, { Supported: 'gruu' });
    await bob.register(DEVICE, { Expires: '0' });
    const alice = await opened('alice', parley.port);
    expect(await send(alice, `sip:bob@ims.test;gr=${UUID}`, cpim('x', 'm-1'))).toBe(480);
    expect(await waiting(parley)).toEqual([]);
  });

  it.each([
    ['larger than pager mode allows', 'x'.repeat(1400), 513],
    ['whose message/cpim has no end of headers', 'From: <sip:a@b>', 400],
  ] as const)('%s is refused', async (_, body, status) => {
    const parley = await server();
    const alice = await opened('alice', parley.port);
    expect(await send(alice, 'sip:bob@ims.test', body)).toBe(status);
    expect(await waiting(parley)).toEqual([]);
  });

  it('that is a strange message/cpim is refused, or goes on octet for octet', async () => {
    const parley = await server();
    const alice = await opened('alice', parley.port);
    const nested = (depth: number): string =>
      depth === 0 ? 'hello' : `From: <sip:a@b>\r\n\r\nContent-Type: message/cpim\r\n\r\n${nested(depth - 1)}`;
    const mixed = 'From: <sip:a@b>\r\n\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--y\r\n\r\nhello';
    const refused = [
      '',
      'hello',
      '\r\nhello',
      'From <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nx',
      nested(6),
    ];
    for (const body of refused)
      expect([body, await send(alice, 'sip:bob@ims.test', body)]).toEqual([body, 400]);
    expect(await waiting(parley)).toEqual([]);
    const strange = [mixed];
    for (const body of strange) expect(await send(alice, 'sip:bob@ims.test', body)).toBe(202);
    const bob = await opened('bob', parley.port);
    await bob.register(DEVICE);
    for (const body of strange) expect(Buffer.from((await received(bob)).body).toString()).toBe(body);
  });

  it('is listed page by page, of one user and of all', async () => {
    const parley = await server();
    const alice = await opened('alice', parley.port);
    for (const [to, text] of [
      ['bob', 'one'],
      ['carol', 'two'],
      ['bob', 'three'],
    ] as const)
      expect(await send(alice, `sip:${to}@ims.test`, cpim(text, text))).toBe(202);
    const recipients = async (query: string): Promise<string[]> => {
      const found: string[] = [];
      for (let next: string | undefined = ''; next !== undefined;) {
        const after: string = next === '' ? '' : `&after=${encodeURIComponent(next)}`;
        const answer = await fetch(`${parley.api}/api/v1/messages?limit=1${query}${after}`);
        const page = (await answer.json()) as { messages: { recipient: string }[]; next?: string };
        found.push(...page.messages.map(({ recipient }) => recipient));
        next = page.next;
      }
      return found;
    };
    expect(await recipients('')).toEqual(['bob', 'bob', 'carol'].map((user) => `sip:${user}@ims.test`));
    expect(await recipients('&aor=bob@ims.test')).toHaveLength(2);
  });

  it('beyond the limit of a user is refused with 480', async () => {
    const parley = await server({ cpm: { deferral: { perUser: 1 } } });
    const alice = await opened('alice', parley.port);
    expect(await send(alice, 'sip:bob@ims.test', cpim('one', 'm-1'))).toBe(202);
    expect(await send(alice, 'sip:bob@ims.test', cpim('two', 'm-2'))).toBe(480);
    expect(await waiting(parley)).toHaveLength(1);
  });

  it('that nobody fetched in time goes, and its sender is told when it asked for that', async () => {
    const parley = await server();
    const alice = await opened('alice', parley.port);
    await alice.register(DEVICE);
    expect(await send(alice, 'sip:bob@ims.test', cpim('too late', 'm-77'), { Expires: '1' })).toBe(202);
    const notice = await received(alice);
    const { head, content } = parseCpim(notice.body);
    expect(head.mediaType).toBe('message/imdn+xml');
    expect(parseImdn(content)).toMatchObject({
      messageId: 'm-77',
      kind: 'delivery',
      status: 'failed',
      recipientUri: 'sip:bob@ims.test',
    });
    await soon(() => waiting(parley)).toEqual([]); // it goes when its sender has answered
  });

  it('is removed by the API, and by the command', async () => {
    const parley = await server();
    const alice = await opened('alice', parley.port);
    await send(alice, 'sip:bob@ims.test', cpim('one', 'm-1'));
    await send(alice, 'sip:bob@ims.test', cpim('two', 'm-2'));
    const [first, second] = (await waiting(parley)) as { id: string }[];
    const path = `${parley.api}/api/v1/messages/sip%3Abob%40ims.test/${first!.id}`;
    expect((await fetch(path, { method: 'DELETE' })).status).toBe(204);
    expect((await fetch(path, { method: 'DELETE' })).status).toBe(404);
    const command = new Program(['--api', parley.api, 'messages', 'remove', 'sip:bob@ims.test', second!.id]);
    cleanups.push(() => command.dispose());
    expect([await command.exit(), command.stderr]).toEqual([0, '']);
    // what waits now are the notices of their loss
    expect(await waiting(parley)).toMatchObject([
      { recipient: 'sip:alice@ims.test', sender: 'sip:bob@ims.test' },
      { recipient: 'sip:alice@ims.test', sender: 'sip:bob@ims.test' },
    ]);
  });
});

describe('a message that was acknowledged with 202', () => {
  it('is delivered by the next process after kill -9', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'parley-deferral-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const env = { PARLEY_AUTH: 'none', PARLEY_STORE: `lmdb:${join(folder, 'data')}` };
    const first = new Program(['serve'], { env });
    cleanups.push(() => first.dispose());
    const alice = await opened('alice', (await first.ready()).port);
    expect(await send(alice, 'sip:bob@ims.test', cpim('survives', 'm-1'))).toBe(202);
    first.child.kill('SIGKILL');
    await first.exit();
    const second = new Program(['serve'], { env });
    cleanups.push(() => second.dispose());
    const bob = await opened('bob', (await second.ready()).port);
    await bob.register(DEVICE);
    expect(textOf(await received(bob))).toBe('survives');
  });
});
