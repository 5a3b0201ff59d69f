import type { Clock, Timer } from '../base/clock.js';
import type { Logger } from '../base/log.js';

/** What {@link Upkeep} does each time. @param round how many times it was done before */
export type Round = (round: number) => Promise<void>;

/** Work that comes again and again: once a pause, one after the other; what fails is done the next time. */
export class Upkeep {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #pauseMs: number;
  readonly #work: Round;
  #rounds = 0;
  #timer: Timer | undefined;
  #closed = false;

  /** @param pauseMs milliseconds from the end of one round to the next */
  constructor(clock: Clock, log: Logger, pauseMs: number, work: Round) {
    this.#clock = clock;
    this.#log = log;
    this.#pauseMs = pauseMs;
    this.#work = work;
  }

  start(): void {
    this.#timer = this.#clock.after(this.#pauseMs, () => {
      void this.#work(this.#rounds++)
        .catch((error: unknown) => this.#log.error({ err: error }, 'the gateway sweeps again later'))
        .finally(() => {
          if (!this.#closed) this.start();
        });
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
