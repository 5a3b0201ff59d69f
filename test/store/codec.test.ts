import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Codec } from '../../src/store/lmdb/codec.js';

/** The octets by themselves, away from msgpackr's own buffer. */
const encode = (codec: Codec, value: unknown): Buffer => {
  const { bytes, start, end } = codec.encode(value);
  return Buffer.from(bytes.subarray(start, end));
};

describe('the codec of a table', () => {
  it('reads with the structures that were stored before the value, and needs no later ones', () => {
    const writer = new Codec();
    const stored: { octets: Buffer; structures: Buffer; value: unknown }[] = [];
    for (let shape = 0; shape < 400; shape++) {
      const value = { [`name${shape}`]: shape, nested: [{ [`inner${shape % 7}`]: 'x', more: { a: 1 } }] };
      const octets = encode(writer, value);
      stored.push({ octets, structures: writer.structures, value });
    }
    for (const { octets, structures, value } of stored) {
      expect(new Codec(structures).decode(octets, 0, octets.length)).toEqual(value);
      const last = new Codec(stored.at(-1)?.structures);
      expect(last.decode(octets, 0, octets.length)).toEqual(value);
    }
  });

  it('goes on with stored structures without changing what they mean', () => {
    const first = new Codec();
    const old = encode(first, { a: 1, b: 2 });
    const second = new Codec(first.structures);
    const added = encode(second, { c: 3 });
    const third = new Codec(second.structures);
    expect(third.decode(old, 0, old.length)).toEqual({ a: 1, b: 2 });
    expect(third.decode(added, 0, added.length)).toEqual({ c: 3 });
    expect(second.generation).toBe(1);
    encode(second, { a: 5, b: 6 });
    expect(second.generation).toBe(1);
  });

  it('gives back any plain data', () => {
    const codec = new Codec();
    const data = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.string({ unit: 'binary' }),
        fc.integer(),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 5 }),
        fc.dictionary(fc.string({ maxLength: 6 }), tie('value'), { maxKeys: 6, noNullPrototype: true }),
      ),
    })).value;
    fc.assert(
      fc.property(data, (value) => {
        const octets = encode(codec, value);
        expect(new Codec(codec.structures).decode(octets, 0, octets.length)).toEqual(value);
        expect(codec.decode(octets, 0, octets.length)).toEqual(value);
      }),
      { numRuns: 400 },
    );
  });
});
