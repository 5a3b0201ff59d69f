import type { SipRequest } from '../sip/message/message.js';

/** Header field that counts the gateways a message came through. */
export const HOPS = 'Parley-Gateway-Hops';
/** A message that crosses from one side to the other and back is still right; one that does it twice goes in a circle. */
const MAX_HOPS = 2;
/** Messages remembered, and thereby the work of one circle. */
const REMEMBERED = 10_000;

/**
 * Ends circles between gateways: by the number of gateways that a message came through, and by its Message-ID, which stays the same
 * all the way, where another gateway takes the count away.
 */
export class LoopGuard {
  readonly #seen = new Set<string>();

  /** Gateways that a request came through. */
  hops(request: SipRequest): number {
    return request.number(HOPS) ?? 0;
  }

  /**
   * Whether a message goes in a circle: sent on to the same address again, or by too many gateways.
   * @param id the message's own identifier; undefined counts hops alone.
   */
  circles(hops: number, id: string | undefined, address: string): boolean {
    if (hops >= MAX_HOPS) return true;
    if (id === undefined) return false;
    const key = `${id}\n${address}`;
    if (this.#seen.has(key)) return true;
    this.#seen.add(key);
    if (this.#seen.size > REMEMBERED) for (const oldest of this.#seen) return !this.#seen.delete(oldest);
    return false;
  }
}
