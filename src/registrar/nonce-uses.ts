import type { Clock, Timer } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { NonceUses } from '../sip/auth/nonce.js';
import { table, type Store } from '../store/store.js';

/** The highest count with which a nonce was used. */
const counts = table<number>('nonce-counts');

/** Clocks of nodes may be apart by so much: a nonce that is expired at one of them may be good at another. */
const SKEW_MS = 60_000;
const SWEEP_MS = 10_000;
const SWEEP_BATCH = 500;

interface Parts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Counts, in the store, the use of nonces that clients bring to several nodes (RFC 7616 §3.4, `nc`), until they have expired at all of them. */
export class StoredNonceUses implements NonceUses {
  readonly #parts: Parts;
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#scheduleSweep();
  }

  /** @throws ParleyError `store-unavailable` */
  spend(nonce: string, count: number, expiresAt: number): Promise<boolean> {
    const put = { kind: 'put', value: count, deadline: expiresAt + SKEW_MS, result: true } as const;
    return this.#parts.store.update(counts, nonce, (current) =>
      current !== undefined && count <= current ? { kind: 'keep', result: false } : put,
    );
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #scheduleSweep(): void {
    const { clock, log } = this.#parts;
    this.#timer = clock.after(SWEEP_MS, () => {
      void this.#sweep()
        .catch((error: unknown) => log.error({ err: error }, 'counts of expired nonces stay for now'))
        .finally(() => {
          if (!this.#closed) this.#scheduleSweep();
        });
    });
  }

  async #sweep(): Promise<void> {
    const { store, clock } = this.#parts;
    for (;;) {
      const due = await store.due(counts, clock.now(), SWEEP_BATCH);
      await Promise.all(
        due.map((nonce) => store.update(counts, nonce, () => ({ kind: 'remove', result: undefined }))),
      );
      if (due.length < SWEEP_BATCH || this.#closed) return;
    }
  }
}
