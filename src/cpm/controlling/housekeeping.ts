import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { Store } from '../../store/store.js';
import type { Groups } from './groups.js';
import { removeExpired, removeMessages, type ExpiredMessage } from './message-log.js';

const EVERY_MS = 1_000;
const BATCH = 200;

interface Parts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
  readonly store: Store;
  readonly groups: Groups;
  /** A message that waited too long for some members. */
  expired(message: ExpiredMessage): void;
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
    const { groups, trail, store, clock } = this.#parts;
    for (const message of await removeExpired(store, clock.now(), BATCH)) this.#parts.expired(message);
    for (const { id, uri, contributionId } of await groups.sweep(BATCH)) {
      await removeMessages(store, id);
      trail.record({
        code: 'group.expired',
        outcome: 'noted',
        clause: 'RFC 4353 §5.2',
        subject: uri,
        trace: contributionId,
      });
    }
  }
}
