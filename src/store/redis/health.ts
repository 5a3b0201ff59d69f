import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { ParleyError } from '../../base/errors.js';
import { storeError } from '../errors.js';

/** An answer that takes longer is not waited for. Redis may still do what it was asked. */
export const answerMs = 2000;

/**
 * Bounds how long callers wait, and knows whether Redis works: per shard, since one node of a cluster may fail alone.
 * A shard that owes answers for too long gets no more commands until one comes.
 */
export class Health {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #failures = new Map<number, string>();
  readonly #silent = new Set<number>();
  #down: string | undefined;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Why Redis does not work; undefined when it does. */
  get trouble(): string | undefined {
    return this.#down ?? this.#failures.values().next().value;
  }

  isTroubled(shard: number): boolean {
    return this.#failures.has(shard);
  }

  connectionLost(reason: string): void {
    if (this.#down === undefined) this.#log.error({ reason }, 'the connection to Redis is lost');
    this.#down = `redis: ${reason}`;
  }

  connectionMade(): void {
    if (this.#down !== undefined) this.#log.info({}, 'there is a connection to Redis again');
    this.#down = undefined;
  }

  /**
   * Waits for an answer, but not for long.
   * @throws ParleyError `store-unavailable`, whatever the reason.
   */
  async answer<T>(shard: number, send: () => Promise<T>): Promise<T> {
    if (this.#silent.has(shard)) throw storeError('store-unavailable', this.#failures.get(shard));
    let timer: Timer | undefined;
    let settled = false;
    const late = new Promise<never>((_, reject) => {
      const tooLate = (): void => {
        if (settled) return;
        this.#silent.add(shard);
        reject(new Error(`no answer within ${answerMs} ms`));
      };
      // a process that stood still has answers that it has not read
      timer = this.#clock.after(answerMs, () => setImmediate(tooLate));
    });
    try {
      return await Promise.race([this.#send(shard, send), late]);
    } catch (error) {
      throw this.failed(shard, error);
    } finally {
      settled = true;
      timer?.cancel();
    }
  }

  /** A write has worked, and so do others. */
  worked(shard: number): void {
    if (!this.#failures.delete(shard)) return;
    if (this.#failures.size === 0) this.#log.info({}, 'Redis works again');
  }

  failed(shard: number, error: unknown): ParleyError {
    const reason = `redis: ${error instanceof Error ? error.message || error.name : String(error)}`;
    if (this.#failures.size === 0) this.#log.error({ err: error }, 'Redis does not work');
    this.#failures.set(shard, reason);
    return storeError('store-unavailable', reason, error);
  }

  async #send<T>(shard: number, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } finally {
      // an answer, even one that is too late for its caller, or the end of the connection
      this.#silent.delete(shard);
    }
  }
}
