import { createHash, hash, timingSafeEqual } from 'node:crypto';

/**
 * Marks on text that leaves this server and comes back, which nobody without the key can make. A mark is SHA-512/256 (FIPS 180-4)
 * over key and text, cut off: as the hash does not show its state, nothing can be appended to a marked text, which is what
 * HMAC is for with other hashes, and a mark costs a fifth of an HMAC.
 */
export class Mac {
  readonly #key: string;
  readonly #characters: number;

  /** @param characters length of a mark, of 6 bits each. */
  constructor(key: string | Uint8Array, characters: number) {
    // of one length, so that it is clear where the text begins
    this.#key = createHash('sha256').update(key).digest('base64url');
    this.#characters = characters;
  }

  /** The mark, in characters of base64url. */
  of(text: string): string {
    return hash('sha512-256', this.#key + text, 'base64url').slice(0, this.#characters);
  }

  /** Whether `mark` is that of the text, found out in the same time wherever it differs. */
  isOf(text: string, mark: string): boolean {
    const given = Buffer.from(mark);
    return given.length === this.#characters && timingSafeEqual(given, Buffer.from(this.of(text)));
  }
}
