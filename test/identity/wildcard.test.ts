import { describe, expect, it } from 'vitest';
import { costOf } from '../../src/base/extended-expression.js';
import { isWildcard, parseWildcard, representativeOf } from '../../src/identity/wildcard.js';

describe('a wildcarded identity', () => {
  it.each([
    ['sip:pbx!.*!@IMS.test', 'sip:pbx17@ims.test', true],
    ['sip:pbx!.*!@ims.test', 'sip:pbx@ims.test', true],
    ['sip:pbx!.*!@ims.test', 'sip:pbx17@other.test', false],
    ['sip:pbx!.*!@ims.test', 'sip:xpbx17@ims.test', false],
    ['sip:pbx!%5B0-9%5D%7B2%7D!.x@ims.test', 'sip:pbx17.x@ims.test', true],
    ['sip:pbx!%5B0-9%5D%7B2%7D!.x@ims.test', 'sip:pbx17yx@ims.test', false],
    ['sip:pbx!a|b!@ims.test', 'sip:pbxb@ims.test', true],
    ['sip:pbx!a|b!@ims.test', 'sip:pbxb', false],
    ['tel:+4670!.*!', 'tel:+46701234', true],
    ['tel:+4670!.*!', 'tel:+4671', false],
  ])('%s and %s: %s', (uri, aor, expected) => {
    expect(parseWildcard(uri).matches(aor)).toBe(expected);
  });

  it.each([
    'sip:alice@ims.test',
    'sip:pbx!(!@ims.test',
    'sip:pbx!!@ims.test',
    'sip:pbx!.*!',
    'tel:+4670!.*!@ims.test',
    `sip:pbx!${'a'.repeat(129)}!@ims.test`,
    'sip:pbx!%zz!@ims.test',
  ])('%s is none', (uri) => {
    expect(() => parseWildcard(uri)).toThrow(expect.objectContaining({ code: 'aor-wildcard' }));
  });

  it.each([
    ['[0-9]{4}', 12],
    ['(?:[0-9]{10}){3}', 78],
    ['(?:(?:x{10}){10}){10}', 3_100],
    ['(x*y*){1000}', 12_000],
    ['x{1000}x{0,1000}x{1000,}', 3_024],
  ])('with %s costs %i at most', (expression, cost) => {
    expect(costOf(expression)).toBe(cost);
    const parse = (most: number) => () =>
      parseWildcard(`sip:pbx!${encodeURIComponent(expression)}!@ims.test`, most);
    expect(parse(cost)).not.toThrow();
    expect(parse(cost - 1)).toThrow(expect.objectContaining({ code: 'aor-wildcard' }));
  });

  it('is told from an identity with an exclamation mark', () => {
    expect(['sip:alice!@ims.test', 'sip:a!b!c@ims.test'].map(isWildcard)).toEqual([false, true]);
  });

  it('has a representative where that is easy to tell', () => {
    const of = (uri: string) => representativeOf(parseWildcard(uri));
    expect(of('sip:pbx!.*!@ims.test')).toBe('sip:pbx@ims.test');
    expect(of('tel:+4670!%5Cd+!')).toBe('tel:+46700');
    expect(of('sip:pbx!%5B0-9%5D%7B4%7D!@ims.test')).toBeUndefined();
  });
});
