import type { Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { expireMessages, type ExpiryParts } from './expiry.js';
import { removeMessages } from './message-log.js';

const EVERY_MS = 1_000;
const BATCH = 200;

interface Parts extends ExpiryParts {
  readonly log: Logger;
  readonly trail: Trail;
}

/** Removes groups, and messages that wait in them, whose time is over. */
export class Housekeeping {
  readonly #parts: Parts;
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    const { clock, log } = this.#parts;
    this.#timer = clock.after(EVERY_MS, () => {
      void this.#turn()
        .catch((error: unknown) =>
          log.error({ err: error }, 'groups whose time is over stay; it is tried again'),
        )
        .finally(() => {
          if (!this.#closed) this.#schedule();
        });
    });
  }

  async #turn(): Promise<void> {
    const { groups, trail, store } = this.#parts;
    await expireMessages(this.#parts, BATCH);
    for (const { id, uri, contributionId } of await groups.sweep(BATCH)) {
      await removeMessages(store, id);
      trail.record({
        code: 'group.expired',
        outcome: 'noted',
        clause: 'RFC 4353 §5.4',
        subject: uri,
        trace: contributionId,
      });
    }
  }
}
