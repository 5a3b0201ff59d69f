import type { Slot } from './slot.js';

/** Which slots hold a decoded value: a ring, in which the newest pushes the oldest out. */
export class DecodedRing {
  /** Filled from its beginning once; from then on `#next` is the oldest. */
  readonly #slots: (Slot | undefined)[] = [];
  #capacity: number;
  #next = 0;

  /** @param capacity how many decoded values are kept. */
  constructor(capacity: number) {
    this.#capacity = Math.max(1, capacity);
  }

  /** @param capacity how many are kept from now on, if more than before: to be called before the ring is full. */
  grow(capacity: number): void {
    this.#capacity = Math.max(this.#capacity, capacity);
  }

  /** Notes a slot that has got its decoded value. @returns the one that has lost its value for it. */
  push(slot: Slot): Slot | undefined {
    const oldest = this.#slots[this.#next];
    this.#slots[this.#next] = slot;
    this.#next = this.#next + 1 === this.#capacity ? 0 : this.#next + 1;
    if (!oldest || oldest === slot) return undefined;
    oldest.value = undefined;
    return oldest;
  }
}
