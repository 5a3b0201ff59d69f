import { ParleyError } from '../../base/errors.js';
import './errors.js';

/** Bits of IND, the part of a sequence number that names a slot of the USIM's array (3GPP TS 33.102 §C.3.2). */
const IND_BITS = 5;
const SLOTS = 2 ** IND_BITS;
const SQNS = 2 ** 48;
/** Largest jump a USIM accepts, in steps of SEQ (TS 33.102 §C.2.1). */
const DELTA = 2 ** 28;

/**
 * The sequence number after `sqn`: SEQ and IND each one further (TS 33.102 §C.1.1.1, §C.1.2), so that vectors that are used out of
 * order fall into different slots.
 */
export function nextSqn(sqn: number): number {
  const sequence = Math.floor(sqn / SLOTS) + 1;
  const slot = ((sqn % SLOTS) + 1) % SLOTS;
  return (sequence * SLOTS + slot) % SQNS;
}

/**
 * Six octets, most significant first.
 * @throws ParleyError `aka-sqn` for anything but an integer of 48 bits.
 */
export function sqnOctets(sqn: number): Buffer {
  if (!Number.isInteger(sqn) || sqn < 0 || sqn >= SQNS) throw new ParleyError('aka-sqn');
  const octets = Buffer.alloc(6);
  octets.writeUIntBE(sqn, 0, 6);
  return octets;
}

/** The number in six octets. */
export function sqnOf(octets: Buffer): number {
  return octets.readUIntBE(0, 6);
}

/** The array of a USIM: highest SEQ accepted in each slot (TS 33.102 §C.2). */
export class UsimSequence {
  readonly #slots = new Array<number>(SLOTS).fill(0);
  #highest = 0;

  /** Highest sequence number accepted so far: what AUTS reports. */
  get highest(): number {
    return this.#highest;
  }

  /** Takes a sequence number in, or refuses one that is not fresh or too far ahead. */
  accept(sqn: number): boolean {
    const sequence = Math.floor(sqn / SLOTS);
    const slot = sqn % SLOTS;
    if (sequence <= this.#slots[slot]!) return false;
    if (sequence - Math.floor(this.#highest / SLOTS) > DELTA) return false;
    this.#slots[slot] = sequence;
    this.#highest = Math.max(this.#highest, sqn);
    return true;
  }
}
