import { ParleyError } from '../../base/errors.js';
import './errors.js';
import { keccakF1600 } from './keccak.js';
import type { AkaKeys } from './milenage.js';

/** Length of TOP and TOPc. */
export const TOPC_OCTETS = 32;
const NAME = 'TUAK1.0';
const AK = 6;
/** Where each result stands in the permuted state, in octets (3GPP TS 35.231 §7). */
const AT = { res: 0, ck: 32, ik: 64, ak: 96 } as const;

/** Lengths of what TUAK gives, in octets; AUTN and AKA in SIP have room for these. */
export interface TuakSizes {
  /** 8, 16 or 32. */
  readonly mac: number;
  /** 4, 8, 16 or 32. */
  readonly res: number;
  /** 16 or 32. */
  readonly ck: number;
  /** 16 or 32. */
  readonly ik: number;
}

const standard: TuakSizes = { mac: 8, res: 8, ck: 16, ik: 16 };

/** The functions f1 to f5* of one subscriber with TUAK (3GPP TS 35.231). All arguments and results are octets. */
export class Tuak {
  readonly #k: Uint8Array;
  readonly #topc: Uint8Array;
  readonly #iterations: number;
  readonly #sizes: TuakSizes;

  /**
   * @param k 16 or 32 octets. @param topc 32 octets; from a TOP by {@link Tuak.topcOf}. @param iterations of Keccak, 1 unless the operator
   * chose more. @throws ParleyError `aka-key` for other lengths.
   */
  constructor(k: Uint8Array, topc: Uint8Array, iterations = 1, sizes = standard) {
    if ((k.length !== 16 && k.length !== 32) || topc.length !== TOPC_OCTETS) throw new ParleyError('aka-key');
    this.#k = k;
    this.#topc = topc;
    this.#iterations = iterations;
    this.#sizes = sizes;
  }

  /** TOPc of a subscriber (TS 35.231 §7.1). @throws ParleyError `aka-key` */
  static topcOf(k: Uint8Array, top: Uint8Array, iterations = 1): Buffer {
    return part(new Tuak(k, top, iterations).#permuted(0), 0, TOPC_OCTETS);
  }

  /** f1 and f1*: network and resynchronisation authentication codes. */
  f1(rand: Uint8Array, sqn: Uint8Array, amf: Uint8Array): { readonly macA: Buffer; readonly macS: Buffer } {
    const { mac } = this.#sizes;
    const code = (instance: number): Buffer => part(this.#permuted(instance | mac, rand, amf, sqn), 0, mac);
    return { macA: code(0x00), macS: code(0x80) };
  }

  /** f2 to f5: response, keys and anonymity key. */
  f2345(rand: Uint8Array): AkaKeys {
    const { res, ck, ik } = this.#sizes;
    const instance = 0x40 | (res === 4 ? 0 : res) | (ck === 32 ? 4 : 0) | (ik === 32 ? 2 : 0);
    const out = this.#permuted(instance, rand);
    return {
      res: part(out, AT.res, res),
      ck: part(out, AT.ck, ck),
      ik: part(out, AT.ik, ik),
      ak: part(out, AT.ak, AK),
    };
  }

  /** f5*: anonymity key of a resynchronisation, 6 octets. */
  f5Star(rand: Uint8Array): Buffer {
    return part(this.#permuted(0xc0, rand), AT.ak, AK);
  }

  /** What the permutation makes of TS 35.231 §6: every field with its last octet first. */
  #permuted(
    instance: number,
    rand: Uint8Array = new Uint8Array(16),
    amf: Uint8Array = new Uint8Array(2),
    sqn: Uint8Array = new Uint8Array(6),
  ): Buffer {
    let state: Buffer = Buffer.alloc(200);
    let at = 0;
    const put = (octets: Uint8Array, room = octets.length): void => {
      state.set(Uint8Array.from(octets).reverse(), at);
      at += room;
    };
    put(this.#topc);
    put(Uint8Array.of(instance | (this.#k.length === 32 ? 1 : 0)));
    put(Buffer.from(NAME, 'latin1'));
    put(rand);
    put(amf);
    put(sqn);
    put(this.#k, 32);
    state[at] = 0x1f; // the padding of Keccak, with its capacity of 512 bits untouched
    state[135] = 0x80;
    for (let i = 0; i < this.#iterations; i++) state = keccakF1600(state);
    return state;
  }
}

const part = (state: Buffer, at: number, length: number): Buffer =>
  Buffer.from(state.subarray(at, at + length)).reverse();
