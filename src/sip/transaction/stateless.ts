import { randomBytes } from 'node:crypto';
import type { SipRequest } from '../message/message.js';

/**
 * To tags of responses that the stack gives by itself: the same for each retransmission of a request, which a
 * stateless UAS owes (RFC 3261 §8.2.7), and to be known again in the ACK that follows.
 */
export class StatelessTags {
  /** 72 random bits, which make the tag unlike any other (RFC 3261 §19.3). */
  readonly #prefix = randomBytes(9).toString('hex');

  make(request: SipRequest): string {
    return this.#prefix + fingerprint(request).toString(36);
  }

  isOurs(tag: string | undefined): boolean {
    return tag !== undefined && tag.startsWith(this.#prefix);
  }
}

/** A number below 2**32 that a request and its retransmissions have in common (FNV-1a of what identifies it). */
export function fingerprint(request: SipRequest): number {
  let hash = 0x811c_9dc5;
  for (const key of ['via', 'from', 'call-id', 'cseq']) {
    const text = request.headers.getByKey(key) ?? '';
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  }
  return (Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b) ^ (hash >>> 13)) >>> 0;
}
