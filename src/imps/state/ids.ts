import { randomBytes, randomInt } from 'node:crypto';
import type { Clock } from '../../base/clock.js';

const radix = (value: number, width: number): string => value.toString(36).padStart(width, '0');

/**
 * Identifiers that sort in the order they were made: milliseconds, a counter, and the node's own mark, so that two
 * nodes never make the same. Letters and digits only, 17 characters.
 */
export class Sequence {
  readonly #clock: Clock;
  readonly #node = radix(randomInt(36 ** 4), 4);
  #last = 0;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  next(): string {
    const now = Math.max(this.#clock.now(), this.#last);
    if (now === this.#last) this.#count++;
    else {
      this.#last = now;
      this.#count = 0;
    }
    return radix(now, 9) + radix(this.#count, 4) + this.#node;
  }
}

/** An identifier that cannot be guessed: 128 random bits in letters and digits of a blank-separated CIR line. */
export const unguessable = (): string => randomBytes(16).toString('hex');
