/**
 * Columns of up to `capacity` records that are added at the tail and leave at the head, with hash chains through
 * them. A slot is used once; the table is thrown away when all have left.
 */
export class AnsweredTable {
  readonly capacity: number;
  readonly chunk: Uint32Array;
  readonly offset: Uint32Array;
  readonly keyBytes: Uint32Array;
  readonly responseBytes: Uint32Array;
  readonly expires: Float64Array;
  /** First slot that has not left. */
  head = 0;
  /** First slot that has not been used. */
  tail = 0;
  readonly #hashes: Uint32Array;
  /** Newest slot of each bucket and next older one of each slot, plus one: zero is none. */
  readonly #buckets: Uint32Array;
  readonly #older: Uint32Array;

  /** @param capacity a power of two. */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.chunk = new Uint32Array(capacity);
    this.offset = new Uint32Array(capacity);
    this.keyBytes = new Uint32Array(capacity);
    this.responseBytes = new Uint32Array(capacity);
    this.expires = new Float64Array(capacity);
    this.#hashes = new Uint32Array(capacity);
    this.#buckets = new Uint32Array(capacity);
    this.#older = new Uint32Array(capacity);
  }

  get size(): number {
    return this.tail - this.head;
  }

  get full(): boolean {
    return this.tail === this.capacity;
  }

  /** Takes the next slot for a record with that hash. */
  add(hash: number): number {
    const slot = this.tail++;
    const bucket = hash & (this.capacity - 1);
    this.#hashes[slot] = hash;
    this.#older[slot] = this.#buckets[bucket]!;
    this.#buckets[bucket] = slot + 1;
    return slot;
  }

  /** The newest slot with that hash, or -1. */
  newest(hash: number): number {
    return this.#matching(this.#buckets[hash & (this.capacity - 1)]! - 1, hash);
  }

  /** The next older slot with the hash of that one, or -1. */
  older(slot: number): number {
    return this.#matching(this.#older[slot]! - 1, this.#hashes[slot]!);
  }

  #matching(from: number, hash: number): number {
    let slot = from;
    // older slots lie lower, so one that has left ends the chain
    while (slot >= this.head) {
      if (this.#hashes[slot] === hash) return slot;
      slot = this.#older[slot]! - 1;
    }
    return -1;
  }
}
