import type { Known } from './record.js';

/**
 * What this node last knew of the records it used last. An update begins with it, and Redis says when it is out of
 * date; a read never does.
 */
export class KnownRecords {
  readonly #capacity: number;
  readonly #records = new Map<string, Known>();

  /** @param capacity records that are kept, those used last. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(name: string): Known | undefined {
    return this.#records.get(name);
  }

  set(name: string, known: Known): void {
    this.#records.delete(name);
    this.#records.set(name, known);
    if (this.#records.size <= this.#capacity) return;
    const oldest = this.#records.keys().next();
    if (!oldest.done) this.#records.delete(oldest.value);
  }

  delete(name: string): void {
    this.#records.delete(name);
  }
}
