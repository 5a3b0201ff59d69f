import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../../src/base/errors.js';
import { digestAlgorithm, digestHa1, digestHash } from '../../../src/sip/auth/algorithm.js';
import {
  parseAuthenticationInfo,
  parseChallenge,
  writeAuthenticationInfo,
  writeChallenge,
} from '../../../src/sip/auth/challenge.js';
import { parseCredentials, writeCredentials } from '../../../src/sip/auth/credentials.js';
import { digestResponse, equalInConstantTime, ResponseVerifier } from '../../../src/sip/auth/digest.js';

const ims = {
  username: 'user1_private@home1.net',
  realm: 'home1.net',
  password: 's3cr3t',
  nonce: 'c60f3082ee1212b402a21831ae',
  uri: 'sip:home1.net',
  nc: '00000001',
  cnonce: '0a4f113b',
};
const respond = (token: string, qop: string | undefined, body?: string): string => {
  const algorithm = digestAlgorithm(token)!;
  const ha1 = digestHa1(algorithm.hash, ims.username, ims.realm, ims.password);
  return digestResponse(algorithm, ha1, { ...ims, qop }, { method: 'REGISTER', body });
};

describe('the digest response', () => {
  it('to the example of RFC 2617 §3.5 is the one printed there', () => {
    const credentials = parseCredentials(
      'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ' +
        'uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b", ' +
        'response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
    )!;
    const ha1 = digestHa1('MD5', credentials.username, credentials.realm, 'Circle Of Life');
    const verifier = new ResponseVerifier();
    const verify = (method: string): boolean =>
      verifier.verify(digestAlgorithm(undefined)!, ha1, credentials, { method });
    expect(['GET', 'PUT', 'GET', 'GET'].map(verify)).toEqual([true, false, true, true]);
  });

  it.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ])('to the example of RFC 7616 §3.9.1 with %s is the one printed there', (token, response) => {
    const algorithm = digestAlgorithm(token)!;
    const ha1 = digestHa1(algorithm.hash, 'Mufasa', 'http-auth@example.org', 'Circle of Life');
    const input = {
      nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
      uri: '/dir/index.html',
      nc: '00000001',
      cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
      qop: 'auth',
    };
    expect(digestResponse(algorithm, ha1, input, { method: 'GET' })).toBe(response);
  });

  it('to the example of RFC 7616 §3.9.2 is the one of its erratum, made with the final SHA-512/256', () => {
    const algorithm = digestAlgorithm('SHA-512-256')!;
    const ha1 = digestHa1('SHA-512-256', 'J\u00e4s\u00f8n Doe', 'api@example.org', 'Secret, or not?');
    const input = {
      nonce: '5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK',
      uri: '/doe.json',
      nc: '00000001',
      cnonce: 'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v',
      qop: 'auth',
    };
    expect(digestResponse(algorithm, ha1, input, { method: 'GET' })).toBe(
      '3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5',
    );
    expect(digestHash('SHA-512-256', 'J\u00e4s\u00f8n Doe:api@example.org')).toBe(
      '793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b',
    );
  });

  // computed with Python's hashlib from the formulas of RFC 7616 §3.4
  it.each([
    ['MD5', 'auth', undefined, '4d20d84e8efaf5f37911661676005c2d'],
    ['MD5', 'auth-int', undefined, 'af104fdb6cd95a715675412fa1d466a2'],
    ['MD5', 'auth-int', 'v=0\r\n', '5ceb9085db2c140f76e6db46a72584ee'],
    ['MD5', undefined, undefined, '84f6c1f7fcf46f8a886e2a7eedf36ddf'],
    ['MD5-sess', 'auth', undefined, '4f6a92df5c31840ac2a9fbc538e9798f'],
    ['SHA-256', 'auth', undefined, '49b55b1b190a06bded477bccb679ea0471acdb4e5005d17d5dbabace0f596738'],
    ['SHA-256', 'auth-int', undefined, 'f0a1f9a35ce2f0042a52fb679f2c5c3b594b7dfa9da818738b3e150a6a0b3182'],
    ['SHA-256', 'auth-int', 'v=0\r\n', '824b1bd425cc5e413c909587a3a01e4523661215c3ca73c1a68bea44a05b18ab'],
    ['SHA-256', undefined, undefined, '1e925c7bbbc62f5ce86adab00dff99c1d4184cd9fde153d68c95804073d2aacc'],
    ['SHA-256-sess', 'auth', undefined, 'd486f2edc14517fee940e9a401b240654ffcd775a89e604606a4d8ecddbd40d4'],
    ['SHA-512-256', 'auth', undefined, 'c41c68035f35a60316edd7cad6dd05aea089e2198d68d52193895d65eba3a57f'],
    [
      'SHA-512-256',
      'auth-int',
      undefined,
      '85cab4b1fd8ca535ccef01f7db6d4edb9aa8a2d4cad250735bd19248f68695ac',
    ],
    [
      'SHA-512-256-sess',
      'auth',
      undefined,
      'fef54066158afdb7c6f40d537a0fe56f548f11aacedfafd8747314fed3eec54a',
    ],
  ])('with %s, qop %s and body %j to a REGISTER is %s', (token, qop, body, response) => {
    expect(respond(token, qop, body)).toBe(response);
  });
});

describe('texts compared in constant time', () => {
  it.each([
    ['', '', true],
    ['abc', 'abc', true],
    ['abc', 'abd', false],
    ['abc', 'ab', false],
    ['', 'a', false],
  ])('%j and %j: equal is %s', (a, b, equal) => {
    expect(equalInConstantTime(a, b)).toBe(equal);
  });
});

describe('credentials', () => {
  it('are read with any order, spacing and case of names', () => {
    const credentials = parseCredentials(
      ' DIGEST\tRESPONSE="84F6C1F7fcf46f8a886e2a7eedf36ddf" ,Realm="a \\"b\\\\", ,qop = "auth",NC=0000000a\r\n ,' +
        'username="alice",cnonce=x,uri="sip:ims.test",nonce="n",algorithm=md5,future="x",Integrity-Protected="YES",',
    );
    expect(credentials).toMatchObject({
      username: 'alice',
      realm: 'a "b\\',
      nonce: 'n',
      uri: 'sip:ims.test',
      response: '84f6c1f7fcf46f8a886e2a7eedf36ddf',
      algorithm: 'md5',
      qop: 'auth',
      nc: '0000000a',
      cnonce: 'x',
      integrityProtected: 'yes',
    });
  });

  it('of the first REGISTER of an IMS device have an empty nonce and response', () => {
    const credentials = parseCredentials(
      'Digest username="user1_private@home1.net",realm="home1.net",uri="sip:home1.net",nonce="",response="",algorithm=AKAv1-MD5',
    );
    expect(credentials).toMatchObject({ nonce: '', response: '', algorithm: 'AKAv1-MD5' });
  });

  it('may name the user in extended notation (RFC 7616 §3.4)', () => {
    const credentials = parseCredentials('Digest username*=UTF-8\'\'J%C3%A4s%C3%B8n%20Doe, realm="r"');
    expect(credentials?.username).toBe('J\u00e4s\u00f8n Doe');
  });

  it.each(['Basic YWxpY2U6c2VjcmV0', 'Digestion username="a"', 'Digest', ''])(
    'are not found in %j',
    (value) => {
      expect(parseCredentials(value)).toBeUndefined();
    },
  );

  const answer =
    'Digest username="a", response="84f6c1f7fcf46f8a886e2a7eedf36ddf", uri="u", realm="r", nonce="n"';
  it.each([
    ['Digest realm="r"', 'username'],
    ['Digest username="a', 'quoted string'],
    ['Digest username="a\\', 'quoted string'],
    ['Digest username', 'without name or value'],
    ['Digest ="a"', 'without name or value'],
    ['Digest username="a" realm="r"', 'comma'],
    ['Digest username="a", username="b"', 'twice'],
    ['Digest username="a", username*=UTF-8\'\'b', 'twice'],
    ["Digest username*=UTF-8''%ff", 'extended notation'],
    ['Digest username*=latin1', 'extended notation'],
    ['Digest username="a", nc=xyz', 'nc'],
    ['Digest username="a", nc=123456789', 'nc'],
    ['Digest username="a", response="84f6"', 'response'],
    ['Digest username="a", response="84f6c1f7fcf46f8a886e2a7eedf36ddf", uri="u", realm="r"', 'nonce'],
    [`${answer}, qop=auth, nc=00000001`, 'cnonce'],
    [`${answer}, qop=auth, cnonce="c"`, 'nc'],
    [`Digest username="${'a'.repeat(9000)}"`, 'too long'],
  ])('%s are refused: %s', (value, reason) => {
    expect(() => parseCredentials(value)).toThrow(
      expect.objectContaining({
        code: 'digest-malformed',
        message: expect.stringContaining(reason) as string,
      }),
    );
  });

  it('survive writing and reading whatever they hold', () => {
    const text = fc.string({ minLength: 1, maxLength: 50 });
    const token = fc.option(fc.stringMatching(/^[A-Za-z0-9-]{1,10}$/), { nil: undefined });
    const credentials = fc.record({
      username: text,
      realm: text,
      nonce: text,
      uri: text,
      response: fc.stringMatching(/^(?:[0-9a-f]{32}|[0-9a-f]{64})$/),
      algorithm: token,
      cnonce: text,
      nc: fc.stringMatching(/^[0-9a-f]{8}$/),
      qop: token,
      opaque: fc.option(fc.string({ maxLength: 50 }), { nil: undefined }),
      auts: fc.option(fc.base64String({ maxLength: 20 }), { nil: undefined }),
      integrityProtected: fc.constant(undefined),
    });
    fc.assert(
      fc.property(credentials, (value) => {
        expect(parseCredentials(writeCredentials(value))).toMatchObject(value);
      }),
    );
  });

  it('and challenges never make their parsers throw anything but a ParleyError', () => {
    const piece = fc.constantFrom(
      'Digest ',
      'username',
      '=',
      '"',
      ',',
      '\\',
      ' ',
      'nc=1',
      'qop="auth,',
      "''",
      '\u0000',
    );
    const anything = fc
      .array(fc.oneof(piece, fc.string({ maxLength: 5 })))
      .map((pieces) => `Digest ${pieces.join('')}`);
    fc.assert(
      fc.property(anything, (value) => {
        for (const parse of [parseCredentials, parseChallenge, parseAuthenticationInfo]) {
          try {
            parse(value);
          } catch (error) {
            expect(error).toBeInstanceOf(ParleyError);
          }
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a challenge', () => {
  it('quotes what RFC 7616 §3.3 quotes and nothing else', () => {
    expect(
      writeChallenge({
        realm: 'ims "test"',
        nonce: 'n',
        algorithm: 'SHA-256',
        qop: ['auth', 'auth-int'],
        stale: true,
      }),
    ).toBe('Digest realm="ims \\"test\\"", nonce="n", algorithm=SHA-256, qop="auth,auth-int", stale=true');
  });

  it('carries the keys of AKA for the P-CSCF', () => {
    const value = writeChallenge({
      realm: 'home1.net',
      nonce: 'n',
      algorithm: 'AKAv1-MD5',
      qop: ['auth'],
      ck: 'b40ba9a3c58b2a05bbf0d987b21bf8cb',
      ik: 'f769bcd751044604127672711c6d3441',
    });
    expect(parseChallenge(value)).toMatchObject({
      ck: 'b40ba9a3c58b2a05bbf0d987b21bf8cb',
      ik: 'f769bcd751044604127672711c6d3441',
      stale: false,
    });
  });

  it('of RFC 7616 §3.9.1 is understood', () => {
    expect(
      parseChallenge(
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, ' +
          'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
      ),
    ).toEqual({
      realm: 'http-auth@example.org',
      nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
      algorithm: 'SHA-256',
      qop: ['auth', 'auth-int'],
      opaque: 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS',
      stale: false,
      ck: undefined,
      ik: undefined,
    });
  });

  it('of another scheme is passed over', () => {
    expect(parseChallenge('Basic realm="r"')).toBeUndefined();
  });
});

describe('Authentication-Info', () => {
  it('survives writing and reading', () => {
    const info = { nextNonce: 'n"1', qop: 'auth', rspauth: 'ab', cnonce: 'c', nc: '00000001' };
    expect(parseAuthenticationInfo(writeAuthenticationInfo(info))).toEqual(info);
  });
});
