import type { Clock } from '../../base/clock.js';
import { table, type Store } from '../../store/store.js';

interface WaitingCount {
  readonly waiting: number;
  /** Milliseconds since the epoch. */
  readonly changedAt?: number;
}

const counts = table<WaitingCount>('deferred-counts');

/** Whoever counted a message has committed it by then, or has died. */
const SETTLED_MS = 60_000;

/**
 * How many messages wait for each user. A message is counted before it is committed and until after it is removed, so that the
 * count is never too low; a process that dies in between leaves it too high, which {@link correct} mends.
 */
export class WaitingCounts {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async of(set: string): Promise<number> {
    return (await this.#store.get(counts, set))?.waiting ?? 0;
  }

  /** Users for whom something waits. */
  async *users(): AsyncGenerator<string> {
    for await (const { key } of this.#store.scan(counts)) yield key;
  }

  /** Counts one more. @returns false when there are `limit` already. */
  take(set: string, limit: number): Promise<boolean> {
    return this.#store.update(counts, set, (current) => {
      const waiting = current?.waiting ?? 0;
      return waiting >= limit
        ? { kind: 'keep', result: false }
        : { kind: 'put', value: this.#changed(waiting + 1), result: true };
    });
  }

  /** Counts one less. */
  release(set: string): Promise<void> {
    return this.#store.update(counts, set, (current) =>
      current && current.waiting > 1
        ? { kind: 'put', value: this.#changed(current.waiting - 1), result: undefined }
        : { kind: 'remove', result: undefined },
    );
  }

  /**
   * Puts a count right that has not changed for a minute, and does not change while it is counted anew; at most once a minute.
   * @param count gives what there is. @returns whether it was wrong.
   */
  async correct(set: string, count: () => Promise<number>): Promise<boolean> {
    const before = await this.#store.get(counts, set);
    if (!before || (before.changedAt ?? 0) + SETTLED_MS > this.#clock.now()) return false;
    const waiting = await count();
    return this.#store.update(counts, set, (current) => {
      if (current?.waiting !== before.waiting || current.changedAt !== before.changedAt)
        return { kind: 'keep', result: false };
      return waiting === 0
        ? { kind: 'remove', result: true }
        : { kind: 'put', value: this.#changed(waiting), result: waiting !== before.waiting };
    });
  }

  #changed(waiting: number): WaitingCount {
    return { waiting, changedAt: this.#clock.now() };
  }
}
