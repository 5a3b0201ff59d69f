import { createCipheriv, createDecipheriv } from 'node:crypto';
import fc from 'fast-check';
import { v5 } from 'uuid';
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/base/errors.js';
import { parseAor } from '../../src/identity/aor.js';
import { gruuKey, GrValues, parseGruu, publicGruu, temporaryGruu } from '../../src/identity/gruu.js';
import { InstanceId } from '../../src/identity/instance-id.js';
import { TemporaryGruuCodec } from '../../src/identity/temporary-gruu.js';

const nameSpace = '3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40';
const grValues = new GrValues(nameSpace);
const alice = parseAor('sip:alice@ims.test');
const grOf = (value: string): string => grValues.of(InstanceId.parse(value));
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ParleyError) return error.code;
    throw error;
  }
  return 'none';
};

describe('the gr value', () => {
  it.each([
    ['<urn:gsma:imei:35824005-111111-0>', 'urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf'],
    ['<urn:gsma:imei:86891003-222222-0>', 'urn:uuid:10b5a82a-eb64-51b8-9a5d-13b0bb67b129'],
    ['<urn:gsma:imei:35331811-333333-0>', 'urn:uuid:f601ccce-c3fd-56f2-a9ea-047cd01f22cb'],
    ['<urn:3gpp2:meid:A04B0D56-02A7E3>', 'urn:uuid:38d75b65-3f59-534e-819a-fe1bdf7d6396'],
    ['<urn:uuid:3F1C9D52-7e0a-4b6e-9c1d-2f5a8e7b6c40>', 'urn:uuid:3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40'],
    ['<urn:example:phone=7;v=1>', 'urn:example:phone=7;v=1'],
  ])('of %s is %s', (value, gr) => {
    expect(grOf(value)).toBe(gr);
  });

  it('is one for every spelling of one IMEI', () => {
    const one = grOf('<urn:gsma:imei:86891003-222222-0>');
    expect(grOf('<urn:gsma:imei:86891003-222222-7;vers=0>')).toBe(one);
    expect(grOf('<urn:GSMA:imei:86891003222222>')).toBe(one);
  });

  it('agrees with the uuid package for every IMEI and name space', () => {
    fc.assert(
      fc.property(fc.uuid({ version: 4 }), fc.stringMatching(/^\d{14}$/), (space, digits) => {
        const instance = InstanceId.parse(`<urn:gsma:imei:${digits}>`);
        expect(new GrValues(space).of(instance)).toBe(`urn:uuid:${v5(digits, space)}`);
      }),
    );
  });

  it('hides hardware identities of a form that is not known yet', () => {
    expect(grOf('<urn:gsma:imei:1234567-111111-0>')).toMatch(/^urn:uuid:[0-9a-f-]{36}$/);
    expect(grOf('<urn:gsma:newid:1234567>')).not.toContain('1234567');
  });

  it('needs a UUID for a name space', () => {
    expect(codeOf(() => new GrValues('secret'))).toBe('gruu-name-space');
  });
});

describe('a public GRUU', () => {
  it('is the AOR and gr, and is found again by its key', () => {
    const gr = grOf('<urn:gsma:imei:35824005-111111-0>');
    const uri = publicGruu(alice, gr);
    expect(uri).toBe('sip:alice@ims.test;gr=urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf');
    expect(parseGruu(uri)).toEqual({ kind: 'public', aor: alice, gr, key: gruuKey(alice, gr) });
  });

  it.each([
    'sip:alice@ims.test;gr=urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf;transport=tcp',
    'sip:alice@IMS.test;user=phone;method=INVITE;gr=urn:uuid:6CA759E8-d1b1-5dee-95f9-e36d2aca6bcf',
    'sips:%61lice@ims.test;lr;maddr=192.0.2.1;ttl=1;comp=sigcomp;GR=urn%3Auuid%3a6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf?a=b',
  ])('written as %s leads to the same key', (uri) => {
    const found = parseGruu(uri);
    const key = gruuKey(alice, 'urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf');
    expect(found?.kind === 'public' && found.key).toBe(key);
  });

  it('escapes what a URI parameter may not hold', () => {
    expect(publicGruu(alice, 'urn:example:a;b=c%2F')).toBe(
      'sip:alice@ims.test;gr=urn:example:a%3Bb%3Dc%252F',
    );
  });

  it('whose gr is no UUID URN is compared exactly', () => {
    const lower = parseGruu('sip:alice@ims.test;gr=kjh29x97us97d');
    const upper = parseGruu('sip:alice@ims.test;gr=KJH29x97us97d');
    expect(lower).not.toEqual(upper);
  });

  it('is not made for a tel address of record', () => {
    expect(codeOf(() => publicGruu(parseAor('tel:+15550100004'), 'x'))).toBe('gruu-of-tel');
    expect(codeOf(() => temporaryGruu(parseAor('tel:+15550100004'), 'x'))).toBe('gruu-of-tel');
  });

  it('survives the way through a URI whatever characters its value has', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', minLength: 1 }), (value) => {
        const found = parseGruu(publicGruu(alice, value));
        const normal = /^urn:uuid:[0-9a-f-]{36}$/i.test(value) ? value.toLowerCase() : value;
        expect(found?.kind === 'public' && found.gr).toBe(normal);
      }),
    );
  });
});

describe('what is no GRUU', () => {
  it.each([
    'sip:alice@ims.test',
    'sip:alice;gr=x@ims.test',
    'sip:alice@ims.test?gr=x',
    'sip:alice@ims.test;group=x;xgr',
    'tel:+15550100004;gr=x',
    '',
  ])('%s has no gr parameter', (uri) => {
    expect(parseGruu(uri)).toBeUndefined();
  });

  it('never makes the parser throw anything but a ParleyError', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.string().map((text) => `sip:${text};gr`),
      fc.tuple(fc.string(), fc.string()).map(([a, b]) => `sip:${a}@ims.test;${b};gr=${a}`),
    );
    fc.assert(
      fc.property(anything, (uri) => {
        expect(['none', 'aor-user', 'aor-host']).toContain(codeOf(() => parseGruu(uri)));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a temporary GRUU', () => {
  const key = Buffer.alloc(16, 1);
  const codec = new TemporaryGruuCodec(key);

  it('hides user and instance, and leads back to its row', () => {
    const uri = temporaryGruu(alice, codec.mint({ index: 7, generation: 3 }));
    expect(uri).toMatch(/^sip:tgruu\.[A-Za-z0-9_-]{35}@ims\.test;gr$/);
    const found = parseGruu(`${uri};transport=udp`);
    expect(found?.kind === 'temporary' && codec.open(found.user)).toEqual({ index: 7, generation: 3 });
  });

  it('is new each time for one row, and all lead to it', () => {
    const last = { index: 2 ** 47 - 1, generation: 2 ** 32 - 1 };
    const minted = Array.from({ length: 10_000 }, () => codec.mint(last));
    expect(new Set(minted).size).toBe(minted.length);
    for (const user of minted) expect(codec.open(user)).toEqual(last);
  });

  it('is understood by another node that holds the same key, and by no other', () => {
    const user = codec.mint({ index: 123_456, generation: 1 });
    expect(new TemporaryGruuCodec(Buffer.from(key)).open(user)).toEqual({ index: 123_456, generation: 1 });
    expect(new TemporaryGruuCodec(Buffer.alloc(16, 2)).open(user)).toBeUndefined();
  });

  it('holds generation and index in one AES block and a MAC of 80 bits made from a block of the other domain', () => {
    const user = codec.mint({ index: 0x0102_0304_0506, generation: 0xa1b2_c3d4 });
    const token = Buffer.from(user.slice('tgruu.'.length), 'base64url');
    const plain = createDecipheriv('aes-128-ecb', key, null)
      .setAutoPadding(false)
      .update(token.subarray(0, 16));
    expect(plain.toString('hex', 10)).toBe('010203040506');
    expect(plain.toString('hex', 6, 10)).toBe('a1b2c3d4');
    plain[10]! |= 0x80;
    const mac = createCipheriv('aes-128-ecb', key, null).update(plain);
    expect(token.subarray(16)).toEqual(mac.subarray(0, 10));
  });

  it('cannot be made from the MAC block of another, even if that leaked whole', () => {
    const token = Buffer.from(codec.mint({ index: 5, generation: 0 }).slice('tgruu.'.length), 'base64url');
    const plain = createDecipheriv('aes-128-ecb', key, null)
      .setAutoPadding(false)
      .update(token.subarray(0, 16));
    plain[10]! |= 0x80;
    const macBlock = createCipheriv('aes-128-ecb', key, null).update(plain);
    const forged = Buffer.concat([macBlock, macBlock.subarray(0, 10)]).toString('base64url');
    expect(codec.open(`tgruu.${forged}`)).toBeUndefined();
  });

  it('with any one character changed is a forgery', () => {
    const user = codec.mint({ index: 42, generation: 0 });
    const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (let at = 0; at < user.length; at++) {
      for (const digit of digits) {
        if (digit === user[at]) continue;
        expect(codec.open(user.slice(0, at) + digit + user.slice(at + 1))).toBeUndefined();
      }
    }
  });

  it.each([
    '',
    'alice',
    'tgruu.',
    `tgruu.${'A'.repeat(35)}`,
    `tgruu.${'é'.repeat(35)}`,
    `tgruu.${'*'.repeat(35)}`,
  ])('is not recognised in %j', (user) => {
    expect(codec.open(user)).toBeUndefined();
  });

  it('keeps any index of 47 bits and any generation of 32', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 47 - 1 }), fc.nat({ max: 2 ** 32 - 1 }), (index, generation) => {
        expect(codec.open(codec.mint({ index, generation }))).toEqual({ index, generation });
      }),
    );
  });

  it('is not minted for an index that does not fit', () => {
    for (const index of [-1, 2 ** 47, 1.5, NaN])
      expect(codeOf(() => codec.mint({ index, generation: 0 }))).toBe('gruu-index');
    for (const generation of [-1, 2 ** 32, 1.5, NaN])
      expect(codeOf(() => codec.mint({ index: 0, generation }))).toBe('gruu-index');
  });

  it('needs a key of 16 octets', () => {
    expect(codeOf(() => new TemporaryGruuCodec(Buffer.alloc(32)))).toBe('gruu-key');
  });
});
