import type { Clock } from '../../base/clock.js';
import type { Store } from '../../store/store.js';
import type { UserId } from '../address/wv-address.js';
import { attempts, clients, keyOf, type AttemptsRecord } from '../state/records.js';

export interface GuessLimits {
  /** Wrong secrets from one address for one user. */
  readonly failureLimit: number;
  /** Wrong secrets for one user from everywhere. */
  readonly userFailureLimit: number;
  /** Seconds for which they count. */
  readonly failureWindow: number;
}

/**
 * Limits how often secrets are tried: by user and address, and by user from everywhere, where an address that a client
 * of the user logged in from before is still let in, so that nobody is locked out of a phone of his own. An attempt
 * counts from when it begins, so that many at once are not more than many in turn.
 */
export class Guesses {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #limits: GuessLimits;
  readonly #running = new Map<string, number>();

  constructor(store: Store, clock: Clock, limits: GuessLimits) {
    this.#store = store;
    this.#clock = clock;
    this.#limits = limits;
  }

  /**
   * @param attempt compares a secret
   * @returns what the attempt gives, `wrong` included, or `too-many` without having made it
   */
  async limit<T>(
    user: UserId,
    address: string,
    attempt: () => Promise<T | 'wrong'>,
  ): Promise<T | 'wrong' | 'too-many'> {
    const { failureLimit, userFailureLimit } = this.#limits;
    const [here, anywhere] = [keyOf(user, address), keyOf(user, '')];
    const [failedHere, failed] = await Promise.all([this.#failures(here), this.#failures(anywhere)]);
    const full = failed + this.#count(anywhere) >= userFailureLimit && !(await this.#isOwn(user, address));
    if (full || failedHere + this.#count(here) >= failureLimit) return 'too-many';
    for (const key of [here, anywhere]) this.#running.set(key, this.#count(key) + 1);
    try {
      const outcome = await attempt();
      if (outcome === 'wrong') await Promise.all([here, anywhere].map((key) => this.#failed(key)));
      return outcome;
    } finally {
      for (const key of [here, anywhere]) this.#end(key);
    }
  }

  #count = (key: string): number => this.#running.get(key) ?? 0;

  #end(key: string): void {
    const left = this.#count(key) - 1;
    if (left > 0) this.#running.set(key, left);
    else this.#running.delete(key);
  }

  async #failures(key: string): Promise<number> {
    const known = await this.#store.get(attempts, key);
    return known && this.#counts(known) ? known.failures : 0;
  }

  #counts = ({ since }: AttemptsRecord): boolean =>
    this.#clock.now() < since + this.#limits.failureWindow * 1000;

  async #failed(key: string): Promise<void> {
    const now = this.#clock.now();
    await this.#store.update(attempts, key, (current) => {
      const { failures, since } = current && this.#counts(current) ? current : { failures: 0, since: now };
      const value = { failures: failures + 1, since };
      const deadline = since + this.#limits.failureWindow * 1000;
      return { kind: 'put', value, deadline, result: undefined };
    });
  }

  async #isOwn(user: UserId, address: string): Promise<boolean> {
    for await (const { value } of this.#store.scan(clients, { prefix: keyOf(user, '') }))
      if (value.remoteAddress === address) return true;
    return false;
  }
}
