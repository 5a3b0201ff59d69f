import { randomFillSync } from 'node:crypto';

/**
 * Cryptographically strong octets from a block that is filled in one call: a system call for each nonce and each
 * GRUU would cost more than everything else done for them.
 */
export class RandomPool {
  readonly #block: Buffer;
  #next: number;

  /** @param size octets fetched at once. */
  constructor(size = 65_536) {
    this.#block = Buffer.allocUnsafeSlow(size);
    this.#next = size;
  }

  /** Writes `length` octets, never handed out before, into `target` at `offset`. */
  copyTo(target: Buffer, offset: number, length: number): void {
    if (this.#next + length > this.#block.length) {
      randomFillSync(this.#block);
      this.#next = 0;
    }
    // a loop, since copy and fill of a few octets cost more than the octets; what was handed out is wiped
    for (let i = 0; i < length; i++) {
      target[offset + i] = this.#block[this.#next]!;
      this.#block[this.#next++] = 0;
    }
  }
}
