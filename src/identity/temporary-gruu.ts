import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';
import type { Cipher, Decipher } from 'node:crypto';
import { ParleyError } from '../base/errors.js';
import { RandomPool } from './random-pool.js';
import './errors.js';

/** One more than the largest index: 2^47. */
export const TEMPORARY_GRUU_INDEXES = 2 ** 47;
/** One more than the largest generation: 2^32. */
export const TEMPORARY_GRUU_GENERATIONS = 2 ** 32;

/** What a temporary GRUU says to the registrar that minted it. */
export interface TemporaryGruuRow {
  /** Number of the row that names AOR and instance, 0 to 2^47 - 1. */
  readonly index: number;
  /** Which of the device's registrations it was minted for, 0 to 2^32 - 1. */
  readonly generation: number;
}

const PREFIX = 'tgruu.';
const BLOCK = 16;
/** Octets of random bits, and where the generation and the index lie behind them. */
const DISTINGUISHER = 6;
const INDEX = 10;
const MAC = 10;
const TOKEN = BLOCK + MAC;
const USER_LENGTH = PREFIX.length + Math.ceil((TOKEN * 4) / 3);
/** First octet of the index: set in the block that is authenticated, clear in the one that is encrypted. */
const DOMAIN_BIT = 0x80;

/**
 * Temporary GRUUs without a table of them, after RFC 5627 §A.2: the user part holds, encrypted, the index under
 * which the registrar keeps the pair of AOR and instance, and a generation. Going on to the next generation invalidates
 * all of the one before at once and costs no row of its own, so that a REGISTER with a new Call-ID is one write.
 *
 * With M = 48 random bits, generation and index (the RFC has 80 random bits and the index), the RFC makes E = AES(Ke, M) and A = HMAC-SHA-256(Ka, E) cut to 80 bits. Here
 * A is AES of M under the same key with one bit of the index set, cut to 80 bits: a block cipher is a pseudo-random
 * function on input of one fixed block, and since the index has 47 bits, no block is ever used for both. Both
 * blocks then go through the cipher in one call, which is what minting costs.
 */
export class TemporaryGruuCodec {
  readonly #encrypt: Cipher;
  readonly #decrypt: Decipher;
  readonly #random = new RandomPool();
  readonly #blocks = Buffer.allocUnsafeSlow(2 * BLOCK);
  readonly #given = Buffer.allocUnsafeSlow(USER_LENGTH);
  readonly #expected = Buffer.allocUnsafeSlow(USER_LENGTH);

  /**
   * @param key 16 octets, the same on every node of a domain, kept over restarts.
   * @throws ParleyError `gruu-key`.
   */
  constructor(key: Uint8Array) {
    if (key.length !== BLOCK) throw new ParleyError('gruu-key');
    // one object for all blocks: ECB has no state between them, and making a cipher costs more than using it
    this.#encrypt = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    this.#decrypt = createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  }

  /**
   * A fresh user part for a row; nothing tells that two of them belong together.
   * @returns 41 characters: `tgruu.` and, in base64url, E and A.
   * @throws ParleyError `gruu-index` when index or generation does not fit.
   */
  mint({ index, generation }: TemporaryGruuRow): string {
    if (!fits(index, TEMPORARY_GRUU_INDEXES) || !fits(generation, TEMPORARY_GRUU_GENERATIONS)) {
      throw new ParleyError('gruu-index');
    }
    this.#random.copyTo(this.#blocks, 0, DISTINGUISHER);
    this.#blocks.writeUInt32BE(generation, DISTINGUISHER);
    this.#blocks.writeUIntBE(index, INDEX, 6);
    return this.#userPart();
  }

  /**
   * The row that a user part leads to.
   * @returns undefined when this domain did not mint it: a forgery, or minted under another key.
   */
  open(user: string): TemporaryGruuRow | undefined {
    if (user.length !== USER_LENGTH || !user.startsWith(PREFIX)) return undefined;
    const token = Buffer.from(user.slice(PREFIX.length), 'base64url');
    if (token.length !== TOKEN) return undefined;
    this.#decrypt.update(token.subarray(0, BLOCK)).copy(this.#blocks);
    if ((this.#blocks[INDEX]! & DOMAIN_BIT) !== 0) return undefined;
    // the whole text is compared, so that spare bits of the last base64 digit cannot spell one GRUU in two ways
    this.#expected.write(this.#userPart(), 'latin1');
    this.#given.write(user, 'latin1');
    if (!timingSafeEqual(this.#expected, this.#given)) return undefined;
    return {
      index: this.#blocks.readUIntBE(INDEX, 6),
      generation: this.#blocks.readUInt32BE(DISTINGUISHER),
    };
  }

  /** User part of the M in the first block. */
  #userPart(): string {
    const blocks = this.#blocks;
    blocks.copyWithin(BLOCK, 0, BLOCK);
    blocks[BLOCK + INDEX]! |= DOMAIN_BIT;
    return PREFIX + this.#encrypt.update(blocks).toString('base64url', 0, TOKEN);
  }
}

function fits(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}
