import { storeError } from './errors.js';

/** Octets of the longest key: LMDB takes 1978 at 4 kB pages, and an index puts a deadline before it. */
export const maxKeyOctets = 1024;
/** Octets of the largest encoded record. */
export const maxRecordOctets = 8 * 1024 * 1024;

const loneSurrogate = /\p{Surrogate}/u;

/** @throws ParleyError `store-key-invalid` when `key` is empty, too long, or holds half a surrogate pair. */
export function checkKey(key: string): void {
  // one UTF-16 unit is three octets at most, so that short keys need no count
  const fits = key.length > 0 && (key.length * 3 <= maxKeyOctets || Buffer.byteLength(key) <= maxKeyOctets);
  if (!fits || loneSurrogate.test(key))
    throw storeError('store-key-invalid', JSON.stringify(key.slice(0, 64)));
}

/** @throws ParleyError `store-record-too-large`. */
export function checkRecordSize(octets: number, key: string): void {
  if (octets > maxRecordOctets) throw storeError('store-record-too-large', `${key} has ${octets} octets`);
}

/** A name of a table as it stands in file and key names. */
export function checkTableName(name: string): void {
  if (!/^[a-z][a-z-]{0,47}$/.test(name)) throw new Error(`a table is named with a-z and -, not ${name}`);
}

/** Orders keys by their UTF-8 octets: as `<` does, but surrogate pairs come after U+E000 to U+FFFF. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return weight(x) - weight(y);
  }
  return a.length - b.length;
}

function weight(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** 12 hexadecimal digits, the year 10889. */
const latestDeadline = 2 ** 48 - 2;

/** @returns a whole number of milliseconds, Infinity for none. */
export function asDeadline(deadline: number | undefined): number {
  if (deadline === undefined || deadline === Infinity) return Infinity;
  if (Number.isNaN(deadline)) throw new TypeError('a deadline is a number of milliseconds');
  return Math.min(latestDeadline, Math.max(0, Math.ceil(deadline)));
}
