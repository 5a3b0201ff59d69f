import type { Clock } from '../../base/clock.js';

/**
 * Lets so many work at once; the others wait in the order in which they came. Who works longer than `patienceMs` is not counted any
 * more, so that a peer who does not answer keeps nobody waiting.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #atOnce: number;
  readonly #patienceMs: number;
  readonly #waiting: (() => void)[] = [];
  #working = 0;

  constructor(clock: Clock, atOnce: number, patienceMs: number) {
    this.#clock = clock;
    this.#atOnce = atOnce;
    this.#patienceMs = patienceMs;
  }

  /** Works when it is its turn. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#working < this.#atOnce) this.#working++;
    // whose turn ends hands it on
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#working--;
    };
    const timer = this.#clock.after(this.#patienceMs, end);
    try {
      return await work();
    } finally {
      timer.cancel();
      end();
    }
  }
}
