import { randomBytes } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { serialize } from '../message/serialize.js';
import type { Via } from '../message/via.js';
import { stampVia } from '../transport/stamp.js';
import type { SendDone, Way } from '../transport/way.js';
import { makeResponse } from './derived.js';
import type { Overload } from './overload.js';

/** Characters of a reason phrase that repeats what the parser said. */
const MAX_REASON = 160;

/**
 * What is answered without a transaction (RFC 3261 §8.2.7): malformed requests, and new ones that come while there are
 * too many. A retransmission gets the same response, and the ACK to one of them is known by its To tag.
 */
export class StatelessServer {
  /** 72 random bits, which make our tags unlike any others (RFC 3261 §19.3). */
  readonly #prefix = randomBytes(9).toString('hex');
  readonly #overload: Overload;
  readonly #sent: SendDone;

  constructor(overload: Overload, sent: SendDone) {
    this.#overload = overload;
    this.#sent = sent;
  }

  /** A To tag of our own for that request. */
  toTag(request: SipRequest): string {
    return this.#prefix + fingerprint(request).toString(36);
  }

  /** Whether that is a tag of ours: an ACK with it ends nothing. */
  answeredWith(tag: string | undefined): boolean {
    return tag !== undefined && tag.startsWith(this.#prefix);
  }

  answer(request: SipRequest, way: Way, status: number, reason: string): void {
    const via = viaOf(request);
    const octets = serialize(this.#build(request, way, via, status, reason));
    // without a readable Via the only way back is the one it came
    if (via) way.reply(octets, via, this.#sent);
    else way.send(octets, this.#sent);
  }

  /**
   * While there is overload, refuses a request that begins something. No trail event is made, because this has to
   * cost less than what it spares.
   * @returns whether the request was refused.
   */
  refusesOverload(request: SipRequest, way: Way): boolean {
    if (!this.#overload.refuses(request)) return false;
    const { via } = request;
    const wait = this.#overload.retryAfter(fingerprint(request) / 2 ** 32);
    const response = this.#build(request, way, via, 503, 'Service Unavailable');
    response.headers.push('retry-after', 'Retry-After', String(wait));
    way.reply(serialize(response), via, this.#sent);
    return true;
  }

  #build(request: SipRequest, way: Way, via: Via | undefined, status: number, reason: string): SipResponse {
    const tag = this.toTag(request);
    if (via) stampVia(request, via, way);
    return makeResponse(request, status, tag, reason.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_REASON));
  }
}

/** A number below 2**32 that a request and its retransmissions have in common (FNV-1a of what identifies it). */
function fingerprint(request: SipRequest): number {
  let hash = 0x811c_9dc5;
  for (const key of ['via', 'from', 'call-id', 'cseq']) {
    const text = request.headers.getByKey(key) ?? '';
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  }
  return (Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b) ^ (hash >>> 13)) >>> 0;
}

/** The topmost Via of a malformed request, if that at least can be read. */
function viaOf(request: SipRequest): Via | undefined {
  try {
    return request.via;
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}
