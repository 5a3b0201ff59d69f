import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { Groups } from './groups.js';

const EVERY_MS = 1_000;
const BATCH = 200;

/** Removes groups whose time is over. */
export class Housekeeping {
  readonly #parts: { clock: Clock; log: Logger; trail: Trail; groups: Groups };
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: { clock: Clock; log: Logger; trail: Trail; groups: Groups }) {
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
    const { groups, trail } = this.#parts;
    for (const { uri, contributionId } of await groups.sweep(BATCH))
      trail.record({
        code: 'group.expired',
        outcome: 'noted',
        clause: 'RFC 4353 §5.2',
        subject: uri,
        trace: contributionId,
      });
  }
}
