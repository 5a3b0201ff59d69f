import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MediaPath } from '../../../src/cpm/participating/media-path.js';
import {
  MsrpNegotiation,
  streamedMessages,
  wholeMessages,
  type MsrpEndpoint,
  type SessionOptions,
} from '../../../src/msrp/session/index.js';
import { anything, eventually, octets, startEndpoint } from '../../msrp/tools/endpoints.js';
import { unquote } from '../../../src/sip/message/lexer.js';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import { buildMultipart, parseMultipart } from '../../../src/sip/message/multipart.js';
import { startParley, type RunningParley } from '../../tools/parley.js';
import { Line, lineOffer } from '../../msrp/tools/line.js';
import { useCleanups } from '../../tools/cleanups.js';
import { patientServer } from '../patient-server.js';
import { Program } from '../../tools/program.js';
import { Phone } from '../../tools/phone.js';
import { ALICE, BOB, BOB2, device, SESSION, sessionsOf, setPolicy } from './session-world.js';

function ears(): { heard: string[]; options: SessionOptions } {
  const heard: string[] = [];
  const receiver = wholeMessages(1000, (message) => {
    heard.push(message.octets.toString());
    return 200;
  });
  return { heard, options: { receiver } };
}

async function threeEndpoints(): Promise<[MsrpEndpoint, MsrpEndpoint, MsrpEndpoint]> {
  return [
    (await startEndpoint()).endpoint,
    (await startEndpoint()).endpoint,
    (await startEndpoint()).endpoint,
  ];
}

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (octetsOf: Uint8Array): string => Buffer.from(octetsOf).toString();
const hello = { contentType: 'text/plain', content: Buffer.from('hello') };

describe('a media path', () => {
  it('shows each end our path and our role, and everything else as it was', async () => {
    const [ours, one, other] = await threeEndpoints();
    const path = new MediaPath(ours, { subject: 'sip:alice@ims.test', lost: () => {} });
    const alice = new MsrpNegotiation(one.createSession(), { acceptTypes: ['message/cpim'], maxSize: 77 });
    const bob = new MsrpNegotiation(other.createSession(), { ...anything, behindNat: true });
    const offered = text(path.offer(bytes(alice.offer()), 'uas'));
    expect(offered).toContain('a=setup:actpass');
    expect(offered).toContain('a=max-size:77');
    expect(offered).not.toContain(alice.session.uri.text);
    const answered = text(path.answer(bytes(bob.answer(offered)), 'uac'));
    expect(answered).toContain('a=setup:active');
    expect(answered).not.toContain(bob.session.uri.text);
    expect(text(path.answer(bytes(bob.description), 'uac'))).toBe(answered);
    alice.accept(answered);
    expect(await alice.session.send({ ...hello }).sent).toBe(403);
    path.close();
  });

  it('carries text and 20 MB both ways, counts them, and lives on through a later offer of the callee', async () => {
    const [ours, one, other] = await threeEndpoints();
    const path = new MediaPath(ours, { subject: 'sip:alice@ims.test', lost: () => {} });
    let received = 0;
    const receiver = streamedMessages(30_000_000, async (_message, pieces) => {
      for await (const piece of pieces) received += piece.length;
      return 200;
    });
    const { heard, options } = ears();
    const alice = new MsrpNegotiation(one.createSession(options), anything);
    const bob = new MsrpNegotiation(other.createSession({ receiver }), anything);
    const exchange = (from: MsrpNegotiation, to: MsrpNegotiation, end: 'uas' | 'uac'): void => {
      const answer = to.answer(path.offer(bytes(from.offer()), end));
      from.accept(path.answer(bytes(answer), end === 'uas' ? 'uac' : 'uas'));
    };
    exchange(alice, bob, 'uas');
    const file = alice.session.send({
      contentType: 'image/png',
      content: octets(20_000_000),
      successReport: true,
    });
    expect(await bob.session.send(hello).sent).toBe(200);
    exchange(bob, alice, 'uac');
    expect(await file.reported).toBe(200);
    expect(await bob.session.send(hello).sent).toBe(200);
    expect([received, heard]).toEqual([20_000_000, ['hello', 'hello']]);
    expect(path.passed).toEqual({ bytes: 20_000_010, messages: 3 });
    path.close();
  });

  it('passes a refused section on and stays outside', async () => {
    const [ours, one] = await threeEndpoints();
    const path = new MediaPath(ours, { subject: 'sip:alice@ims.test', lost: () => {} });
    path.offer(bytes(new MsrpNegotiation(one.createSession(), anything).offer()), 'uas');
    const refused = bytes(
      'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 0 TCP/MSRP *\r\n',
    );
    expect(path.answer(refused, 'uac')).toBe(refused);
    path.close();
  });

  it('takes no answer that nobody asked for', async () => {
    const [ours] = await threeEndpoints();
    const path = new MediaPath(ours, { subject: 'sip:alice@ims.test', lost: () => {} });
    expect(() => path.answer(bytes('v=0\r\n'), 'uac')).toThrow('answer without offer');
    path.close();
  });
});

describe('a server in the media path', () => {
  let parley: RunningParley;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-recordings-'));
    const cpm = { recording: { folder } };
    parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000 }, cpm });
    expect(await setPolicy(parley, 'sip:alice@ims.test', { record: true })).toBeLessThan(300);
  });
  afterAll(async () => {
    await parley.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function command(...args: string[]): Promise<string> {
    const program = new Program(['sessions', 'recordings', ...args], { env: { PARLEY_API: parley.api } });
    await program.exit();
    await program.dispose();
    return program.stdout;
  }

  it('carries the messages of a session from its INVITE to its BYE, counts and records them', async () => {
    const [one, other] = [(await startEndpoint()).endpoint, (await startEndpoint()).endpoint];
    const { heard, options } = ears();
    const near = new MsrpNegotiation(one.createSession(), anything);
    const far = new MsrpNegotiation(other.createSession(options), anything);
    const [alice, bob] = [
      await Phone.registered('alice', parley.port, device(ALICE)),
      await Phone.registered('bob', parley.port, device(BOB)),
    ];
    alice.send('INVITE', bob.aor, SESSION, near.offer());
    const invite = await bob.peer.request('INVITE');
    expect(text(invite.body)).not.toContain(near.session.uri.text);
    bob.peer.answer(
      invite,
      200,
      { Contact: `<${bob.contact}>`, 'Content-Type': 'application/sdp' },
      'tag-bob',
      far.answer(invite.body),
    );
    const ok = await alice.peer.response(200);
    near.accept(ok.body);
    const Route = ok.headers.list('Record-Route').reverse();
    const dialog = {
      To: `<${bob.aor}>;tag=${ok.toTag}`,
      'Call-ID': ok.callId,
      From: ok.get('From')!,
      ...(Route.length > 0 ? { Route } : {}),
    };
    const target = ok.contacts[0]!.uriText;
    alice.send('ACK', target, { ...dialog, CSeq: `${ok.cseq.number} ACK` });
    expect(await near.session.send(hello).sent).toBe(200);
    expect(heard).toEqual(['hello']);
    expect(parley.app.msrp.figures.sessions).toBe(2);
    const [shown] = await sessionsOf(parley, '?aor=sip:alice@ims.test');
    expect(shown).toMatchObject({ mediaPath: true, bytes: 5, messages: 1 });
    expect(shown!['ageInSeconds']).toBeLessThan(60);
    const metrics = await (await fetch(`${parley.api}/metrics`)).text();
    expect(metrics).toMatch(/^parley_sessions_open [12]$/m);
    expect(metrics).toMatch(/^parley_deferred_messages 0$/m);
    expect(metrics).toMatch(/^parley_media_path_sessions 1$/m);
    expect(metrics).toMatch(/^parley_media_path_messages_total 1$/m);
    expect(metrics).toMatch(/^parley_media_path_bytes_total 5$/m);
    alice.send('BYE', target, dialog);
    await bob.answer('BYE', 200);
    await eventually(() => parley.app.msrp.figures.sessions === 0);
    await eventually(() => parley.app.trail.recent({ code: 'cpm.session-ended' }).length > 0);
    for (const phone of [alice, bob]) phone.close();
    type Listed = { recordings: { id: string }[] };
    const url = `${parley.api}/api/v1/recordings`;
    const recorded = await eventually(async () => {
      const { recordings } = (await (await fetch(url)).json()) as Listed;
      return recordings.length > 0 && recordings;
    });
    expect(recorded).toMatchObject([
      { from: 'sip:alice@ims.test', to: 'sip:bob@ims.test', session: ok.callId, bytes: 5, complete: true },
    ]);
    const single = `${url}/${recorded[0]!.id}`;
    expect(await (await fetch(single)).text()).toMatch(/\r\nContent-Type: text\/plain\r\n[^]*\r\n\r\nhello$/);
    expect(await command('bob@ims.test')).toMatch(
      /sip:alice@ims\.test +sip:bob@ims\.test +text\/plain +5 +200 +yes/,
    );
    expect(await command('remove', recorded[0]!.id)).toBe(`removed ${recorded[0]!.id}\n`);
    expect(await command()).toBe('no recordings\n');
    expect((await fetch(single)).status).toBe(404);
    expect((await fetch(single, { method: 'DELETE' })).status).toBe(404);
  });
});

describe('an invitation in the media path that brings its first message beside the description', () => {
  const cleanups = useCleanups();

  it('has the description rewritten and the message octet for octet, and then carries messages', async () => {
    const parley = await patientServer(cleanups, { msrp: { listen: '127.0.0.1:0' } });
    await setPolicy(parley, 'sip:alice@ims.test', { mediaPath: true });
    const [one, other] = [(await startEndpoint()).endpoint, (await startEndpoint()).endpoint];
    const { heard, options } = ears();
    const near = new MsrpNegotiation(one.createSession(), anything);
    const far = new MsrpNegotiation(other.createSession(options), anything);
    const [alice, bob] = [
      await Phone.registered('alice', parley.port, device(ALICE)),
      await Phone.registered('bob', parley.port, device(BOB)),
    ];
    cleanups.push(() => alice.close());
    cleanups.push(() => bob.close());
    const first = 'From: <sip:alice@ims.test>\r\n\r\nContent-Type: text/plain\r\n\r\ngr\u00fc\u00dfe';
    const offered = near.offer();
    const { contentType, body } = buildMultipart([
      { headers: { 'Content-Type': 'application/sdp' }, body: offered },
      { headers: { 'Content-Type': 'message/cpim' }, body: first },
    ]);
    const sized = body.toString().replace('Type: application/sdp', `$&\r\nContent-Length: ${offered.length}`);
    alice.send('INVITE', bob.aor, { ...SESSION, 'Content-Type': contentType }, sized);
    const invite = await bob.peer.request('INVITE');
    const [description, message] = parseMultipart(invite.body, invite.get('Content-Type')!);
    expect(text(description!.body)).not.toContain(near.session.uri.text);
    expect(description!.headers.get('Content-Length')).toBe(String(description!.body.length));
    expect(text(message!.body)).toBe(first);
    const headers = { Contact: `<${bob.contact}>`, 'Content-Type': 'application/sdp' };
    bob.peer.answer(invite, 200, headers, 'tag-bob', far.answer(description!.body));
    const ok = await alice.peer.response(200);
    expect(text(ok.body)).not.toContain('a=setup:actpass');
    near.accept(ok.body);
    alice.send('ACK', ok.contacts[0]!.uriText, {
      From: ok.get('From'),
      To: ok.get('To'),
      'Call-ID': ok.callId,
      CSeq: `${ok.cseq.number} ACK`,
    });
    expect(await near.session.send(hello).sent).toBe(200);
    expect(heard).toEqual(['hello']);
  });
});

describe('a session in the media path with a user who has a browser and a phone', () => {
  const cleanups = useCleanups();

  it('is offered over the transport of the device that it is for, however that was chosen', async () => {
    const parley = await patientServer(cleanups, {
      msrp: { listen: '127.0.0.1:0', alsoListen: ['ws:127.0.0.1:0'] },
    });
    const alice = await Phone.registered('alice', parley.port, device(ALICE));
    const phone = await Phone.registered('bob', parley.port, device(BOB));
    const browser = await Phone.open('bob', parley.port);
    const registered = await browser.register('', {
      Supported: 'gruu, path',
      Path: `<sip:127.0.0.1:${browser.peer.port};lr>`,
      Contact: `<sip:bob@browser.invalid;transport=ws>${device(BOB2)}`,
    });
    const own = registered.contacts.find(({ uri }) => uri.host === 'browser.invalid')!;
    const temporaryGruu = unquote(own.params.get('temp-gruu')!);
    for (const one of [alice, phone, browser]) cleanups.push(() => one.close());
    const transportAt = async (at: Phone, uri: string, headers: HeaderMap = {}): Promise<string> => {
      alice.send('INVITE', uri, { ...SESSION, ...headers }, lineOffer('msrp://10.0.0.1:9/alice;tcp'));
      const invite = await at.peer.request('INVITE');
      at.peer.answer(invite, 603);
      await alice.peer.response(603);
      return /^a=path:\S+;(\w+)/m.exec(text(invite.body))![1]!;
    };
    const named = (urn: string): HeaderMap => ({
      'Accept-Contact': `*;+sip.instance="<${urn}>";require;explicit`,
    });
    for (const user of ['alice', 'bob']) {
      await setPolicy(parley, `sip:${user}@ims.test`, { mediaPath: true });
      expect(await transportAt(browser, phone.aor, named(BOB2))).toBe('ws');
      expect(await transportAt(phone, phone.aor, named(BOB))).toBe('tcp');
      expect(await transportAt(browser, temporaryGruu)).toBe('ws');
      await setPolicy(parley, 'sip:bob@ims.test', { deliverTo: BOB2 });
      expect(await transportAt(browser, phone.aor)).toBe('ws');
      await setPolicy(parley, `sip:${user}@ims.test`, { mediaPath: false });
      await setPolicy(parley, 'sip:bob@ims.test', { deliverTo: null });
    }
  });
});

describe('a session in the media path whose MSRP peers', () => {
  const cleanups = useCleanups();

  async function inPath(msrp: Record<string, unknown> = {}) {
    const parley = await patientServer(cleanups, { msrp: { listen: '127.0.0.1:0', ...msrp } });
    await setPolicy(parley, 'sip:alice@ims.test', { mediaPath: true });
    const alice = await Phone.registered('alice', parley.port, device(ALICE));
    const bob = await Phone.registered('bob', parley.port, device(BOB));
    cleanups.push(() => alice.close());
    cleanups.push(() => bob.close());
    return { parley, alice, bob };
  }

  it('never connect is ended on both legs, and said to be lost', async () => {
    const { parley, alice, bob } = await inPath({ bind: 1 });
    const answered = lineOffer('msrp://10.0.0.2:9/bob;tcp');
    alice.send('INVITE', bob.aor, SESSION, lineOffer('msrp://10.0.0.1:9/alice;tcp'));
    const invite = await bob.peer.request('INVITE');
    const headers = { Contact: `<${bob.contact}>`, 'Content-Type': 'application/sdp' };
    bob.peer.answer(invite, 200, headers, 'tag-bob', answered);
    const ok = await alice.peer.response(200);
    alice.send('ACK', ok.contacts[0]!.uriText, {
      From: ok.get('From'),
      To: ok.get('To'),
      'Call-ID': ok.callId,
      CSeq: `${ok.cseq.number} ACK`,
    });
    await alice.answer('BYE', 200);
    await bob.answer('BYE', 200);
    await eventually(() => parley.app.msrp.figures.sessions === 0);
    expect(parley.app.trail.recent({ code: 'session.media-lost' })).toMatchObject([{ trace: ok.callId }]);
    expect(await sessionsOf(parley)).toEqual([]);
  });

  it('are others than the descriptions name gets nothing through: 481 for a path, 506 for a second connection', async () => {
    const { parley, alice, bob } = await inPath();
    const [near, far] = ['msrp://10.0.0.1:9/alice;tcp', 'msrp://10.0.0.2:9/bob;tcp'];
    alice.send('INVITE', bob.aor, SESSION, lineOffer(near));
    const invite = await bob.peer.request('INVITE');
    const headers = { Contact: `<${bob.contact}>`, 'Content-Type': 'application/sdp' };
    bob.peer.answer(invite, 200, headers, 'tag-bob', lineOffer(far));
    const ok = await alice.peer.response(200);
    const pathIn = (body: Uint8Array): string => /^a=path:(\S+)/m.exec(text(body))![1]!;
    const [toNear, toFar] = [pathIn(ok.body), pathIn(invite.body)];
    const { port } = parley.app.msrp.listeners[0]!;
    const [one, other, thief] = [new Line(port), new Line(port), new Line(port)];
    const say = (line: Line, to: string, from: string, id = 'm1'): string =>
      line.request('SEND', to, [`Message-ID: ${id}`, 'Content-Type: text/plain'], 'hello', '$', from);
    // before the session's own peer has come, and after
    expect(await thief.answerOf(say(thief, toNear, 'msrp://10.0.0.9:9/mallory;tcp'))).toBe(481);
    expect(await thief.answerOf(say(thief, toNear.replace(/\/[^/;]+;/, '/guessed;'), near))).toBe(481);
    const bind = other.request('SEND', toFar, ['Message-ID: bind'], undefined, '$', far);
    const sent = say(one, toNear, near);
    const [whole, id] = await other.see(/MSRP (\S+) SEND\r\n[^]*?hello\r\n-------\1\$/);
    expect(whole).toContain(`From-Path: ${toFar}\r\n`);
    other.answer(id!, 200, toFar, far);
    expect(await one.answerOf(sent)).toBe(200);
    expect(await other.answerOf(bind)).toBe(200);
    const late = new Line(port);
    expect(await late.answerOf(say(late, toNear, near, 'm2'))).toBe(506);
    expect(other.text).not.toContain('m2');
  });
});
