import type { Clock } from '../../base/clock.js';

export interface GuessLockOptions {
  readonly clock: Clock;
  /** Wrong answers allowed within the window. */
  readonly limit: number;
  /** Milliseconds. */
  readonly windowMs: number;
  /** Keys remembered; beyond that the one whose last wrong answer is longest ago is forgotten. */
  readonly capacity?: number;
}

/**
 * Stops password guessing: after `limit` wrong answers a key is locked, and earns one try back each `windowMs / limit`
 * milliseconds (generic cell rate algorithm, ITU-T I.371). One number a key, and no timers. Keys are private identities, source addresses
 * or whatever else may guess; each kind has its own lock.
 */
export class GuessLock {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #intervalMs: number;
  readonly #capacity: number;
  /** When each key will have all its tries back, in the order of the last wrong answers. */
  readonly #restoredAt = new Map<string, number>();

  constructor({ clock, limit, windowMs, capacity = 100_000 }: GuessLockOptions) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#intervalMs = windowMs / limit;
    this.#capacity = capacity;
  }

  /** Keys remembered now. */
  get size(): number {
    return this.#restoredAt.size;
  }

  /** Milliseconds until the key may try again; 0 when it may now. */
  lockedFor(key: string): number {
    const restoredAt = this.#restoredAt.get(key);
    if (restoredAt === undefined) return 0;
    const spent = restoredAt - this.#clock.now();
    return Math.max(0, Math.ceil(spent - (this.#windowMs - this.#intervalMs)));
  }

  /** Counts a wrong answer. */
  failed(key: string): void {
    const now = this.#clock.now();
    const restoredAt = Math.max(now, this.#restoredAt.get(key) ?? 0) + this.#intervalMs;
    this.#restoredAt.delete(key); // so that it goes to the end of the order
    this.#restoredAt.set(key, restoredAt);
    for (const [oldest, restored] of this.#restoredAt) {
      if (restored > now && this.#restoredAt.size <= this.#capacity) break;
      this.#restoredAt.delete(oldest);
    }
  }

  /** A right answer: gives all tries back. */
  succeeded(key: string): void {
    this.#restoredAt.delete(key);
  }
}
