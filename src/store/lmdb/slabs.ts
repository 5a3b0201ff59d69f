/** An encoded value within a buffer. */
export interface Slice {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

const largestSlab = 1024 * 1024;

/** Room for the encoded values of one generation of memory: outside the heap, freed all at once. */
export class Slabs {
  #slab = Buffer.alloc(0);
  #used = 0;
  #octets = 0;

  /** Octets handed out. */
  get octets(): number {
    return this.#octets;
  }

  allocate(octets: number): Slice {
    // room to grow: the next version often is a few octets longer
    const capacity = (octets + 63) & ~31;
    if (capacity > largestSlab / 4) {
      this.#octets += capacity;
      return { bytes: Buffer.allocUnsafeSlow(capacity), start: 0, end: capacity };
    }
    if (this.#used + capacity > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.min(largestSlab, Math.max(4 * capacity, this.#octets)));
      this.#used = 0;
    }
    const start = this.#used;
    this.#octets += capacity;
    this.#used += capacity;
    return { bytes: this.#slab, start, end: this.#used };
  }
}
