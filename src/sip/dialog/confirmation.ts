import type { Clock } from '../../base/clock.js';
import type { TransactionTimers } from '../transaction/layer.js';
import { Repeated } from './repeated.js';

/** Our 2xx to an INVITE on its way to its ACK (RFC 3261 §13.3.1.4): sent again, and waited for. */
export class Confirmation {
  readonly #clock: Clock;
  readonly #timers: TransactionTimers;
  #pending: { readonly sequence: number; readonly repeated: Repeated } | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Clock, timers: TransactionTimers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  get pending(): boolean {
    return this.#pending !== undefined;
  }

  /**
   * The 2xx has been sent for the first time.
   * @param sequence CSeq number of the INVITE.
   * @param onTimeout no ACK came for 64·T1.
   */
  start(sequence: number, sendAgain: () => void, onTimeout: () => void): void {
    const { t1, t2 } = this.#timers;
    const repeated = new Repeated(this.#clock, { first: t1, cap: t2, total: 64 * t1 }, sendAgain, () => {
      this.settle();
      onTimeout();
    });
    this.#pending = { sequence, repeated };
    repeated.start();
  }

  /** @returns whether an ACK with that CSeq number is the one that is waited for. */
  isFor(sequence: number): boolean {
    return this.#pending?.sequence === sequence;
  }

  /** The ACK has come, or does not matter any more. */
  settle(): void {
    this.#pending?.repeated.stop();
    this.#pending = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when nothing is pending: neither BYE nor INVITE may be sent before (RFC 3261 §14.1, §15). */
  settled(): Promise<void> {
    return this.#pending ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
  }
}
