import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/base/errors.js';
import { imeiCheckDigit, InstanceId } from '../../src/identity/instance-id.js';

const key = (value: string): string => InstanceId.parse(value).key;
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ParleyError) return error.code;
    throw error;
  }
  return 'none';
};

describe('an instance ID', () => {
  it.each([
    ['<urn:gsma:imei:35824005-111111-0>', 'imei', 'imei:35824005111111'],
    ['<urn:gsma:imei:90420156-025763-0;vers=0>', 'imei', 'imei:90420156025763'],
    ['<urn:gsma:imei:90420156-025763-0;svn=42>', 'imei', 'imei:90420156025763;svn=42'],
    ['<urn:gsma:imei:90420156-025763-0;svn=42;vers=0>', 'imei', 'imei:90420156025763;svn=42'],
    ['<urn:gsma:imei:356432059050620>', 'imei', 'imei:35643205905062'],
    ['<urn:gsma:imei:35643205905062>', 'imei', 'imei:35643205905062'],
    ['<URN:GSMA:IMEI:35824005-111111-0>', 'imei', 'imei:35824005111111'],
    ['<urn:3gpp2:meid:A04B0D56-02A7E3>', 'meid', 'meid:A04B0D5602A7E3'],
    ['<urn:3GPP2:meid:a04b0d5602a7e3>', 'meid', 'meid:A04B0D5602A7E3'],
    ['<urn:uuid:3F1C9D52-7e0a-4b6e-9c1d-2f5a8e7b6c40>', 'uuid', 'uuid:3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40'],
    ['<urn:example:Phone-7>', 'other', 'urn:example:Phone-7'],
    ['<urn:gsma:imei:1234567-111111-0>', 'other', 'urn:gsma:imei:1234567-111111-0'],
    ['<urn:gsma:imei:35824005-111111-0;vers=1>', 'other', 'urn:gsma:imei:35824005-111111-0;vers=1'],
  ])('%s is of kind %s and has the key %s', (value, kind, expected) => {
    const instance = InstanceId.parse(value);
    expect([instance.kind, instance.key]).toEqual([kind, expected]);
  });

  it('is echoed character for character, whatever its normal form', () => {
    const value = '<urn:GSMA:imei:35824005-111111-7;vers=0>';
    expect(InstanceId.parse(value).value).toBe(value);
  });

  it('is one device whether the phone sends the spare digit 0 or its check digit', () => {
    const sent = InstanceId.parse('<urn:gsma:imei:86891003-222222-0>');
    expect(sent.equals(InstanceId.parse('<urn:gsma:imei:86891003-222222-7>'))).toBe(true);
  });

  it('is another device when the software version differs (RFC 7254 §3)', () => {
    expect(key('<urn:gsma:imei:90420156-025763-0;svn=42>')).not.toBe(
      key('<urn:gsma:imei:90420156-025763-0>'),
    );
  });

  it('compares an unknown URN as RFC 2141 §5 does: scheme and escapes in any case, the rest exactly', () => {
    expect(key('<URN:Example:a%2Fb>')).toBe(key('<urn:example:a%2fb>'));
    expect(key('<urn:example:A>')).not.toBe(key('<urn:example:a>'));
  });

  it('is read from a reginfo document with or without its quotes', () => {
    expect(key('"<urn:gsma:imei:35824005-111111-0>"')).toBe(key('<urn:gsma:imei:35824005-111111-0>'));
  });

  it('is read from a bare URN only where an operator types it', () => {
    expect(InstanceId.fromUrn('urn:gsma:imei:35824005-111111-0').key).toBe('imei:35824005111111');
    expect(codeOf(() => InstanceId.parse('urn:gsma:imei:35824005-111111-0'))).toBe('instance-id-brackets');
  });

  it.each([
    ['', 'instance-id-brackets'],
    ['<', 'instance-id-brackets'],
    ['"', 'instance-id-brackets'],
    ['<>', 'instance-id-not-a-urn'],
    ['<3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40>', 'instance-id-not-a-urn'],
    ['<urn:uuid>', 'instance-id-not-a-urn'],
    ['<urn:-x:y>', 'instance-id-not-a-urn'],
    ['<urn:example:a"b>', 'instance-id-not-a-urn'],
    [`<urn:example:${'a'.repeat(257)}>`, 'instance-id-length'],
    ['<urn:uuid:3f1c9d52>', 'instance-id-uuid'],
    ['<urn:uuid:3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c4g>', 'instance-id-uuid'],
    ['<urn:gsma:imei:35824005-111111-0;vers=0;svn=42>', 'instance-id-imei'],
    ['<urn:gsma:imei:35824005-111111-0;svn=4>', 'instance-id-imei'],
    ['<urn:gsma:imei:35824005+111111>', 'instance-id-imei'],
    ['<urn:3gpp2:meid:A04B0D56-02A7E3-7>', 'instance-id-meid'],
  ])('%s is refused with %s', (value, code) => {
    expect(codeOf(() => InstanceId.parse(value))).toBe(code);
  });

  it('of another 3GPP2 namespace is an unknown URN, not a bad MEID', () => {
    expect(InstanceId.parse('<urn:3gpp2:meids:A04B0D56-02A7E>').kind).toBe('other');
  });

  it.each([
    ['<urn:gsma:imei:35824005-123456-0>', 'imei:35824005-****56'],
    ['<urn:3gpp2:meid:A04B0D56-02A7E3>', 'meid:A04B0D56-****E3'],
    ['<urn:uuid:3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40>', 'uuid:3f1c9d52-****'],
    ['<urn:gsma:imei:1234567-111111-0>', 'urn:gsma:****'],
  ])('%s shows in logs as %s', (value, redacted) => {
    const instance = InstanceId.parse(value);
    expect(instance.redacted()).toBe(redacted);
    expect(String(instance)).toBe(redacted);
    expect(JSON.stringify({ instance })).toBe(`{"instance":"${redacted}"}`);
  });

  it('never lets anything but a ParleyError out, and keys what it keys idempotently', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.string().map((text) => `<urn:gsma:imei:${text}>`),
      fc.string().map((text) => `<urn:uuid:${text}>`),
      fc.string().map((text) => `<urn:3gpp2:meid:${text}>`),
      fc.string().map((text) => `<urn:${text}>`),
    );
    fc.assert(
      fc.property(anything, (value) => {
        let instance: InstanceId;
        try {
          instance = InstanceId.parse(value);
        } catch (error) {
          expect(error).toBeInstanceOf(ParleyError);
          return;
        }
        expect(InstanceId.parse(instance.value).key).toBe(instance.key);
      }),
      { numRuns: 2000 },
    );
  });

  it('of a random UUID is equal to itself in either case', () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        expect(key(`<urn:uuid:${uuid.toUpperCase()}>`)).toBe(key(`<urn:uuid:${uuid}>`));
      }),
    );
  });
});

describe('the check digit of an IMEI', () => {
  it.each([
    ['49015420323751', 8],
    ['86891003222222', 7],
    ['35824005111111', 0],
  ])('%s has %i', (digits, check) => {
    expect(imeiCheckDigit(digits)).toBe(check);
  });

  it('is refused for anything but 14 digits', () => {
    expect(codeOf(() => imeiCheckDigit('4901542032375'))).toBe('instance-id-imei');
  });
});
