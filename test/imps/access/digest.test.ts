import { describe, expect, it } from 'vitest';
import { digestMatches, digestOf, offeredSchemas } from '../../../src/imps/access/digest.js';
import { md4 } from '../../../src/imps/access/md4.js';

describe('MD4', () => {
  // RFC 1320, appendix A.5
  it.each([
    ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
    ['a', 'bde52cb31de33e46245e05fbdbd6fb24'],
    ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
    ['message digest', 'd9130a8164549fe818874806e1c7014b'],
    ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', '043f8582f241db351ce627e153e7f0e4'],
    [
      '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
      'e33b4ddc9c38f2199c3e7b164fcc0536',
    ],
  ])('of "%s" is the one of RFC 1320', (text, digest) => {
    expect(Buffer.from(md4(Buffer.from(text))).toString('hex')).toBe(digest);
  });
});

describe('the digest of a login', () => {
  it.each([
    ['MD5', 'oQUEsbxo6+SRNPh/hhnc2A=='],
    ['SHA', '9avQEItLLe3FhY30EwnliG4SeTg='],
    ['MD4', 'u/DrtC59VzqxswtSrS+glg=='],
  ] as const)('by %s is the hash of the nonce followed by the password, in BASE64', (schema, digest) => {
    expect(digestOf(schema, 'n0nce-81', 'secret')).toBe(digest);
    expect(digestMatches(schema, 'n0nce-81', 'secret', digest)).toBe(true);
    expect(digestMatches(schema, 'n0nce-82', 'secret', digest)).toBe(false);
  });

  it('is offered in several elements or in one with commas, and what is not known is passed over', () => {
    expect(offeredSchemas(['SHA', 'md5'])).toEqual(['MD5', 'SHA']);
    expect(offeredSchemas(['PWD, SHA,MD4,MD5 ,MD6'])).toEqual(['MD5', 'SHA', 'MD4']);
    expect(offeredSchemas(['PWD', 'MD6'])).toEqual([]);
  });
});
