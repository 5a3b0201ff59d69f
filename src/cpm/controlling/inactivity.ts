import type { Clock, Timer } from '../../base/clock.js';

/** Tells when nobody has said anything in a group for some time. One timer runs, however much is said. */
export class Inactivity {
  readonly #clock: Clock;
  readonly #after: number;
  readonly #tell: () => void;
  #heardAt: number;
  #timer: Timer | undefined;

  /** @param after milliseconds. @param tell called once. */
  constructor(clock: Clock, after: number, tell: () => void) {
    this.#clock = clock;
    this.#after = after;
    this.#tell = tell;
    this.#heardAt = clock.now();
    this.#watch();
  }

  /** Somebody has said something. */
  heard(): void {
    this.#heardAt = this.#clock.now();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #watch(): void {
    const wait = this.#heardAt + this.#after - this.#clock.now();
    if (wait <= 0) this.#tell();
    else this.#timer = this.#clock.after(wait, () => this.#watch());
  }
}
