import { afterEach, describe, expect, it } from 'vitest';
import { element } from '../../src/imps/codec/element.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { codeOf, message, Phone as ImpsPhone } from '../imps/tools/phone.js';
import { ForeignCore } from '../tools/foreign-core.js';
import { subscribers, until } from './world.js';

let core: ForeignCore;
afterEach(() => core.close());

const start = async (settings: Record<string, unknown> = {}): Promise<ImpsPhone> => {
  core = await ForeignCore.start({
    roles: ['participating', 'imps'],
    sip: { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } },
    subscribers,
    ...settings,
  });
  const url = core.parley.app.imps!.csp.replace(/\/csp$/, '');
  return new ImpsPhone({
    url,
    user: 'wv:alice@ims.test',
    password: 'alice-secret',
    clientId: 'wv:ZOMI2.0$lab@FLY.X95.490154203237518',
  });
};

const contactOf = (request: SipRequest): string => request.contacts[0]!.uriText;
const granted = (request: SipRequest, expires: number): Record<string, string> => ({
  Contact: `<${contactOf(request)}>;expires=${expires};pub-gruu="sip:alice@ims.test;gr=urn:uuid:1"`,
});

/** Answers each REGISTER until one that satisfies. @returns that one */
async function registered(fits: (request: SipRequest) => boolean, expires = 600): Promise<SipRequest> {
  for (;;) {
    const request = await core.unanswered('REGISTER');
    core.peer.answer(request, 200, granted(request, expires), 'core');
    if (fits(request)) return request;
  }
}
const anyone = (): boolean => true;
const ends = (request: SipRequest): boolean => request.number('Expires') === 0;

describe('a phone behind another core', () => {
  it('is registered there by the gateway with its Instance ID and a Path to itself, and reached by it', async () => {
    const alice = await start();
    const started = alice.start();
    const register = await registered(anyone);
    expect(register.to.uriText).toBe('sip:alice@ims.test');
    expect(register.get('Contact')).toContain('+sip.instance="<urn:gsma:imei:49015420-323751-0>"');
    expect(register.get('Contact')).toContain('"FLY X95" <sip:');
    expect(register.get('Supported')).toContain('gruu');
    const path = register.get('Path')!;
    expect(path).toBe(`<sip:imps-gateway@127.0.0.1:${core.parley.port};lr>`);
    await Promise.all([
      started,
      registered(({ headers }) => headers.get('Contact')!.includes('oma.cpm.msg')),
    ]);
    core.send(
      'MESSAGE',
      contactOf(register),
      {
        Route: path,
        'P-Asserted-Identity': '<sip:bob@ims.test>',
        'Content-Type': 'text/plain',
        To: '<sip:alice@ims.test>',
      },
      'hello',
    );
    await until(async () => ((await alice.messages()).includes('hello') ? true : undefined));
  });

  it('sends as its user through the core', async () => {
    const alice = await start();
    const [, register] = await Promise.all([alice.start(), registered(anyone)]);
    expect(register.method).toBe('REGISTER');
    const sent = alice.request(message('hello', ['wv:bob@ims.test']));
    const request = await core.answer('MESSAGE', 200);
    expect(codeOf(await sent)).toBe(200);
    expect(request.get('P-Served-User')).toContain('<sip:alice@ims.test>;sescase=orig');
    expect(request.get('P-Asserted-Identity')).toContain('sip:alice@ims.test');
    expect(request.uri).toBe('sip:bob@ims.test');
  });

  it('answers a challenge with the password of its user, and is de-registered at its logout', async () => {
    const alice = await start();
    const started = alice.start();
    const first = await core.unanswered('REGISTER');
    core.peer.answer(
      first,
      401,
      { 'WWW-Authenticate': 'Digest realm="ims.test", nonce="n1", algorithm=MD5, qop="auth"' },
      'core',
    );
    const proved = await registered(anyone);
    expect(proved.get('Authorization')).toMatch(/username="alice@ims\.test"/);
    expect(proved.cseq.number).toBeGreaterThan(first.cseq.number);
    await started;
    expect(codeOf(await alice.request(element('Logout-Request')))).toBe(200);
    const last = await registered(ends);
    expect([contactOf(last), last.callId]).toEqual([contactOf(first), first.callId]);
    expect(last.cseq.number).toBeGreaterThan(proved.cseq.number);
  });

  it('asks for as long as a core wants at least, when its time was too short', async () => {
    const alice = await start();
    const started = alice.start();
    const first = await core.unanswered('REGISTER');
    const least = first.number('Expires')! + 50_000;
    core.peer.answer(first, 423, { 'Min-Expires': String(least) }, 'core');
    const longer = await registered(({ cseq }) => cseq.number > first.cseq.number, least);
    expect([longer.callId, longer.number('Expires')]).toEqual([first.callId, least]);
    expect(longer.contacts[0]!.params.get('expires')).toBe(String(least));
    await started;
    // it stands: the phone hears nothing of it, and its user is served
    expect(codeOf(await alice.request(element('KeepAlive-Request')))).toBe(200);
  });

  it('of which the core knows nothing any more is registered again with the next time that it is refreshed', async () => {
    const alice = await start();
    const started = alice.start();
    const first = await registered(anyone, 1);
    await started;
    // a core that has started anew challenges whom it does not know, under another nonce
    const again = await core.unanswered('REGISTER');
    const challenge = 'Digest realm="ims.test", nonce="after-restart", algorithm=MD5, qop="auth"';
    core.peer.answer(again, 401, { 'WWW-Authenticate': challenge }, 'core');
    const proved = await registered(({ cseq }) => cseq.number > again.cseq.number);
    expect(proved.get('Authorization')).toContain('nonce="after-restart"');
    expect([proved.callId, contactOf(proved), proved.get('Path')]).toEqual([
      first.callId,
      contactOf(first),
      first.get('Path'),
    ]);
  });

  it('is refreshed before the time that the core granted ends', async () => {
    const alice = await start();
    const started = alice.start();
    const first = await registered(anyone, 1);
    await started;
    const again = await registered(
      ({ callId, cseq }) => callId === first.callId && cseq.number > first.cseq.number,
      1,
    );
    // nothing but time made the second and those after it
    expect((await registered(({ cseq }) => cseq.number > again.cseq.number + 4, 1)).callId).toBe(
      first.callId,
    );
  });
});
