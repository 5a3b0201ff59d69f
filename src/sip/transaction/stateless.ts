import { createHash, randomBytes } from 'node:crypto';
import type { SipRequest } from '../message/message.js';

/**
 * To tags of responses that the stack gives by itself: the same for each retransmission of a request, which a
 * stateless UAS owes (RFC 3261 §8.2.7), and to be known again in the ACK that follows.
 */
export class StatelessTags {
  readonly #prefix = randomBytes(6).toString('base64url').replaceAll('_', '.') + '~';

  make(request: SipRequest): string {
    const parts = ['Via', 'From', 'Call-ID', 'CSeq'].map((name) => request.headers.get(name) ?? '');
    const hash = createHash('sha1').update(this.#prefix).update(parts.join('\n')).digest('base64url');
    return this.#prefix + hash.slice(0, 12).replaceAll('_', '.');
  }

  isOurs(tag: string | undefined): boolean {
    return tag !== undefined && tag.startsWith(this.#prefix);
  }
}
