import { afterEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { DigestClient } from '../../src/sip/auth/digest-client.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipResponse } from '../../src/sip/message/message.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { testKeys, Usim } from '../tools/usim.js';

const { k, op, opc, amf } = testKeys;
const PATH = '<sip:pcscf.ims.test;lr>';
const subscribers = [
  { privateId: 'alice@ims.test', identities: ['sip:alice@ims.test'], aka: { k, op, amf } },
  {
    privateId: 'bob@ims.test',
    password: 'bob-secret',
    identities: ['sip:bob@ims.test'],
    aka: { k, opc, amf },
  },
  { privateId: 'carol@ims.test', password: 'carol-secret', identities: ['sip:carol@ims.test'] },
];

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function server(settings: Record<string, unknown> = {}): Promise<RunningParley> {
  const { sip, ...others } = settings;
  // a busy machine is not what is tested here
  const patient = { overloadDelay: 60_000, ...(sip as object | undefined) };
  const parley = await startParley({ subscribers, ...others, sip: patient });
  cleanups.push(() => parley.stop());
  return parley;
}

/** A phone that keeps one Call-ID, as a registration does. */
async function phone(
  parley: RunningParley,
  user = 'alice',
): Promise<(headers?: HeaderMap) => Promise<SipResponse>> {
  const opened = await Phone.open(user, parley.port);
  cleanups.push(() => opened.close());
  return (headers = {}) => opened.register('', { 'Call-ID': `register-${user}`, ...headers });
}

const edge = { sip: { trusted: ['127.0.0.1'] } };
const challenges = (response: SipResponse): string[] => response.headers.lines('WWW-Authenticate');
const codes = (parley: RunningParley): string[] => parley.app.trail.recent().map(({ code }) => code);

/** An answer that one digit keeps from being right. */
const wrong = (usim: Usim, challenge: SipResponse): HeaderMap => ({
  Authorization: String(usim.answer(challenge)['Authorization']).replace(
    /response="(.)/,
    (_, first) => `response="${first === 'f' ? '0' : 'f'}`,
  ),
});
const nonceOf = (challenge: SipResponse): string =>
  /nonce="([^"]+)"/.exec(challenge.get('WWW-Authenticate')!)![1]!;

describe('a subscriber with a USIM', () => {
  it.each([
    ['an empty answer', (usim: Usim) => usim.hello()],
    ['no Authorization at all', () => ({})],
  ])('registers with AKAv1-MD5 after %s, and its nonce serves once', async (_, hello) => {
    const usim = new Usim('alice@ims.test', 'ims.test');
    const register = await phone(await server());
    const challenge = await register(hello(usim));
    expect(challenge.status).toBe(401);
    expect(challenges(challenge)).toHaveLength(1);
    expect(challenge.get('WWW-Authenticate')).toMatch(/algorithm=AKAv1-MD5/);
    expect(challenge.get('WWW-Authenticate')).not.toMatch(/[ ,](?:ck|ik)=/);
    expect((await register(usim.answer(challenge))).status).toBe(200);
    expect((await register(usim.answer(challenge, 2))).status).toBe(401);
  });

  it.each(['AKAv2-MD5', 'AKAv2-SHA-256'])('registers with %s when it asks for it', async (algorithm) => {
    const usim = new Usim('alice@ims.test', 'ims.test');
    const register = await phone(await server());
    const challenge = await register(usim.hello(`, algorithm=${algorithm}`));
    expect(challenge.get('WWW-Authenticate')).toContain(`algorithm=${algorithm}`);
    expect((await register(usim.answer(challenge))).status).toBe(200);
  });

  it.each([16, 32])('registers with TUAK and a key of %i octets', async (length) => {
    const tuak = { k: '5a'.repeat(length), opc: 'c3'.repeat(32), amf: '8000' };
    const aka = { privateId: 'alice@ims.test', identities: ['sip:alice@ims.test'], aka: tuak };
    const register = await phone(await server({ subscribers: [aka] }));
    const usim = new Usim('alice@ims.test', 'ims.test', tuak);
    expect((await register(usim.answer(await register(usim.hello())))).status).toBe(200);
  });

  it('gets the first algorithm that is allowed when it asks for another', async () => {
    const usim = new Usim('alice@ims.test', 'ims.test');
    const register = await phone(await server({ aka: { algorithms: ['AKAv2-MD5'] } }));
    const challenge = await register(usim.hello(', algorithm=AKAv1-MD5'));
    expect(challenge.get('WWW-Authenticate')).toContain('algorithm=AKAv2-MD5');
  });

  it('never gets the same sequence number twice: the store has stepped it before the challenge leaves', async () => {
    const parley = await server();
    const register = await phone(parley);
    const usim = new Usim('alice@ims.test', 'ims.test');
    expect((await register(usim.answer(await register(usim.hello())))).status).toBe(200);
    const { highest } = usim.sequence;
    const challenge = await register(usim.hello());
    const { usims } = parley.app.subscribers;
    expect(await usims.challengeOf('alice@ims.test', nonceOf(challenge))).toMatchObject({ count: 0 });
    expect((await register(usim.answer(challenge))).status).toBe(200);
    expect(usim.sequence.highest).toBeGreaterThan(highest);
  });

  it.each([
    ['a response', (answer: HeaderMap) => answer],
    [
      'an empty response',
      ({ Authorization }: HeaderMap) => ({
        Authorization: String(Authorization).replace(/response="[^"]*"/, 'response=""'),
      }),
    ],
  ])(
    'whose sequence number is ahead says so with AUTS and %s, and is challenged from there',
    async (_, sent) => {
      const parley = await server();
      const register = await phone(parley);
      const usim = new Usim('alice@ims.test', 'ims.test');
      for (let sqn = 33; sqn < 33 * 70; sqn += 33) usim.sequence.accept(sqn);
      const again = await register(sent(usim.answer(await register(usim.hello()))));
      expect(again.status).toBe(401);
      expect((await register(usim.answer(again))).status).toBe(200);
      expect(codes(parley)).toContain('auth.resynchronised');
    },
  );

  it('is challenged anew for an AUTS of another key, which counts as a wrong answer', async () => {
    const parley = await server({ digest: { maxFailures: 2 } });
    const register = await phone(parley);
    const usim = new Usim('alice@ims.test', 'ims.test');
    for (let sqn = 33; sqn < 33 * 70; sqn += 33) usim.sequence.accept(sqn);
    const forged = (challenge: SipResponse): HeaderMap => ({
      Authorization: String(usim.answer(challenge)['Authorization']).replace(
        /auts="[^"]*"/,
        'auts="AAAAAAAAAAAAAAAAAAA="',
      ),
    });
    for (let tries = 0; tries < 2; tries++)
      expect((await register(forged(await register(usim.hello())))).status).toBe(401);
    expect((await register(usim.answer(await register(usim.hello())))).status).toBe(403);
    expect(codes(parley)).toEqual(expect.arrayContaining(['auth.wrong-auts', 'auth.locked']));
  });

  it('with a wrong answer is challenged with a new vector, and locked after too many', async () => {
    const parley = await server({ digest: { maxFailures: 2 } });
    const register = await phone(parley);
    const thief = new Usim('alice@ims.test', 'ims.test');
    for (let tries = 0; tries < 2; tries++) {
      const challenge = await register(thief.hello());
      const again = await register(wrong(thief, challenge));
      expect(again.status).toBe(401);
      expect(again.get('WWW-Authenticate')).not.toBe(challenge.get('WWW-Authenticate'));
    }
    expect((await register(wrong(thief, await register(thief.hello())))).status).toBe(403);
  });

  it('answers within the same Call-ID only', async () => {
    const register = await phone(await server());
    const usim = new Usim('alice@ims.test', 'ims.test');
    const challenge = await register(usim.hello());
    expect((await register({ ...usim.answer(challenge), 'Call-ID': 'another' })).status).toBe(401);
  });

  it('has two devices that start together: both get in, each with the answer to its own challenge', async () => {
    const parley = await server();
    const [tablet, handset] = [await phone(parley), await phone(parley)];
    const [one, other] = [
      new Usim('alice@ims.test', 'ims.test'),
      new Usim('alice@ims.test', 'ims.test'),
    ] as const;
    const own = { 'Call-ID': 'register-tablet' };
    const forTablet = await tablet({ ...own, ...one.hello() });
    const forHandset = await handset(other.hello());
    expect((await tablet({ ...own, ...one.answer(forTablet) })).status).toBe(200);
    expect((await handset(other.answer(forHandset))).status).toBe(200);
    expect((await tablet({ ...own, ...one.answer(forTablet) })).status).toBe(401);
  });

  it('with a wrong answer loses its own challenge and leaves that of another device', async () => {
    const parley = await server();
    const [tablet, handset] = [await phone(parley), await phone(parley)];
    const usim = new Usim('alice@ims.test', 'ims.test');
    const own = { 'Call-ID': 'register-tablet' };
    const forTablet = await tablet({ ...own, ...usim.hello() });
    const forHandset = await handset(usim.hello());
    expect((await handset(wrong(usim, forHandset))).status).toBe(401);
    const { usims } = parley.app.subscribers;
    expect(await usims.challengeOf('alice@ims.test', nonceOf(forHandset))).toBeUndefined();
    expect((await tablet({ ...own, ...usim.answer(forTablet) })).status).toBe(200);
  });

  it('has eight registrations under way at most: of nine the first is to begin anew', async () => {
    const parley = await server();
    const register = await phone(parley);
    const usim = new Usim('alice@ims.test', 'ims.test');
    const started: [string, SipResponse][] = [];
    for (let index = 0; index < 9; index++) {
      const callId = `register-${index}`;
      started.push([callId, await register({ 'Call-ID': callId, ...usim.hello() })]);
    }
    const finish = async ([callId, challenge]: [string, SipResponse]): Promise<number> =>
      (await register({ 'Call-ID': callId, ...usim.answer(challenge) })).status;
    expect(await finish(started[8]!)).toBe(200);
    expect(await finish(started[1]!)).toBe(200);
    expect(await finish(started[0]!)).toBe(401);
  });

  it('may use its nonce again with a rising count where the configuration allows it', async () => {
    const register = await phone(await server({ aka: { nonceReuse: 60 } }));
    const usim = new Usim('alice@ims.test', 'ims.test');
    const challenge = await register(usim.hello());
    for (const [nc, status] of [
      [1, 200],
      [2, 200],
      [2, 401],
    ] as const)
      expect((await register(usim.answer(challenge, nc))).status).toBe(status);
  });

  it('whose nonce somebody answers wrongly within another Call-ID cannot use it again', async () => {
    const register = await phone(await server({ aka: { nonceReuse: 60 } }));
    const usim = new Usim('alice@ims.test', 'ims.test');
    const challenge = await register(usim.hello());
    expect((await register(usim.answer(challenge))).status).toBe(200);

    const guess = String(usim.answer(challenge, 2)['Authorization']).replace(
      /response="[^"]+"/,
      `response="${'0'.repeat(32)}"`,
    );
    expect((await register({ Authorization: guess, 'Call-ID': 'another' })).status).toBe(401);
    expect((await register(usim.answer(challenge, 3))).status).toBe(401);
  });

  it('without a password cannot register with digest', async () => {
    const register = await phone(await server());
    const challenge = await register({
      Authorization:
        'Digest username="alice@ims.test", realm="ims.test", nonce="", uri="sip:ims.test", response="", algorithm=MD5',
    });
    expect(challenges(challenge).join()).not.toContain('AKA');
  });

  it('and a password is offered both, AKA first', async () => {
    const register = await phone(await server(), 'bob');
    const usim = new Usim('bob@ims.test', 'ims.test');
    const challenge = await register();
    expect(challenges(challenge)[0]).toContain('AKAv1-MD5');
    expect(challenges(challenge).slice(1).join()).toContain('algorithm=MD5');
    expect((await register(usim.answer(challenge))).status).toBe(200);
  });
});

describe('a P-CSCF that is trusted', () => {
  it('gets CK and IK with the challenge when its Path is there', async () => {
    const register = await phone(await server(edge));
    const usim = new Usim('alice@ims.test', 'ims.test');
    const challenge = await register({ ...usim.hello(', integrity-protected="no"'), Path: PATH });
    expect(challenge.get('WWW-Authenticate')).toMatch(/ck="[0-9a-f]{32}", ?ik="[0-9a-f]{32}"/);
    const more = ', integrity-protected="yes"';
    expect((await register({ ...usim.answer(challenge, 1, more), Path: PATH })).status).toBe(200);
  });

  it('has a protected refresh accepted without a challenge, but no first registration', async () => {
    const register = await phone(await server(edge));
    const usim = new Usim('alice@ims.test', 'ims.test');
    const protectedHello = { ...usim.hello(', integrity-protected="yes"'), Path: PATH };
    const challenge = await register(protectedHello);
    expect(challenge.status).toBe(401);
    expect((await register({ ...usim.answer(challenge), Path: PATH })).status).toBe(200);
    expect((await register(protectedHello)).status).toBe(200);
  });

  it.each(['no', 'yes', 'tls-connected'])(
    'whose integrity-protected="%s" stands beside the answer of a password registers its user',
    async (hint) => {
      const register = await phone(await server(edge), 'carol');
      const usim = new Usim('carol@ims.test', 'ims.test');
      const challenge = await register({ ...usim.hello(`, integrity-protected="${hint}"`), Path: PATH });
      expect(challenge.status).toBe(401);
      const answer = (password: string): HeaderMap => {
        const client = new DigestClient({ username: 'carol@ims.test', password });
        client.challenged(challenges(challenge));
        const line = client.sign({ method: 'REGISTER', uri: 'sip:ims.test' })!;
        return { Authorization: `${line}, integrity-protected="${hint}"`, Path: PATH };
      };
      expect((await register(answer('wrong'))).status).toBe(401);
      expect((await register(answer('carol-secret'))).status).toBe(200);
    },
  );

  it('vouches for a user with auth-done', async () => {
    const register = await phone(await server(edge), 'carol');
    const usim = new Usim('carol@ims.test', 'ims.test');
    expect((await register(usim.hello(', integrity-protected="auth-done"'))).status).toBe(200);
  });

  it('cannot vouch for somebody whom nobody knows', async () => {
    const register = await phone(await server(edge), 'nobody');
    const usim = new Usim('nobody@ims.test', 'ims.test');
    expect((await register(usim.hello(', integrity-protected="auth-done"'))).status).toBe(404);
  });
});

it('integrity-protected of anybody else is not believed', async () => {
  const register = await phone(await server(), 'carol');
  const usim = new Usim('carol@ims.test', 'ims.test');
  expect((await register(usim.hello(', integrity-protected="auth-done"'))).status).toBe(401);
});

describe('keys of a subscriber', () => {
  it('go in through the API and never come out', async () => {
    const parley = await server();
    const keys = { k: 'ab'.repeat(16), op: 'cd'.repeat(16), amf: '8000', sqn: '000000000021' };
    const url = `${parley.api}/api/v1/subscribers`;
    const post = (body: object): Promise<Response> =>
      fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const subscriber = { privateId: 'erin@ims.test', identities: ['sip:erin@ims.test'] };
    expect((await post({ ...subscriber, aka: { ...keys, opc: keys.op } })).status).toBe(400);
    expect((await post(subscriber)).status).toBe(400);
    const added = await post({ ...subscriber, aka: keys });
    expect(added.status).toBe(201);
    const shown = `${await added.text()}${await (await fetch(url)).text()}`;
    expect(shown).toContain('"schemes":["aka"]');
    for (const secret of [keys.k, keys.op]) expect(shown).not.toContain(secret);
    const register = await phone(parley, 'erin');
    const usim = new Usim('erin@ims.test', 'ims.test', {
      ...keys,
      opc: (await parley.app.subscribers.get('erin@ims.test'))!.aka!.opc,
    });
    expect((await register(usim.answer(await register()))).status).toBe(200);
    expect(usim.sequence.highest).toBeGreaterThan(0x21);
  });

  it.each([
    ['aka: { k: 1, op: "cd" }', /subscribers\.0\.aka\.k/],
    ['aka: { k: "465b5ce8b199b49faa5f0a2ee238a6bc" }', /needs one of op and opc/],
    ['imps: "wv:x@ims.test"', /needs password or aka/],
  ])('%s is refused by the configuration, which does not repeat it', (setting, why) => {
    const text = `subscribers:\n  - { privateId: x, identities: ["sip:x@ims.test"], ${setting} }`;
    const load = (): unknown => loadConfig({ name: 'parley.yaml', text }, {});
    expect(load).toThrow(why);
    expect(load).not.toThrow(/465b/);
  });
});
