import { ParleyError } from '../../base/errors.js';
import type { CpimHead } from '../../msrp/cpim/index.js';
import { isImdn, isImdnAggregate, parseImdn, type Imdn } from '../../msrp/imdn.js';
import { parseMultipart } from '../../sip/message/multipart.js';

/** Whether a message is a disposition notification, or several that a list server put together (RFC 5438 §8.3). */
export const isNotification = (head: CpimHead): boolean => isImdn(head) || isImdnAggregate(head);

/**
 * The notifications in a message; none in what is no notification.
 * @throws ParleyError `imdn-malformed`
 */
export function imdnsIn(head: CpimHead, content: Uint8Array): Imdn[] {
  if (isImdn(head)) return [parseImdn(content)];
  if (!isImdnAggregate(head)) return [];
  try {
    return parseMultipart(content, head.mime('Content-Type')!).map(({ body }) => parseImdn(body));
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error;
    throw new ParleyError('imdn-malformed', error.message);
  }
}
