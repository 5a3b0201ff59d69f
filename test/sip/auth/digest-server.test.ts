import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { StoredNonceUses } from '../../../src/registrar/nonce-uses.js';
import { digestHa1, type HashName } from '../../../src/sip/auth/algorithm.js';
import { parseChallenge } from '../../../src/sip/auth/challenge.js';
import { parseCredentials } from '../../../src/sip/auth/credentials.js';
import { DigestClient } from '../../../src/sip/auth/digest-client.js';
import { DigestServer, type DigestServerOptions, type Verdict } from '../../../src/sip/auth/digest-server.js';
import { GuessLock } from '../../../src/sip/auth/guess-lock.js';
import { ServerNonces } from '../../../src/sip/auth/nonce.js';
import { MemoryStore } from '../../tools/memory-store.js';

const register = { method: 'REGISTER', uri: 'sip:ims.test', source: '192.0.2.1' };
let clock: VirtualClock;

function serverWith(options: Partial<DigestServerOptions> = {}): DigestServer {
  return new DigestServer({
    realm: 'ims.test',
    nonces: new ServerNonces({ clock, key: Buffer.alloc(16, 1), lifetimeMs: 300_000 }),
    userLock: new GuessLock({ clock, limit: 3, windowMs: 60_000 }),
    sourceLock: new GuessLock({ clock, limit: 10, windowMs: 60_000 }),
    ...options,
  });
}
const secretOf = (hash: HashName): string => digestHa1(hash, 'alice', 'ims.test', 'alice-secret');
const alice = (): DigestClient => new DigestClient({ username: 'alice', password: 'alice-secret' });
/** Without common counts of nonces nothing is waited for. */
const judge = (server: DigestServer, value: string | undefined, request = register): Verdict =>
  server.judge(value === undefined ? undefined : parseCredentials(value), secretOf, request) as Verdict;
const answer = (server: DigestServer, client = alice()): string => {
  client.challenged(server.challenges());
  return client.sign(register)!;
};

beforeEach(() => {
  clock = new VirtualClock();
});

describe('the challenge', () => {
  it('comes once for each algorithm, strongest first (RFC 8760 §2.3)', () => {
    const challenges = serverWith()
      .challenges()
      .map((value) => parseChallenge(value)!);
    expect(challenges.map(({ algorithm }) => algorithm)).toEqual(['SHA-512-256', 'SHA-256', 'MD5']);
    expect(challenges.every(({ realm, qop }) => realm === 'ims.test' && qop.join() === 'auth')).toBe(true);
  });
});

describe('a request is', () => {
  it('challenged when it has no credentials, empty ones or those of another realm', () => {
    const server = serverWith();
    const challenge = { kind: 'challenge', stale: false, anywhere: false, wrongPassword: false };
    expect(judge(server, undefined)).toEqual(challenge);
    expect(
      judge(server, 'Digest username="alice",realm="ims.test",uri="sip:ims.test",nonce="",response=""'),
    ).toEqual(challenge);
    expect(judge(server, answer(server).replace('realm="ims.test"', 'realm="other.test"'))).toEqual(
      challenge,
    );
  });

  it.each(['SHA-512-256', 'SHA-256', 'MD5'] as const)('accepted with a right answer by %s', (name) => {
    const server = serverWith({ algorithms: [name] });
    const value = answer(server);
    expect(value).toContain(`algorithm=${name}`);
    expect(judge(server, value).kind).toBe('accepted');
  });

  it('accepted again with the next nonce count, and challenged as stale when it is replayed', () => {
    const server = serverWith();
    const client = alice();
    const first = answer(server, client);
    expect(judge(server, first).kind).toBe('accepted');
    expect(judge(server, client.sign(register)).kind).toBe('accepted');
    expect(judge(server, first)).toMatchObject({ kind: 'challenge', stale: true, wrongPassword: false });
  });

  it('challenged as stale when only the nonce has expired, and not as stale when the password is wrong too', () => {
    const server = serverWith();
    const right = answer(server);
    const wrong = answer(server, new DigestClient({ username: 'alice', password: 'guess' }));
    clock.advance(300_000);
    expect(judge(server, right)).toMatchObject({ kind: 'challenge', stale: true, wrongPassword: false });
    expect(judge(server, wrong)).toMatchObject({ kind: 'challenge', stale: false, wrongPassword: true });
  });

  it('challenged as stale when a server before this one made the nonce', () => {
    const before = serverWith({
      nonces: new ServerNonces({ clock, key: Buffer.alloc(16, 2), lifetimeMs: 300_000 }),
    });
    expect(judge(serverWith(), answer(before))).toMatchObject({ kind: 'challenge', stale: true });
  });

  it('accepted by each of several nodes in turn, with one challenge, when its nonce is counted by all', async () => {
    const store = new MemoryStore();
    const uses = new StoredNonceUses({ store, clock, log: silentLogger });
    const node = (): DigestServer =>
      serverWith({
        nonces: new ServerNonces({ clock, key: Buffer.alloc(16, 1), lifetimeMs: 300_000, uses }),
        anywhere: true,
      });
    const [a, b] = [node(), node()];
    const client = alice();
    const answers = [answer(a, client), client.sign(register)!, client.sign(register)!];
    const judged = async (server: DigestServer, value: string): Promise<string> =>
      (await server.judge(parseCredentials(value), secretOf, register)).kind;
    expect(await judged(b, answers[0]!)).toBe('accepted');
    expect(await judged(a, answers[1]!)).toBe('accepted');
    expect(await judged(b, answers[2]!)).toBe('accepted');
    expect(await judged(a, answers[2]!)).toBe('challenge');
    uses.close();
  });

  it('judged alike for a wrong password and for a user that does not exist', () => {
    const server = serverWith();
    const wrong = judge(server, answer(server, new DigestClient({ username: 'alice', password: 'guess' })));
    const unknown = server.judge(parseCredentials(answer(server)), () => undefined, register);
    expect(unknown).toEqual(wrong);
  });

  it('challenged when it answers with an algorithm or qop that was not offered', () => {
    const server = serverWith({ algorithms: ['SHA-256'] });
    const challenge = { kind: 'challenge', stale: false, anywhere: false, wrongPassword: false };
    expect(judge(server, answer(serverWith({ algorithms: ['MD5'] })))).toEqual(challenge);
    expect(judge(server, answer(server).replace('qop=auth', 'qop=auth-int'))).toEqual(challenge);
    expect(judge(server, answer(server).replace('algorithm=SHA-256', 'algorithm=AKAv1-MD5'))).toEqual(
      challenge,
    );
  });

  it('accepted without qop once for each nonce, unless that is switched off', () => {
    const client = alice();
    const nonces = new ServerNonces({ clock, key: Buffer.alloc(16, 1), lifetimeMs: 300_000 });
    client.challenged([`Digest realm="ims.test", algorithm=MD5, nonce="${nonces.issue()}"`]);
    const value = client.sign(register)!;
    expect(value).not.toContain('nc=');
    const server = serverWith({ nonces });
    expect(judge(server, value).kind).toBe('accepted');
    expect(judge(server, value)).toMatchObject({ kind: 'challenge', stale: true });
    expect(judge(serverWith({ nonces, withoutQop: false }), value).kind).toBe('challenge');
  });

  it('refused when its body is not the one that auth-int covers', () => {
    const server = serverWith({ qop: ['auth-int'] });
    const client = alice();
    client.challenged(server.challenges());
    const value = client.sign({ ...register, body: 'v=0\r\n' })!;
    expect(judge(server, value)).toMatchObject({ wrongPassword: true });
    const again = client.sign({ ...register, body: 'v=0\r\n' })!;
    const request = { ...register, body: Buffer.from('v=0\r\n') };
    expect(server.judge(parseCredentials(again), secretOf, request)).toMatchObject({ kind: 'accepted' });
  });

  it('refused when its digest uri names another host, and not for another port or parameter', () => {
    const server = serverWith();
    const judged = (uri: string): Verdict => judge(server, answer(server), { ...register, uri });
    expect(judged('sip:IMS.test:5060;transport=tcp').kind).toBe('accepted');
    expect(() => judged('sip:other.test')).toThrow(expect.objectContaining({ code: 'digest-uri', sip: 400 }));
    expect(() => judged('tel:+15550100004')).toThrow(expect.objectContaining({ code: 'digest-uri' }));
  });
});

describe('guessing', () => {
  const guess = (server: DigestServer, username: string, source: string): Verdict => {
    const value = answer(server, new DigestClient({ username, password: 'guess' }));
    return judge(server, value, { ...register, source });
  };

  it('locks the user after three wrong answers from anywhere, even for the right password', () => {
    const server = serverWith();
    for (let i = 0; i < 3; i++)
      expect(guess(server, 'alice', `192.0.2.${i}`)).toMatchObject({ wrongPassword: true });
    expect(judge(server, answer(server))).toEqual({ kind: 'locked', retryAfterMs: 20_000 });
    clock.advance(20_000);
    expect(judge(server, answer(server)).kind).toBe('accepted');
  });

  it('locks the source address that tries one password on many users', () => {
    const server = serverWith();
    for (let i = 0; i < 10; i++) guess(server, `user${i}`, '192.0.2.66');
    expect(guess(server, 'user10', '192.0.2.66')).toMatchObject({ kind: 'locked' });
    expect(guess(server, 'user10', '192.0.2.67')).toMatchObject({ wrongPassword: true });
  });
});

describe('a client', () => {
  it('takes the topmost challenge that it can answer (RFC 8760 §2.4)', () => {
    const client = alice();
    client.challenged([
      'Basic realm="x"',
      'Digest realm="r", nonce="n", algorithm=SHA3',
      'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"',
    ]);
    expect(client.sign(register)).toContain('algorithm=SHA-256');
  });

  it('gives up on a second refusal with a fresh nonce, and goes on when only the nonce was stale', () => {
    const client = alice();
    const server = serverWith();
    expect(client.challenged(server.challenges())).toBe(true);
    expect(client.challenged(server.challenges({ stale: true, anywhere: false }))).toBe(true);
    expect(client.challenged(server.challenges())).toBe(false);
  });

  it('says so when it can answer no challenge', () => {
    expect(() => alice().challenged(['Digest realm="r", nonce="n", algorithm=AKAv1-MD5'])).toThrow(
      expect.objectContaining({ code: 'digest-challenge' }),
    );
    expect(() => alice().challenged(['Digest realm="r", nonce="n", qop="future"'])).toThrow(
      expect.objectContaining({ code: 'digest-challenge' }),
    );
  });

  it('signs nothing before it was challenged', () => {
    expect(alice().sign(register)).toBeUndefined();
  });

  it.each(['MD5', 'MD5-sess', 'SHA-256-sess', 'SHA-512-256-sess'])(
    'is understood by the server with %s',
    (token) => {
      const server = serverWith();
      const client = alice();
      client.challenged(
        server.challenges().map((value) => value.replace(/algorithm=[^,]+/, `algorithm=${token}`)),
      );
      expect(judge(server, client.sign(register)).kind).toBe('accepted');
      expect(judge(server, client.sign(register)).kind).toBe('accepted');
    },
  );

  it('moves on to the next nonce and checks that the server knows the password too', () => {
    const server = serverWith();
    const client = alice();
    const verdict = judge(server, answer(server, client));
    if (verdict.kind !== 'accepted') throw new Error('not accepted');
    const ha1 = secretOf('SHA-512-256');
    const info = server.authenticationInfo(verdict.credentials, ha1, { nextNonce: true });
    expect(client.confirmed(info, register)).toBe(true);
    const next = client.sign(register)!;
    expect(next).toContain('nc=00000001');
    expect(parseCredentials(next)!.nonce).not.toBe(verdict.credentials.nonce);
    expect(judge(server, next).kind).toBe('accepted');
  });

  it('notices a server that does not know the password', () => {
    const server = serverWith();
    const client = alice();
    const verdict = judge(server, answer(server, client));
    if (verdict.kind !== 'accepted') throw new Error('not accepted');
    const info = server.authenticationInfo(
      verdict.credentials,
      digestHa1('SHA-512-256', 'alice', 'ims.test', 'guess'),
    );
    expect(client.confirmed(info, register)).toBe(false);
  });
});
