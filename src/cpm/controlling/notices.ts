import { failedNotification } from '../messages/notification.js';
import type { StoredMessage } from './message-log.js';

/**
 * What tells the sender of a message that a member did not get it (RFC 5438 §8.2).
 * @param shown the member, as others know it.
 * @returns undefined when the sender did not ask for it.
 */
export function failureNotice(
  { from, octets, receivedAt }: Pick<StoredMessage, 'from' | 'octets' | 'receivedAt'>,
  shown: string,
  now: number,
): Buffer | undefined {
  return failedNotification(
    { headers: [['Content-Type', 'message/cpim']], body: octets, sender: from, recipient: shown, receivedAt },
    now,
  );
}
