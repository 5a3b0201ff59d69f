import type { Trail } from '../../base/trail.js';
import type { SipRequest } from '../message/message.js';

export interface OverloadLimits {
  /** Queueing delay in milliseconds above which new requests are refused. */
  readonly delayMs: number;
  /** Readings in a row below half that delay after which they are taken again. */
  readonly calmReadings: number;
  /** Seconds that a refused client is told to wait: drawn between these, so that not all come back at once. */
  readonly retryAfter: readonly [from: number, to: number];
}

export const defaultOverloadLimits: OverloadLimits = { delayMs: 250, calmReadings: 5, retryAfter: [1, 5] };

/**
 * Decides from readings of the queueing delay whether new requests are let in. Between the two thresholds nothing
 * changes, so that a server at its limit does not flap.
 */
export class Overload {
  readonly #limits: OverloadLimits;
  readonly #trail: Trail;
  #active = false;
  #calm = 0;
  #refused = 0;
  #delay = 0;

  constructor(limits: Partial<OverloadLimits>, trail: Trail) {
    this.#limits = { ...defaultOverloadLimits, ...limits };
    this.#trail = trail;
  }

  /** True while new requests are refused. */
  get active(): boolean {
    return this.#active;
  }

  /** Requests refused since start. */
  get refused(): number {
    return this.#refused;
  }

  /** The last reading, in milliseconds. */
  get delay(): number {
    return this.#delay;
  }

  /**
   * Takes one reading of how long requests wait before they are looked at, in milliseconds.
   * @returns whether more readings are wanted even if nothing comes.
   */
  reading(delay: number): boolean {
    this.#delay = delay;
    const { delayMs, calmReadings } = this.#limits;
    if (!this.#active) {
      if (delay > delayMs) this.#begin(delay);
    } else {
      this.#calm = delay < delayMs / 2 ? this.#calm + 1 : 0;
      if (this.#calm >= calmReadings) this.#end();
    }
    return this.#active;
  }

  /** Whether this request, which belongs to no transaction yet and is neither ACK nor CANCEL, is refused; counts it if so. */
  refuses(request: SipRequest): boolean {
    // what belongs to a dialog goes on, and nobody is kept from an emergency call (RFC 5031)
    if (!this.#active || request.toTag !== undefined || request.uri.startsWith('urn:service:sos'))
      return false;
    this.#refused++;
    return true;
  }

  /** Seconds for Retry-After. @param random from 0 up to but not including 1, the same for a retransmission. */
  retryAfter(random: number): number {
    const [from, to] = this.#limits.retryAfter;
    return from + Math.floor(random * (to - from + 1));
  }

  #begin(delay: number): void {
    this.#active = true;
    this.#calm = 0;
    this.#note('sip.overload-began', 'refused', `requests wait ${Math.round(delay)} ms`);
  }

  #end(): void {
    this.#active = false;
    this.#note('sip.overload-ended', 'noted', `${this.#refused} requests refused since start`);
  }

  #note(code: string, outcome: 'refused' | 'noted', detail: string): void {
    this.#trail.record({ code, outcome, clause: 'RFC 3261 §21.5.4', detail });
  }
}
