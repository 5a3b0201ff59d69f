import type { InboundRequest } from './inbound.js';

/** Seconds after which a refused client may try again: spread, so that they do not all come back at once. */
const RETRY_AFTER = { draining: [30, 60], overloaded: [1, 5] } as const;

/** Lets new requests in, or not. What belongs to a dialog or a call that runs always passes. */
export class Gate {
  readonly #overloaded: () => boolean;
  #draining = false;

  /** @param overloaded asked for every new request. */
  constructor(overloaded: () => boolean) {
    this.#overloaded = overloaded;
  }

  /** No new requests from now on. */
  close(): void {
    this.#draining = true;
  }

  get reason(): 'draining' | 'overloaded' {
    return this.#draining ? 'draining' : 'overloaded';
  }

  get retryAfter(): number {
    const [from, to] = RETRY_AFTER[this.reason];
    return from + Math.trunc(Math.random() * (to - from + 1));
  }

  refuses(request: InboundRequest): boolean {
    return (this.#draining || this.#overloaded()) && request.toTag === undefined;
  }
}
