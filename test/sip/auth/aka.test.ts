import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import {
  akaHa1,
  akaKeys,
  akaVector,
  resynchronised,
  usimAnswer,
  type AkaSecret,
} from '../../../src/sip/auth/aka.js';
import {
  AkaServer,
  type AkaServerOptions,
  type AkaVerdict,
  type OpenChallenge,
} from '../../../src/sip/auth/aka-server.js';
import { digestAlgorithm, digestHa1, type DigestAlgorithm } from '../../../src/sip/auth/algorithm.js';
import { parseChallenge } from '../../../src/sip/auth/challenge.js';
import { parseCredentials, type DigestCredentials } from '../../../src/sip/auth/credentials.js';
import { digestResponse } from '../../../src/sip/auth/digest.js';
import { GuessLock } from '../../../src/sip/auth/guess-lock.js';
import type { AkaKeys } from '../../../src/sip/auth/milenage.js';
import { registrationScheme } from '../../../src/sip/auth/registration-scheme.js';
import { nextSqn, sqnOctets, sqnOf, UsimSequence } from '../../../src/sip/auth/sqn.js';

const octets = (hex: string): Buffer => Buffer.from(hex, 'hex');
const secret: AkaSecret = {
  k: octets('465b5ce8b199b49faa5f0a2ee238a6bc'),
  opc: octets('cd63cb71954a9f4e48a5994e37a02baf'),
  amf: octets('b9b9'),
};
const rand = octets('23553cbe9637a89d218ae64dae47bf35');
const privateId = 'user1_private@home1.net';
const realm = 'home1.net';
const vector = akaVector(secret, 0xff9bb4d0b607, rand);
const nonce = 'I1U8vpY3qJ0hiuZNrke/NVXzKLQ1d7m5Sp/6w1Tfr7M=';
const input = { nonce, uri: 'sip:home1.net', nc: '00000001', cnonce: '0a4f113b', qop: 'auth' };
const register = { method: 'REGISTER' };

describe('an AKA vector of test set 1', () => {
  it('has the AUTN and the nonce that Milenage and RFC 3310 §3.2 give', () => {
    expect(vector.autn.toString('hex')).toBe('55f328b43577b9b94a9ffac354dfafb3');
    expect(vector.nonce).toBe(nonce);
  });

  it.each([
    ['AKAv1-MD5', 'd631c17126f6ad3a5984ced4459958df'],
    ['AKAv2-MD5', '9e134df9490c2cff01853e49a32aa59c'],
  ])('is answered in %s by %s', (token, response) => {
    const algorithm = digestAlgorithm(token)!;
    const ha1 = akaHa1(algorithm, privateId, realm, vector);
    expect(digestResponse(algorithm, ha1, input, register)).toBe(response);
  });

  it('is answered in AKAv2-SHA-256 as Python computes it from RFC 4169 §2.1', () => {
    const algorithm = digestAlgorithm('AKAv2-SHA-256')!;
    const ha1 = akaHa1(algorithm, privateId, realm, vector);
    expect(digestResponse(algorithm, ha1, input, register)).toBe(
      '0bf78effba6ba081a201ce2455a0ab7268a767d290d43deccfa55518cd8c0558',
    );
  });

  it('has no password for an algorithm without AKA', () => {
    expect(() => akaHa1(digestAlgorithm('MD5')!, privateId, realm, vector)).toThrow(
      expect.objectContaining({ code: 'aka-algorithm' }),
    );
  });
});

describe('a USIM', () => {
  it('derives the keys from a fresh challenge', () => {
    const answer = usimAnswer(secret, nonce, () => true, 0);
    expect(answer).toMatchObject({ kind: 'answered', sqn: 0xff9bb4d0b607 });
    if (answer.kind === 'answered')
      expect(answer.keys).toEqual({ res: vector.res, ck: vector.ck, ik: vector.ik, ak: vector.ak });
  });

  it('refuses a network that does not know the key', () => {
    const stranger = { ...secret, k: Buffer.alloc(16) };
    expect(usimAnswer(secret, akaVector(stranger, 1, rand).nonce, () => true, 0)).toEqual({
      kind: 'mac-failure',
    });
  });

  it('reports its own sequence number when that of the network is not fresh', () => {
    expect(usimAnswer(secret, nonce, () => false, 0xff9bb4d0b700)).toEqual({
      kind: 'synchronisation-failure',
      auts: 'uoU/PBM7gejUAluObEo=',
    });
  });

  it('cannot answer a nonce without RAND and AUTN', () => {
    expect(() => usimAnswer(secret, 'AAAA', () => true, 0)).toThrow(
      expect.objectContaining({ code: 'aka-nonce' }),
    );
  });
});

describe('resynchronisation', () => {
  it('gives the sequence number of the USIM', () => {
    expect(resynchronised(secret, rand, 'uoU/PBM7gejUAluObEo=')).toBe(0xff9bb4d0b700);
  });

  it.each(['uoU/PBM7gejUAluObEs=', 'uoU/PBM7gejUAluObA==', '', '!!'])('is refused for %j', (auts) => {
    expect(resynchronised(secret, rand, auts)).toBeUndefined();
  });

  it('works for every number that a USIM can report', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 48 - 1 }), (highest) => {
        const answer = usimAnswer(secret, nonce, () => false, highest);
        expect(answer.kind === 'synchronisation-failure' && resynchronised(secret, rand, answer.auts)).toBe(
          highest,
        );
      }),
    );
  });
});

describe('a sequence number', () => {
  it('steps SEQ and IND by one each (TS 33.102 Annex C)', () => {
    expect([0, 31, 32, 1055].map(nextSqn)).toEqual([33, 32, 64 + 1, 33 * 32]);
  });

  it('is carried in six octets', () => {
    expect(sqnOctets(0xff9bb4d0b607).toString('hex')).toBe('ff9bb4d0b607');
    expect(sqnOf(octets('ff9bb4d0b607'))).toBe(0xff9bb4d0b607);
    expect(() => sqnOctets(2 ** 48)).toThrow(expect.objectContaining({ code: 'aka-sqn' }));
  });

  it('is accepted by the USIM once, and all of a run in any order within the array', () => {
    const usim = new UsimSequence();
    const run = [1];
    while (run.length < 32) run.push(nextSqn(run.at(-1)!));
    for (const sqn of run.reverse()) expect(usim.accept(nextSqn(sqn))).toBe(true);
    for (const sqn of run) expect(usim.accept(nextSqn(sqn))).toBe(false);
  });

  it('too far ahead is refused, so that a forger of one vector cannot use the range up', () => {
    const usim = new UsimSequence();
    expect([usim.accept(2 ** 28 * 32 + 32), usim.accept(2 ** 28 * 32)]).toEqual([false, true]);
  });

  it('stepped from what the USIM reported is fresh to it', () => {
    const usim = new UsimSequence();
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 20 }), (sqn) => {
        usim.accept(sqn);
        expect(usim.accept(nextSqn(usim.highest))).toBe(true);
      }),
    );
  });
});

describe('the AKA server', () => {
  let clock: VirtualClock;
  let userLock: GuessLock;
  const callId = 'call-1';
  beforeEach(() => {
    clock = new VirtualClock();
    userLock = new GuessLock({ clock, limit: 3, windowMs: 60_000 });
  });
  /** As the store would have it. */
  let open: OpenChallenge | undefined;
  const serverWith = (options: Partial<AkaServerOptions> = {}): AkaServer => {
    open = undefined;
    return new AkaServer({ clock, realm, userLock, ...options });
  };
  const challenge = (server: AkaServer, algorithm: 'AKAv1-MD5' | 'AKAv2-MD5' = 'AKAv1-MD5'): string => {
    const options = { callId, algorithm, withKeys: true };
    open = server.open(vector, options);
    return server.challenge(vector, options);
  };
  const judge = (server: AkaServer, credentials: DigestCredentials, call = callId): AkaVerdict => {
    const keysOf = (random: Uint8Array): AkaKeys => akaKeys(secret, random);
    const answer = { privateId, credentials, callId: call, request: register, open, keysOf };
    const verdict = server.judge(answer);
    if (verdict.kind === 'accepted') open = verdict.remains;
    if (verdict.kind === 'resynchronise' || (verdict.kind === 'challenge' && verdict.wrongResponse))
      open = undefined;
    return verdict;
  };
  const signed = (
    ha1: (algorithm: DigestAlgorithm) => string,
    extra: Partial<DigestCredentials> = {},
  ): DigestCredentials => {
    const algorithm = digestAlgorithm(extra.algorithm ?? 'AKAv1-MD5')!;
    const blank = parseCredentials(`Digest username="${privateId}", realm="${realm}"`)!;
    const credentials = { ...blank, ...input, algorithm: algorithm.token, ...extra };
    return { ...credentials, response: digestResponse(algorithm, ha1(algorithm), credentials, register) };
  };
  const right = (extra: Partial<DigestCredentials> = {}): DigestCredentials =>
    signed((algorithm) => akaHa1(algorithm, privateId, realm, vector), extra);
  const wrong = (): DigestCredentials =>
    signed((algorithm) => digestHa1(algorithm.hash, privateId, realm, 'guess'));

  it('challenges with the nonce and the keys for the P-CSCF', () => {
    expect(parseChallenge(challenge(serverWith()))).toMatchObject({
      realm,
      nonce,
      algorithm: 'AKAv1-MD5',
      qop: ['auth'],
      ck: 'b40ba9a3c58b2a05bbf0d987b21bf8cb',
      ik: 'f769bcd751044604127672711c6d3441',
    });
    const bare = serverWith().challenge(vector, {
      callId,
      algorithm: 'AKAv1-MD5',
      withKeys: false,
    });
    expect(bare).not.toMatch(/ck=|ik=/);
  });

  it.each(['AKAv1-MD5', 'AKAv2-MD5'] as const)('accepts the right answer in %s once', (algorithm) => {
    const server = serverWith();
    challenge(server, algorithm);
    const answer = right({ algorithm });
    expect(judge(server, answer)).toEqual({ kind: 'accepted', remains: undefined });
    expect(judge(server, answer)).toEqual({
      kind: 'challenge',
      wrongResponse: false,
    });
  });

  it('serves the nonce again with rising counts when that is wanted, for its time', () => {
    const server = serverWith({ reuseMs: 600_000 });
    challenge(server);
    const kinds = [1, 2, 2, 3].map(
      (count) => judge(server, right({ nc: `0000000${count}` }), `call-${count}`).kind,
    );
    expect(kinds).toEqual(['accepted', 'accepted', 'challenge', 'accepted']);
    clock.advance(600_000);
    expect(judge(server, right({ nc: '00000004' })).kind).toBe('challenge');
  });

  it('ends the challenge at a wrong answer and locks a subscriber who is guessed at', () => {
    const server = serverWith();
    for (let i = 0; i < 3; i++) {
      challenge(server);
      expect(judge(server, wrong())).toEqual({
        kind: 'challenge',
        wrongResponse: true,
      });
      expect(judge(server, right())).not.toMatchObject({ kind: 'accepted' });
    }
    challenge(server);
    expect(judge(server, right())).toEqual({
      kind: 'locked',
      retryAfterMs: 20_000,
    });
  });

  it('wants the answer within four minutes, with the Call-ID and the algorithm of the challenge', () => {
    const server = serverWith();
    const again = { kind: 'challenge', wrongResponse: false };
    challenge(server);
    expect(judge(server, right(), 'call-2')).toEqual(again);
    expect(judge(server, right({ algorithm: 'AKAv2-MD5' }))).toEqual(again);
    clock.advance(240_000);
    expect(judge(server, right())).toEqual(again);
  });

  it('makes a new vector for the empty credentials of a first REGISTER', () => {
    const first = parseCredentials(
      `Digest username="${privateId}", realm="${realm}", nonce="", response="", uri="sip:home1.net"`,
    )!;
    expect(judge(serverWith(), first)).toEqual({
      kind: 'challenge',
      wrongResponse: false,
    });
  });

  it('asks for resynchronisation when AUTS comes with the response of the empty password (RFC 3310 §3.4)', () => {
    const server = serverWith();
    challenge(server);
    const empty = signed((algorithm) => digestHa1(algorithm.hash, privateId, realm, ''), {
      auts: 'uoU/PBM7gejUAluObEo=',
    });
    expect(empty.response).toBe('8e03552f1a81086a8c9ba4a33ddf3aba');
    const verdict = judge(server, empty);
    expect(verdict).toEqual({ kind: 'resynchronise', rand, auts: 'uoU/PBM7gejUAluObEo=' });
    expect(judge(server, empty)).toEqual({
      kind: 'challenge',
      wrongResponse: false,
    });
  });

  it('never takes the empty password for an answer without AUTS', () => {
    const server = serverWith();
    challenge(server);
    const empty = signed((algorithm) => digestHa1(algorithm.hash, privateId, realm, ''));
    expect(judge(server, empty)).toEqual({
      kind: 'challenge',
      wrongResponse: true,
    });
  });
});

describe('the scheme of a REGISTER', () => {
  const scheme = (params: string, trusted: boolean, provisioned: 'aka' | 'digest' = 'digest'): string =>
    registrationScheme(parseCredentials(`Digest username="u", ${params}`), trusted, provisioned);
  const response = 'response="d631c17126f6ad3a5984ced4459958df", realm="r", nonce="n", uri="u"';

  it.each([
    ['integrity-protected=no', 'aka'],
    ['integrity-protected="yes"', 'protected'],
    [`integrity-protected="yes", ${response}`, 'aka'],
    ['integrity-protected="tls-yes"', 'trusted'],
    ['integrity-protected="auth-done"', 'trusted'],
    ['integrity-protected="tls-pending"', 'digest'],
    ['integrity-protected="ip-assoc-yes"', 'digest'],
    ['integrity-protected="ip-assoc-pending"', 'digest'],
    ['integrity-protected="tls-connected", algorithm=AKAv2-SHA-256', 'aka'],
    ['algorithm=AKAv1-MD5, nonce=""', 'aka'],
    ['algorithm=MD5', 'digest'],
  ])('with %s from a trusted edge is %s', (params, expected) => {
    expect(scheme(params, true)).toBe(expected);
  });

  it('does not believe integrity-protected from anyone else', () => {
    for (const hint of ['yes', 'auth-done', 'tls-yes']) {
      expect(scheme(`integrity-protected="${hint}"`, false)).toBe('digest');
    }
  });

  it('is the provisioned one when nothing hints at another', () => {
    expect(registrationScheme(undefined, true, 'aka')).toBe('aka');
    expect(scheme('realm="r"', true, 'aka')).toBe('aka');
  });
});
