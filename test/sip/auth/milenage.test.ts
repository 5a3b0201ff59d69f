import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { akaVector, resynchronised } from '../../../src/sip/auth/aka.js';
import { Milenage } from '../../../src/sip/auth/milenage.js';
import { sqnOctets } from '../../../src/sip/auth/sqn.js';
import { missing } from '../../tools/install.js';

type Name =
  | 'set'
  | 'k'
  | 'op'
  | 'opc'
  | 'rand'
  | 'sqn'
  | 'amf'
  | 'macA'
  | 'macS'
  | 'res'
  | 'ak'
  | 'ck'
  | 'ik'
  | 'akStar';
const { sets } = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/milenage.json'), 'utf8')) as {
  sets: Record<Name, string>[];
};
const octets = (hex: string): Buffer => Buffer.from(hex, 'hex');
const hexes = <T extends Record<string, Buffer>>(values: T): Record<keyof T, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.toString('hex')])) as Record<
    keyof T,
    string
  >;

describe('Milenage', () => {
  it.each(sets)('gives the values of test set $set of TS 35.207 and TS 35.208', (set) => {
    const milenage = new Milenage(octets(set.k), octets(set.opc));
    const rand = octets(set.rand);
    expect(Milenage.opcOf(octets(set.k), octets(set.op)).toString('hex')).toBe(set.opc);
    expect(hexes(milenage.f1(rand, octets(set.sqn), octets(set.amf)))).toEqual({
      macA: set.macA,
      macS: set.macS,
    });
    expect(hexes({ ...milenage.f2345(rand) })).toEqual({ res: set.res, ck: set.ck, ik: set.ik, ak: set.ak });
    expect(milenage.f5Star(rand).toString('hex')).toBe(set.akStar);
  });

  it('wants keys of 16 octets', () => {
    const short = Buffer.alloc(15);
    const whole = Buffer.alloc(16);
    expect(() => new Milenage(short, whole)).toThrow(expect.objectContaining({ code: 'aka-key' }));
    expect(() => new Milenage(whole, short)).toThrow(expect.objectContaining({ code: 'aka-key' }));
    expect(() => Milenage.opcOf(whole, short)).toThrow(expect.objectContaining({ code: 'aka-key' }));
  });
});

describe.skipIf(missing('osmo-auc-gen'))('the authentication centre of Osmocom', () => {
  const key = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((value) => Buffer.from(value));
  const field = fc.uint8Array({ minLength: 2, maxLength: 2 }).map((value) => Buffer.from(value));
  const sqn = fc.nat({ max: 2 ** 48 - 65 });
  const generate = (...args: string[]): Map<string, string> => {
    const output = execFileSync('osmo-auc-gen', ['-3', '-a', 'MILENAGE', ...args], { encoding: 'utf8' });
    return new Map([...output.matchAll(/^([\w. ]+):\s+(\S+)$/gm)].map(([, name, value]) => [name!, value!]));
  };

  it('makes the same vectors', () => {
    fc.assert(
      fc.property(key, key, key, field, sqn, (k, opc, rand, amf, sequence) => {
        const hex = { k: k.toString('hex'), opc: opc.toString('hex'), rand: rand.toString('hex') };
        const theirs = generate(
          ...['-k', hex.k, '-o', hex.opc, '-f', amf.toString('hex'), '-s', String(sequence), '-r', hex.rand],
        );
        const ours = akaVector({ k, opc, amf }, sequence, rand);
        expect({
          ...hexes({ AUTN: ours.autn, IK: ours.ik, CK: ours.ck, RES: ours.res }),
          'IMS nonce': ours.nonce,
        }).toEqual(
          Object.fromEntries(
            ['AUTN', 'IK', 'CK', 'RES', 'IMS nonce'].map((name) => [name, theirs.get(name)]),
          ),
        );
      }),
      { numRuns: 25 },
    );
  });

  it('reads the same sequence number from AUTS', () => {
    fc.assert(
      fc.property(key, key, key, sqn, (k, opc, rand, sequence) => {
        const milenage = new Milenage(k, opc);
        const concealed = sqnOctets(sequence);
        for (const [i, octet] of milenage.f5Star(rand).entries()) concealed[i]! ^= octet;
        const { macS } = milenage.f1(rand, sqnOctets(sequence), Buffer.alloc(2));
        const auts = Buffer.concat([concealed, macS]);
        const theirs = generate(
          ...['-k', k.toString('hex'), '-o', opc.toString('hex'), '-f', '8000'],
          ...['-r', rand.toString('hex'), '-A', auts.toString('hex')],
        );
        expect(theirs.get('SQN.MS')).toBe(String(sequence));
        expect(resynchronised({ k, opc, amf: Buffer.from([0x80, 0]) }, rand, auts.toString('base64'))).toBe(
          sequence,
        );
      }),
      { numRuns: 25 },
    );
  });
});
