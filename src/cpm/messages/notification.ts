import { randomUUID } from 'node:crypto';
import { formatImdn, IMDN_TYPE, imdnRequestOf } from '../../msrp/imdn.js';
import { CpimHead, formatCpim, IMDN_NAMESPACE, readCpimHead } from '../../msrp/cpim/index.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import type { DeferredMessage } from './deferred-store.js';
import { isNotification } from './imdns.js';

type Lost = Pick<DeferredMessage, 'headers' | 'body' | 'sender' | 'recipient' | 'receivedAt'>;

/**
 * A message/cpim with the notification that a message was not delivered (RFC 5438 §7.2.1.2).
 * @param now milliseconds since the epoch.
 * @returns undefined when the sender did not ask for it.
 */
export function failedNotification(lost: Lost, now: number): Buffer | undefined {
  const asked = imdnRequestOf(headOf(lost) ?? noHead);
  return asked?.negativeDelivery === true ? notification(lost, asked.messageId, now) : undefined;
}

/**
 * The same for a message that had been acknowledged: it comes unasked too, with the identifiers of the conversation, and names a
 * message without imdn.Message-ID by its Contribution-ID.
 * @returns undefined when the message is a notification itself.
 */
export function lossNotification(
  lost: Lost,
  now: number,
): { readonly headers: HeaderMap; readonly body: Buffer } | undefined {
  const head = headOf(lost);
  if (head && isNotification(head)) return undefined;
  const [contribution, conversation] = [valueOf(lost, 'Contribution-ID'), valueOf(lost, 'Conversation-ID')];
  const messageId = (head && imdnRequestOf(head)?.messageId) ?? contribution;
  if (messageId === undefined) return undefined;
  return {
    headers: {
      'Contribution-ID': randomUUID(),
      ...(contribution === undefined ? {} : { 'InReplyTo-Contribution-ID': contribution }),
      ...(conversation === undefined ? {} : { 'Conversation-ID': conversation }),
    },
    body: notification(lost, messageId, now),
  };
}

function notification(lost: Lost, messageId: string, now: number): Buffer {
  const { sender, recipient, receivedAt } = lost;
  const imdn = formatImdn({
    messageId,
    dateTime: headOf(lost)?.value('DateTime') ?? new Date(receivedAt).toISOString(),
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

const noHead = new CpimHead([], [], 0);

const valueOf = ({ headers }: Lost, wanted: string): string | undefined =>
  headers.find(([name]) => name === wanted)?.[1];

/** The header sections of a message/cpim, which was checked when it came. */
function headOf(lost: Lost): CpimHead | undefined {
  if (!/^\s*message\/cpim/i.test(valueOf(lost, 'Content-Type') ?? '')) return undefined;
  const { body } = lost;
  return readCpimHead(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
}
