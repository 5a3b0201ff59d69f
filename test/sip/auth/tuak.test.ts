import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { akaVector, resynchronised, usimAnswer, type AkaSecret } from '../../../src/sip/auth/aka.js';
import { keccakF1600 } from '../../../src/sip/auth/keccak.js';
import { Tuak } from '../../../src/sip/auth/tuak.js';

type Name =
  | 'name'
  | 'k'
  | 'rand'
  | 'sqn'
  | 'amf'
  | 'top'
  | 'topc'
  | 'f1'
  | 'f1Star'
  | 'f2'
  | 'f3'
  | 'f4'
  | 'f5'
  | 'f5Star';
type TestSet = Record<Name, string> & { readonly iterations: number };

const sets = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/tuak.json'), 'utf8')) as TestSet[];
const octets = (hex: string): Buffer => Buffer.from(hex, 'hex');
const lengthOf = (hex: string): number => hex.length / 2;

describe('Keccak-f[1600]', () => {
  it('is the permutation inside SHA3-256', () => {
    const block = Buffer.alloc(200);
    block.write('abc');
    block[3] = 0x06;
    block[135] = 0x80;
    const digest = createHash('sha3-256').update('abc').digest('hex');
    expect(keccakF1600(block).subarray(0, 32).toString('hex')).toBe(digest);
  });
});

describe('TUAK', () => {
  it.each(sets)('gives the values of $name', (set) => {
    const [k, rand] = [octets(set.k), octets(set.rand)];
    expect(Tuak.topcOf(k, octets(set.top), set.iterations).toString('hex')).toBe(set.topc);
    const sizes = {
      mac: lengthOf(set.f1),
      res: lengthOf(set.f2),
      ck: lengthOf(set.f3),
      ik: lengthOf(set.f4),
    };
    const tuak = new Tuak(k, octets(set.topc), set.iterations, sizes);
    const { macA, macS } = tuak.f1(rand, octets(set.sqn), octets(set.amf));
    const { res, ck, ik, ak } = tuak.f2345(rand);
    const got = { f1: macA, f1Star: macS, f2: res, f3: ck, f4: ik, f5: ak, f5Star: tuak.f5Star(rand) };
    for (const [name, value] of Object.entries(got))
      expect([name, value.toString('hex')]).toEqual([name, set[name as Name]]);
  });

  it.each([16, 32])('authenticates a USIM with a key of %i octets, and reads its AUTS', (length) => {
    const secret: AkaSecret = { k: Buffer.alloc(length, 7), opc: Buffer.alloc(32, 9), amf: octets('8000') };
    const vector = akaVector(secret, 4711, Buffer.alloc(16, 5));
    const answer = usimAnswer(secret, vector.nonce, () => true, 0);
    expect(answer).toMatchObject({ kind: 'answered', sqn: 4711, keys: { res: vector.res, ck: vector.ck } });
    const behind = usimAnswer(secret, vector.nonce, () => false, 9_999);
    expect(
      behind.kind === 'synchronisation-failure' && resynchronised(secret, vector.rand, behind.auts),
    ).toBe(9_999);
  });

  it('wants keys of 16 or 32 octets and a TOPc of 32', () => {
    const wrong = expect.objectContaining({ code: 'aka-key' }) as Error;
    expect(() => new Tuak(Buffer.alloc(24), Buffer.alloc(32))).toThrow(wrong);
    expect(() => new Tuak(Buffer.alloc(16), Buffer.alloc(16))).toThrow(wrong);
  });
});
