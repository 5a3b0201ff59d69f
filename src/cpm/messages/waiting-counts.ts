import type { Clock } from '../../base/clock.js';
import { soon, type Soon } from '../../base/soon.js';
import { table, type Store } from '../../store/store.js';

interface WaitingCount {
  readonly waiting: number;
  /** Of all of them together. */
  readonly octets?: number;
  /** Milliseconds since the epoch. */
  readonly changedAt?: number;
}

const counts = table<WaitingCount>('deferred-counts');

/** What may wait for one user. */
export interface MailboxLimits {
  readonly messages: number;
  readonly octets: number;
}

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

  of(set: string): Soon<number> {
    return soon(this.#store.read(counts, set), (count) => count?.waiting ?? 0);
  }

  /** Users for whom something waits. */
  async *users(): AsyncGenerator<string> {
    for await (const { key } of this.#store.scan(counts)) yield key;
  }

  /** Of all users together. */
  async total(): Promise<{ readonly messages: number; readonly octets: number }> {
    const total = { messages: 0, octets: 0 };
    for await (const { value } of this.#store.scan(counts)) {
      total.messages += value.waiting;
      total.octets += value.octets ?? 0;
    }
    return total;
  }

  /** Counts one more of so many octets. @returns false when that is more than the limits let. */
  take(set: string, octets: number, limits: MailboxLimits): Promise<boolean> {
    return this.#store.update(counts, set, (current) => {
      const sum = { waiting: (current?.waiting ?? 0) + 1, octets: (current?.octets ?? 0) + octets };
      return sum.waiting > limits.messages || sum.octets > limits.octets
        ? { kind: 'keep', result: false }
        : { kind: 'put', value: this.#changed(sum), result: true };
    });
  }

  /** Counts one less. */
  release(set: string, octets: number): Promise<void> {
    return this.#store.update(counts, set, (current) => {
      if (!current || current.waiting <= 1) return { kind: 'remove', result: undefined };
      const left = { waiting: current.waiting - 1, octets: Math.max(0, (current.octets ?? 0) - octets) };
      return { kind: 'put', value: this.#changed(left), result: undefined };
    });
  }

  /**
   * Puts a count right that has not changed for a minute, and does not change while it is counted anew; at most once a minute.
   * @param count gives what there is. @returns whether it was wrong.
   */
  async correct(
    set: string,
    count: () => Promise<Pick<WaitingCount, 'waiting' | 'octets'>>,
  ): Promise<boolean> {
    const before = await this.#store.get(counts, set);
    if (!before || (before.changedAt ?? 0) + SETTLED_MS > this.#clock.now()) return false;
    const sum = await count();
    const wrong = sum.waiting !== before.waiting || sum.octets !== (before.octets ?? 0);
    return this.#store.update(counts, set, (current) => {
      if (current?.waiting !== before.waiting || current.changedAt !== before.changedAt)
        return { kind: 'keep', result: false };
      return sum.waiting === 0
        ? { kind: 'remove', result: true }
        : { kind: 'put', value: this.#changed(sum), result: wrong };
    });
  }

  #changed(sum: Pick<WaitingCount, 'waiting' | 'octets'>): WaitingCount {
    return { ...sum, changedAt: this.#clock.now() };
  }
}
