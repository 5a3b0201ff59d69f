/** Bits of a generation; at 20,000 requests a second one in seven is set. */
const BITS = 1 << 22;

/**
 * Tells of nearly every new request that it was not answered before, by one look at each of two bitmaps, where the tables of
 * answers are a look into memory each. Bits cannot be taken out one by one, so there are two generations: when the younger
 * has lasted as long as a record lives, all that the older stands for is gone.
 */
export class AnsweredFilter {
  readonly #lifetime: number;
  #young = new Uint32Array(BITS / 32);
  #old = new Uint32Array(BITS / 32);
  #bornAt = -Infinity;

  /** @param lifetime of a record, in milliseconds. */
  constructor(lifetime: number) {
    this.#lifetime = lifetime;
  }

  add(hash: number, now: number): void {
    const age = now - this.#bornAt;
    if (age >= this.#lifetime) this.#turn(age, now);
    this.#young[wordOf(hash)]! |= 1 << (hash & 31);
  }

  /** Whether a record with that hash may be there; when it is, always true. */
  has(hash: number): boolean {
    const word = wordOf(hash);
    return ((this.#young[word]! | this.#old[word]!) & (1 << (hash & 31))) !== 0;
  }

  #turn(age: number, now: number): void {
    const spare = this.#old;
    this.#old = this.#young;
    this.#young = spare.fill(0);
    // nothing was added for a whole life
    if (age >= 2 * this.#lifetime) this.#old.fill(0);
    this.#bornAt = now;
  }
}

const wordOf = (hash: number): number => (hash & (BITS - 1)) >>> 5;
