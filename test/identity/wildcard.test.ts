import { describe, expect, it } from 'vitest';
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
