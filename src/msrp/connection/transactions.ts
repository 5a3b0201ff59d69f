import type { Clock, Timer } from '../../base/clock.js';

/** How long a hop has for its response (RFC 4975 §7.1.1), milliseconds. */
export const TRANSACTION_TIMEOUT_MS = 30_000;

/** Who sent a request that may be answered. */
export interface ClientTransaction<R> {
  /** A response came, or none in time: then the status is 408 and there is no response (RFC 4975 §10.4). */
  answered(status: number, response: R | undefined): void;
}

interface Entry<R> {
  readonly transaction: ClientTransaction<R>;
  deadline: number;
}

/**
 * Requests of one connection that wait for their responses, by transaction identifier. All wait equally long, so
 * the order in which they were sent is the order of their deadlines and one timer is enough.
 */
export class TransactionTable<R> {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Entry<R>>();
  #timer: Timer | undefined;
  #suspended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** A request has begun; an error may be answered before it ends. */
  begin(id: string, transaction: ClientTransaction<R>): void {
    this.#waiting.set(id, { transaction, deadline: Infinity });
  }

  /** Its last octet was handed to the socket: the time runs. */
  sent(id: string): void {
    const entry = this.#waiting.get(id);
    if (!entry) return;
    this.#waiting.delete(id);
    entry.deadline = this.#clock.now() + TRANSACTION_TIMEOUT_MS;
    this.#waiting.set(id, entry);
    this.#arm();
  }

  /** @returns false when nobody waits for such a response. */
  answer(id: string, status: number, response: R): boolean {
    const entry = this.#waiting.get(id);
    if (!entry) return false;
    this.#waiting.delete(id);
    entry.transaction.answered(status, response);
    return true;
  }

  /** While we do not read, responses cannot arrive, and their absence says nothing. */
  suspend(): void {
    this.#suspended = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  resume(): void {
    this.#suspended = false;
    const deadline = this.#clock.now() + TRANSACTION_TIMEOUT_MS;
    for (const entry of this.#waiting.values()) {
      if (entry.deadline !== Infinity) entry.deadline = deadline;
    }
    this.#arm();
  }

  /** Ends everything without an answer. */
  clear(): void {
    this.#waiting.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    if (this.#timer || this.#suspended) return;
    for (const { deadline } of this.#waiting.values()) {
      if (deadline === Infinity) continue;
      this.#timer = this.#clock.after(deadline - this.#clock.now(), () => this.#expire());
      return;
    }
  }

  #expire(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    for (const [id, { transaction, deadline }] of this.#waiting) {
      if (deadline === Infinity) continue;
      if (deadline > now) break;
      this.#waiting.delete(id);
      transaction.answered(408, undefined);
    }
    this.#arm();
  }
}
