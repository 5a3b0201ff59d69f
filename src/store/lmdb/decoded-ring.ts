import type { Slot } from './slot.js';

/** Which slots hold a decoded value: a ring, in which the newest pushes the oldest out. */
export class DecodedRing {
  readonly #slots: (Slot | undefined)[];
  #next = 0;

  /** @param capacity how many decoded values are kept. */
  constructor(capacity: number) {
    this.#slots = new Array<Slot | undefined>(Math.max(1, capacity)).fill(undefined);
  }

  /** Notes a slot that has got its decoded value. @returns the one that has lost its value for it. */
  push(slot: Slot): Slot | undefined {
    const oldest = this.#slots[this.#next];
    this.#slots[this.#next] = slot;
    this.#next = this.#next + 1 === this.#slots.length ? 0 : this.#next + 1;
    if (!oldest || oldest === slot) return undefined;
    oldest.value = undefined;
    return oldest;
  }
}
