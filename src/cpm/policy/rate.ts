import type { Clock } from '../../base/clock.js';

const MINUTE_MS = 60_000;

/** Counts what users do in the current minute; users who do nothing cost nothing. */
export class MinuteRate {
  readonly #clock: Clock;
  #counts = new Map<string, number>();
  #minute = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts once more. @returns false when that is more than `limit` in this minute. */
  take(user: string, limit: number): boolean {
    const minute = Math.floor(this.#clock.now() / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#counts = new Map();
    }
    const count = (this.#counts.get(user) ?? 0) + 1;
    if (count > limit) return false;
    this.#counts.set(user, count);
    return true;
  }
}
