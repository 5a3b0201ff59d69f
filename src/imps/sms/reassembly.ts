import type { Clock } from '../../base/clock.js';
import type { Store, Table } from '../../store/store.js';

/** How long the parts of a message are waited for. */
const PATIENCE_MS = 300_000;
/** Messages of which parts are missing here; the oldest makes room. */
const MESSAGES = 1000;

/** The parts of a message that came so far. */
export interface PartsRecord<T> {
  readonly since: number;
  readonly total: number;
  /** The parts that are there, each with its index from 0. */
  readonly parts: readonly { readonly index: number; readonly part: T }[];
}

/**
 * Puts the parts of messages together, in whatever order they come. Each part is committed before the SMSC hears that
 * it was taken, and all stay until the whole message was worked on: a crash in between loses nothing.
 */
export class Reassembly<T> {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #table: Table<PartsRecord<T>>;
  readonly #waiting = new Set<string>();

  constructor(store: Store, clock: Clock, table: Table<PartsRecord<T>>) {
    this.#store = store;
    this.#clock = clock;
    this.#table = table;
  }

  /**
   * @param key the same for all parts of a message and, for a while, of no other
   * @param index from 0
   * @returns all parts in order once the last has come; they are kept until {@link done}
   */
  async add(key: string, index: number, total: number, part: T): Promise<readonly T[] | undefined> {
    if (total === 1) return [part];
    if (!this.#waiting.has(key) && this.#waiting.size >= MESSAGES)
      await this.done(this.#waiting.values().next().value!);
    const now = this.#clock.now();
    const { parts } = await this.#store.update(this.#table, key, (current) => {
      const stale = !current || now - current.since > PATIENCE_MS || current.total !== total;
      const known = stale ? [] : current.parts.filter((other) => other.index !== index);
      const since = stale ? now : current.since;
      const value = { since, total, parts: [...known, { index, part }] };
      return { kind: 'put', value, deadline: since + PATIENCE_MS, result: value };
    });
    this.#waiting.add(key);
    if (parts.length < total) return undefined;
    return [...parts].sort((a, b) => a.index - b.index).map((each) => each.part);
  }

  /** The whole message was worked on: its parts go. */
  async done(key: string): Promise<void> {
    this.#waiting.delete(key);
    await this.#store.update(this.#table, key, (current) =>
      current ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
    );
  }
}
