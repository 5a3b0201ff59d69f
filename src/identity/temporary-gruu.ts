import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';
import type { Cipher, Decipher } from 'node:crypto';
import { ParleyError } from '../base/errors.js';
import { RandomPool } from './random-pool.js';
import './errors.js';

/** Keys of the codec, 16 octets each. Every node of a domain holds the same ones, and they outlive a restart. */
export interface TemporaryGruuKeys {
  readonly encryption: Uint8Array;
  readonly authentication: Uint8Array;
}

const PREFIX = 'tgruu.';
const DISTINGUISHER = 10;
const BLOCK = 16;
const MAC = 10;
const USER_LENGTH = PREFIX.length + 22 + 14;

/**
 * Temporary GRUUs without a table of them (RFC 5627 §A.2): the user part holds, encrypted, the 48-bit index under
 * which the registrar keeps the pair of AOR and instance. Removing that row invalidates all of them at once.
 *
 * The RFC authenticates the one-block ciphertext E with HMAC-SHA-256 cut to 80 bits. Here it is AES-128 under a
 * second key, cut likewise: a block cipher is a pseudo-random function on input of one fixed block (CBC-MAC of
 * length one), only the issuing domain ever checks the value, and it is several times faster.
 */
export class TemporaryGruuCodec {
  readonly #encrypt: Cipher;
  readonly #decrypt: Decipher;
  readonly #authenticate: Cipher;
  readonly #random = new RandomPool();
  readonly #plain = Buffer.allocUnsafeSlow(BLOCK);
  readonly #given = Buffer.allocUnsafeSlow(USER_LENGTH);
  readonly #expected = Buffer.allocUnsafeSlow(USER_LENGTH);

  /** @throws ParleyError `gruu-keys` when a key is not 16 octets or both are the same. */
  constructor(keys: TemporaryGruuKeys) {
    const { encryption, authentication } = keys;
    if (encryption.length !== BLOCK || authentication.length !== BLOCK) throw new ParleyError('gruu-keys');
    if (timingSafeEqual(encryption, authentication)) throw new ParleyError('gruu-keys');
    // one object for all blocks: ECB has no state between them, and making a cipher costs more than using it
    this.#encrypt = createCipheriv('aes-128-ecb', encryption, null).setAutoPadding(false);
    this.#decrypt = createDecipheriv('aes-128-ecb', encryption, null).setAutoPadding(false);
    this.#authenticate = createCipheriv('aes-128-ecb', authentication, null).setAutoPadding(false);
  }

  /**
   * A fresh user part for a row; no two are alike, and none tells that it belongs with another.
   * @param index number of the row, 0 to 2^48 - 1.
   * @returns 42 characters, `tgruu.` and base64url.
   * @throws ParleyError `gruu-index`.
   */
  mint(index: number): string {
    if (!Number.isInteger(index) || index < 0 || index >= 2 ** 48) throw new ParleyError('gruu-index');
    this.#random.copyTo(this.#plain, 0, DISTINGUISHER);
    this.#plain.writeUIntBE(index, DISTINGUISHER, 6);
    return this.#userPart(this.#encrypt.update(this.#plain));
  }

  /**
   * The row that a user part leads to.
   * @returns undefined when this domain did not mint it: a forgery, or minted under other keys.
   */
  open(user: string): number | undefined {
    if (user.length !== USER_LENGTH || !user.startsWith(PREFIX)) return undefined;
    const encrypted = Buffer.from(user.slice(PREFIX.length, PREFIX.length + 22), 'base64url');
    if (encrypted.length !== BLOCK) return undefined;
    // the whole text is compared, so that spare bits of the last base64 digits cannot spell one GRUU in two ways
    this.#expected.write(this.#userPart(encrypted), 'latin1');
    this.#given.write(user, 'latin1');
    if (!timingSafeEqual(this.#expected, this.#given)) return undefined;
    return this.#decrypt.update(encrypted).readUIntBE(DISTINGUISHER, 6);
  }

  #userPart(encrypted: Buffer): string {
    const mac = this.#authenticate.update(encrypted);
    return PREFIX + encrypted.toString('base64url') + mac.toString('base64url', 0, MAC);
  }
}
