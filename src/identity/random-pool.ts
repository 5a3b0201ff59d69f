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
    const end = this.#next + length;
    this.#block.copy(target, offset, this.#next, end);
    this.#block.fill(0, this.#next, end);
    this.#next = end;
  }
}
