import { randomUUID } from 'node:crypto';
import { formatImdn, IMDN_TYPE, imdnRequestOf } from '../../msrp/imdn.js';
import { formatCpim, IMDN_NAMESPACE, parseCpim } from '../../msrp/cpim/index.js';
import type { DeferredMessage } from './deferred-store.js';

/**
 * A message/cpim with the notification that a message was not delivered (RFC 5438 §7.2.1.2).
 * @param now milliseconds since the epoch.
 * @returns undefined when the sender did not ask for it.
 */
export function failedNotification(
  {
    headers,
    body,
    sender,
    recipient,
    receivedAt,
  }: Pick<DeferredMessage, 'headers' | 'body' | 'sender' | 'recipient' | 'receivedAt'>,
  now: number,
): Buffer | undefined {
  const type = headers.find(([name]) => name === 'Content-Type')?.[1] ?? '';
  if (!/^\s*message\/cpim/i.test(type)) return undefined;
  const { head } = parseCpim(body);
  const asked = imdnRequestOf(head);
  if (!asked?.negativeDelivery) return undefined;
  const imdn = formatImdn({
    messageId: asked.messageId,
    dateTime: head.value('DateTime') ?? new Date(receivedAt).toISOString(),
    recipientUri: recipient,
    originalRecipientUri: recipient,
    kind: 'delivery',
    status: 'failed',
  });
  return formatCpim({
    from: { name: '', uri: recipient },
    to: [{ name: '', uri: sender }],
    dateTime: new Date(now).toISOString(),
    namespaces: { imdn: { uri: IMDN_NAMESPACE, fields: [['Message-ID', randomUUID()]] } },
    mime: [
      ['Content-Type', IMDN_TYPE],
      ['Content-Disposition', 'notification'],
    ],
    content: Buffer.from(imdn),
  });
}
