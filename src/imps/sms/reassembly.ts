import type { Clock } from '../../base/clock.js';

/** How long the parts of a message are waited for. */
const PATIENCE_MS = 300_000;
/** Messages of which parts are missing; the oldest makes room. */
const MESSAGES = 1000;

interface Partial<T> {
  readonly since: number;
  readonly parts: (T | undefined)[];
  missing: number;
}

/** Puts the parts of messages together, in whatever order they come. */
export class Reassembly<T> {
  readonly #clock: Clock;
  readonly #partials = new Map<string, Partial<T>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param key the same for all parts of a message and, for a while, of no other
   * @param index from 0
   * @returns all parts in order once the last has come
   */
  add(key: string, index: number, total: number, part: T): readonly T[] | undefined {
    if (total === 1) return [part];
    const now = this.#clock.now();
    let partial = this.#partials.get(key);
    if (!partial || now - partial.since > PATIENCE_MS || partial.parts.length !== total) {
      this.#partials.delete(key);
      if (this.#partials.size >= MESSAGES) this.#partials.delete(this.#partials.keys().next().value!);
      partial = { since: now, parts: new Array<T | undefined>(total).fill(undefined), missing: total };
      this.#partials.set(key, partial);
    }
    if (partial.parts[index] === undefined) partial.missing--;
    partial.parts[index] = part;
    if (partial.missing > 0) return undefined;
    this.#partials.delete(key);
    return partial.parts as T[];
  }
}
