import type { Clock, Timer } from '../../base/clock.js';
import type { ChainPosition } from '../original-dialog.js';

const MAX_KNOWN = 100_000;
/** As long as a request may be on its way: Timer C with room. */
const LIFETIME_MS = 200_000;

/**
 * Requests that services here started themselves and gave to the core. The core may ask for its services again, us among them:
 * then they go on after the service that made them, by their Call-ID.
 */
export class OwnRequests {
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly position: ChainPosition; readonly timer: Timer }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(callId: string, position: ChainPosition): void {
    this.#remove(callId);
    const oldest = this.#known.size < MAX_KNOWN ? undefined : this.#known.keys().next().value;
    if (oldest !== undefined) this.#remove(oldest);
    this.#known.set(callId, {
      position,
      timer: this.#clock.after(LIFETIME_MS, () => this.#known.delete(callId)),
    });
  }

  /** Where the request was when it left; undefined when it is not ours. */
  positionOf(callId: string): ChainPosition | undefined {
    return this.#known.get(callId)?.position;
  }

  close(): void {
    for (const callId of [...this.#known.keys()]) this.#remove(callId);
  }

  #remove(callId: string): void {
    this.#known.get(callId)?.timer.cancel();
    this.#known.delete(callId);
  }
}
