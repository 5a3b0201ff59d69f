import type { Clock, Timer } from '../../base/clock.js';

/** When a response that the peer must confirm is sent again, and for how long. Milliseconds. */
export interface Repetition {
  readonly first: number;
  /** Intervals double up to this. */
  readonly cap: number;
  readonly total: number;
}

/**
 * Sends a response again until the peer confirms it: a 2xx to INVITE until its ACK (RFC 3261 §13.3.1.4), a reliable
 * provisional response until its PRACK (RFC 3262 §3).
 */
export class Repeated {
  readonly #clock: Clock;
  readonly #repetition: Repetition;
  readonly #sendAgain: () => void;
  readonly #onTimeout: () => void;
  #again: Timer | undefined;
  #end: Timer | undefined;

  constructor(clock: Clock, repetition: Repetition, sendAgain: () => void, onTimeout: () => void) {
    this.#clock = clock;
    this.#repetition = repetition;
    this.#sendAgain = sendAgain;
    this.#onTimeout = onTimeout;
  }

  /** It has been sent for the first time. */
  start(): void {
    this.#wait(this.#repetition.first);
    this.#end = this.#clock.after(this.#repetition.total, () => {
      this.stop();
      this.#onTimeout();
    });
  }

  /** The peer has confirmed, or it does not matter any more. */
  stop(): void {
    this.#again?.cancel();
    this.#end?.cancel();
  }

  #wait(ms: number): void {
    this.#again = this.#clock.after(ms, () => {
      this.#sendAgain();
      this.#wait(Math.min(ms * 2, this.#repetition.cap));
    });
  }
}
