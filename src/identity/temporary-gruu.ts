import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';
import type { Cipher, Decipher } from 'node:crypto';
import { ParleyError } from '../base/errors.js';
import { RandomPool } from './random-pool.js';
import './errors.js';

/** One more than the largest index: 2^47. */
export const TEMPORARY_GRUU_INDEXES = 2 ** 47;

const PREFIX = 'tgruu.';
const BLOCK = 16;
const DISTINGUISHER = 10;
const MAC = 10;
const TOKEN = BLOCK + MAC;
const USER_LENGTH = PREFIX.length + Math.ceil((TOKEN * 4) / 3);
/** First octet of the index: set in the block that is authenticated, clear in the one that is encrypted. */
const DOMAIN_BIT = 0x80;

/**
 * Temporary GRUUs without a table of them, after RFC 5627 §A.2: the user part holds, encrypted, the index under
 * which the registrar keeps the pair of AOR and instance. Removing that row invalidates all of them at once.
 *
 * With M = 80 random bits and the index, the RFC makes E = AES(Ke, M) and A = HMAC-SHA-256(Ka, E) cut to 80 bits. Here
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
   * @param index number of the row, 0 to 2^47 - 1.
   * @returns 41 characters: `tgruu.` and, in base64url, E and A.
   * @throws ParleyError `gruu-index`.
   */
  mint(index: number): string {
    if (!Number.isInteger(index) || index < 0 || index >= TEMPORARY_GRUU_INDEXES) {
      throw new ParleyError('gruu-index');
    }
    this.#random.copyTo(this.#blocks, 0, DISTINGUISHER);
    this.#blocks.writeUIntBE(index, DISTINGUISHER, 6);
    return this.#userPart();
  }

  /**
   * The row that a user part leads to.
   * @returns undefined when this domain did not mint it: a forgery, or minted under another key.
   */
  open(user: string): number | undefined {
    if (user.length !== USER_LENGTH || !user.startsWith(PREFIX)) return undefined;
    const token = Buffer.from(user.slice(PREFIX.length), 'base64url');
    if (token.length !== TOKEN) return undefined;
    this.#decrypt.update(token.subarray(0, BLOCK)).copy(this.#blocks);
    if ((this.#blocks[DISTINGUISHER]! & DOMAIN_BIT) !== 0) return undefined;
    // the whole text is compared, so that spare bits of the last base64 digit cannot spell one GRUU in two ways
    this.#expected.write(this.#userPart(), 'latin1');
    this.#given.write(user, 'latin1');
    if (!timingSafeEqual(this.#expected, this.#given)) return undefined;
    return this.#blocks.readUIntBE(DISTINGUISHER, 6);
  }

  /** User part of the M in the first block. */
  #userPart(): string {
    const blocks = this.#blocks;
    blocks.copyWithin(BLOCK, 0, BLOCK);
    blocks[BLOCK + DISTINGUISHER]! |= DOMAIN_BIT;
    return PREFIX + this.#encrypt.update(blocks).toString('base64url', 0, TOKEN);
  }
}
