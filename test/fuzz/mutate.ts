import type { Random } from './random.js';

type Mutation = (data: Buffer, random: Random, other: Buffer, words: readonly Buffer[]) => Buffer;

const splice = (data: Buffer, start: number, end: number, insert: Buffer): Buffer =>
  Buffer.concat([data.subarray(0, start), insert, data.subarray(end)]);

/** Two positions of the data in order, mostly close together. */
function range(data: Buffer, random: Random): [start: number, end: number] {
  const start = random.below(data.length + 1);
  const length = random.below(random.below(4) === 0 ? data.length + 1 : 16);
  return [start, Math.min(data.length, start + length)];
}

/** Where lines begin, so that header fields can be moved whole. */
function line(data: Buffer, random: Random): [start: number, end: number] {
  const at = random.below(data.length + 1);
  const start = data.lastIndexOf('\r\n', at) < 0 ? 0 : data.lastIndexOf('\r\n', at) + 2;
  const end = data.indexOf('\r\n', start);
  return [start, end < 0 ? data.length : end + 2];
}

const interesting = Buffer.from('\0\t\r\n "%&\',/:;<=>?@[\\]*-0129AZaz~\x7f\x80\xc3\xff', 'latin1');

const mutations: readonly Mutation[] = [
  function setOctet(data, random) {
    const copy = Buffer.from(data);
    if (copy.length > 0) copy[random.below(copy.length)] = random.pick([...interesting]);
    return copy;
  },
  function flipBit(data, random) {
    const copy = Buffer.from(data);
    if (copy.length > 0) copy[random.below(copy.length)]! ^= 1 << random.below(8);
    return copy;
  },
  function insertOctets(data, random) {
    const at = random.below(data.length + 1);
    const octet = random.pick([...interesting]);
    return splice(data, at, at, Buffer.alloc(1 + random.below(random.below(8) === 0 ? 64 : 3), octet));
  },
  function remove(data, random) {
    return splice(data, ...range(data, random), Buffer.alloc(0));
  },
  function repeat(data, random) {
    const [start, end] = range(data, random);
    return splice(data, end, end, data.subarray(start, end));
  },
  function insertWord(data, random, _other, words) {
    const at = random.below(data.length + 1);
    return splice(data, at, at, random.pick(words));
  },
  function replaceByWord(data, random, _other, words) {
    return splice(data, ...range(data, random), random.pick(words));
  },
  function takeFromOther(data, random, other) {
    return splice(data, ...range(data, random), other.subarray(...range(other, random)));
  },
  function takeLineFromOther(data, random, other) {
    const [start] = line(data, random);
    return splice(data, start, start, other.subarray(...line(other, random)));
  },
  function removeLine(data, random) {
    return splice(data, ...line(data, random), Buffer.alloc(0));
  },
  function truncate(data, random) {
    return data.subarray(0, random.below(data.length + 1));
  },
];

const MOST_OCTETS = 8192;

/** Changes an input in one to eight places, with the help of another input and of words that the grammar knows. */
export function mutate(data: Buffer, random: Random, other: Buffer, words: readonly Buffer[]): Buffer {
  let mutant = data;
  for (let left = 1 << random.below(4); left > 0; left--)
    mutant = random.pick(mutations)(mutant, random, other, words);
  return mutant.length > MOST_OCTETS ? mutant.subarray(0, MOST_OCTETS) : mutant;
}
