import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/base/errors.js';
import { aorDomain, aorUser, isTelAor, parseAor, parseSipAor } from '../../src/identity/aor.js';

const codeOf = (uri: string): string => {
  try {
    parseAor(uri);
  } catch (error) {
    if (error instanceof ParleyError) return error.code;
    throw error;
  }
  return 'none';
};

describe('the canonical address of record', () => {
  it.each([
    ['sip:alice@ims.test', 'sip:alice@ims.test'],
    ['SIP:alice@IMS.Test', 'sip:alice@ims.test'],
    ['sip:alice@ims.test.', 'sip:alice@ims.test'],
    ['sips:alice@ims.test', 'sip:alice@ims.test'],
    ['sip:Alice@ims.test', 'sip:Alice@ims.test'],
    ['sip:%61lice@ims.test;transport=tcp?Subject=a%40b', 'sip:alice@ims.test'],
    ['sip:a%3bb%40c@ims.test', 'sip:a;b%40c@ims.test'],
    ['sip:a;b?c/d@ims.test', 'sip:a;b?c/d@ims.test'],
    ['sip:alice:secret@ims.test:5070', 'sip:alice@ims.test:5070'],
    ['sip:alice@[2001:DB8::1]:5060;lr', 'sip:alice@[2001:db8::1]:5060'],
    ['sip:alice@192.0.2.7?a=b;c', 'sip:alice@192.0.2.7'],
    ['tel:+1-555-010-0004', 'tel:+15550100004'],
    ['TEL:+1(555)010.0004;isub=1;ext=22', 'tel:+15550100004'],
    ['tel:7042;phone-context=IMS.test', 'tel:7042;phone-context=ims.test'],
    ['tel:863-1234;Phone-Context=+1-914-555', 'tel:8631234;phone-context=+1914555'],
    ['tel:*21%23;phone-context=ims.test', 'tel:*21%23;phone-context=ims.test'],
    ['sip:+1-555-0100004@ims.test;user=phone', 'tel:+15550100004'],
    ['sip:+15550100004;ext=7@ims.test;User=PHONE', 'tel:+15550100004'],
    ['sip:7042;phone-context=ims.test@ims.test;user=phone', 'tel:7042;phone-context=ims.test'],
    ['sip:7042@ims.test;user=phone', 'sip:7042@ims.test'],
    ['sip:alice@ims.test;user=phone', 'sip:alice@ims.test'],
    ['sip:+15550100004@ims.test', 'sip:+15550100004@ims.test'],
  ])('of %s is %s', (uri, canonical) => {
    expect(parseAor(uri)).toBe(canonical);
  });

  it('of the address part of a GRUU stays a SIP one under user=phone', () => {
    expect(parseSipAor('sip:+15550100004@ims.test;user=phone;gr=x')).toBe('sip:+15550100004@ims.test');
  });

  it.each([
    ['mailto:alice@ims.test', 'aor-scheme'],
    ['alice', 'aor-scheme'],
    ['', 'aor-scheme'],
    ['sip:ims.test', 'aor-user'],
    ['sip:@ims.test', 'aor-user'],
    ['sip:al ice@ims.test', 'aor-user'],
    ['sip:50%@ims.test', 'aor-user'],
    ['sip:alice@', 'aor-host'],
    ['sip:alice@ims..test', 'aor-host'],
    ['sip:alice@ims.test:port', 'aor-host'],
    ['sip:alice@ims.test@example.org', 'aor-host'],
    ['sip:alice@[2001:db8::1', 'aor-host'],
    ['tel:', 'aor-phone-number'],
    ['tel:+', 'aor-phone-number'],
    ['tel:7042', 'aor-phone-number'],
    ['tel:7042;phone-context=', 'aor-phone-number'],
    ['tel:+1555x', 'aor-phone-number'],
    [`sip:${'a'.repeat(512)}@ims.test`, 'aor-length'],
  ])('of %s does not exist: %s', (uri, code) => {
    expect(codeOf(uri)).toBe(code);
  });

  it('gives back its user and domain', () => {
    const aor = parseAor('sip:alice@ims.test:5070');
    expect([aorUser(aor), aorDomain(aor), isTelAor(aor)]).toEqual(['alice', 'ims.test', false]);
    const ipv6 = parseAor('sip:alice@[2001:db8::1]');
    expect(aorDomain(ipv6)).toBe('[2001:db8::1]');
    const tel = parseAor('tel:+15550100004');
    expect([aorUser(tel), aorDomain(tel), isTelAor(tel)]).toEqual(['+15550100004', undefined, true]);
  });

  it('is a URI whose canonical form is itself, and anything else is refused with a ParleyError', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.tuple(fc.string(), fc.domain()).map(([user, host]) => `sip:${user}@${host}`),
      fc.tuple(fc.webPath(), fc.domain()).map(([user, host]) => `sips:${user}@${host};user=phone`),
      fc.string().map((number) => `tel:${number}`),
      fc.stringMatching(/^tel:\+?[0-9.()#*a-f-]{1,12}(;phone-context=[+a-z0-9.-]{1,10})?$/),
    );
    fc.assert(
      fc.property(anything, (uri) => {
        let aor: string;
        try {
          aor = parseAor(uri);
        } catch (error) {
          expect(error).toBeInstanceOf(ParleyError);
          return;
        }
        expect(parseAor(aor)).toBe(aor);
      }),
      { numRuns: 3000 },
    );
  });
});
