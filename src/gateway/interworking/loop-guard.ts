import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { SipRequest } from '../../sip/message/message.js';
import '../errors.js';

/** Times that one message may pass on its way to one address: its sender may send it again when it did not hear of it. */
const PASSES = 3;
/** How long a passage is remembered, milliseconds. */
const REMEMBER_MS = 600_000;
/** Passages that are remembered at once. */
const MOST = 20_000;

/**
 * Keeps a message from going in a circle between gateways, each of which makes a new request of it: the hops that it may take go
 * over into the new request (RFC 7332 §3), and a message that passes again and again is stopped where its hops are not counted.
 */
export class LoopGuard {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #passed = new Map<string, { count: number; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param id Message-ID or Contribution-ID
   * @returns Max-Forwards of the request that it goes on in
   * @throws ParleyError `gateway-hops`, `gateway-loop`
   */
  pass(request: SipRequest, id: string, to: string): number {
    const hops = request.number('Max-Forwards') ?? 70;
    if (hops < 1) throw new ParleyError('gateway-hops');
    this.#forget();
    const key = `${id}\t${to}`;
    const known = this.#passed.get(key);
    if (known) known.count++;
    else this.#passed.set(key, { count: 1, until: this.#clock.now() + REMEMBER_MS });
    if (known && known.count > PASSES) throw new ParleyError('gateway-loop');
    return hops - 1;
  }

  #forget(): void {
    const now = this.#clock.now();
    for (const [key, { until }] of this.#passed) {
      if (until > now && this.#passed.size < MOST) return;
      this.#passed.delete(key);
    }
  }
}
