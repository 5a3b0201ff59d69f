import { createCipheriv } from 'node:crypto';
import type { Cipher } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import './errors.js';

const BLOCK = 16;

/** Keys and response that both sides derive from one RAND. */
export interface AkaKeys {
  /** 8 octets. */
  readonly res: Buffer;
  /** 16 octets. */
  readonly ck: Buffer;
  /** 16 octets. */
  readonly ik: Buffer;
  /** 6 octets that hide the sequence number in AUTN. */
  readonly ak: Buffer;
}

/**
 * The Milenage functions f1 to f5* of one subscriber (3GPP TS 35.206). All arguments and results are octets; E is AES-128 under K.
 */
export class Milenage {
  readonly #opc: Uint8Array;
  readonly #cipher: Cipher;

  /**
   * @param k 16 octets.
   * @param opc 16 octets; from an OP by {@link Milenage.opcOf}.
   * @throws ParleyError `aka-key` for other lengths.
   */
  constructor(k: Uint8Array, opc: Uint8Array) {
    if (k.length !== BLOCK || opc.length !== BLOCK) throw new ParleyError('aka-key');
    this.#opc = opc;
    this.#cipher = createCipheriv('aes-128-ecb', k, null).setAutoPadding(false);
  }

  /**
   * OPc of a subscriber (TS 35.206 §4.1): OP xor E(OP).
   * @throws ParleyError `aka-key`.
   */
  static opcOf(k: Uint8Array, op: Uint8Array): Buffer {
    if (k.length !== BLOCK || op.length !== BLOCK) throw new ParleyError('aka-key');
    return xor(createCipheriv('aes-128-ecb', k, null).update(op), op);
  }

  /** f1 and f1*: network and resynchronisation authentication codes, 8 octets each. */
  f1(rand: Uint8Array, sqn: Uint8Array, amf: Uint8Array): { readonly macA: Buffer; readonly macS: Buffer } {
    const input = Buffer.concat([sqn, amf, sqn, amf]);
    const rotated = rotate(xor(input, this.#opc), 8);
    const out = this.#block(xor(this.#temp(rand), rotated));
    return { macA: out.subarray(0, 8), macS: out.subarray(8) };
  }

  /** f2 to f5: response, keys and anonymity key. */
  f2345(rand: Uint8Array): AkaKeys {
    const temp = this.#temp(rand);
    const out2 = this.#out(temp, 0, 1);
    return {
      res: out2.subarray(8),
      ak: out2.subarray(0, 6),
      ck: this.#out(temp, 4, 2),
      ik: this.#out(temp, 8, 4),
    };
  }

  /** f5*: anonymity key of a resynchronisation, 6 octets. */
  f5Star(rand: Uint8Array): Buffer {
    return this.#out(this.#temp(rand), 12, 8).subarray(0, 6);
  }

  #temp(rand: Uint8Array): Buffer {
    return this.#cipher.update(xor(rand, this.#opc));
  }

  /** OUT2 to OUT5: rotation in octets and the constant's last octet. */
  #out(temp: Buffer, octets: number, constant: number): Buffer {
    const input = rotate(xor(temp, this.#opc), octets);
    input[BLOCK - 1]! ^= constant;
    return this.#block(input);
  }

  #block(input: Buffer): Buffer {
    return xor(this.#cipher.update(input), this.#opc);
  }
}

/** Octet-wise exclusive or, as long as `a`. */
export function xor(a: Uint8Array, b: Uint8Array): Buffer {
  const result = Buffer.from(a);
  for (let i = 0; i < result.length; i++) result[i]! ^= b[i]!;
  return result;
}

/** Cyclic rotation to the left by whole octets. */
function rotate(block: Buffer, octets: number): Buffer {
  return Buffer.concat([block.subarray(octets), block.subarray(0, octets)]);
}
