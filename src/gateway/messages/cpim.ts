import type { MessageRecord } from '../../imps/index.js';
import { formatCpim, IMDN_NAMESPACE } from '../../msrp/cpim/index.js';
import { toMime } from './content.js';

/**
 * A phone's message as message/cpim (RFC 3862, RFC 5438 §6).
 * @param asks value of Disposition-Notification
 * @throws ParleyError `gateway-charset`
 */
export function cpimOf(
  message: MessageRecord,
  {
    id,
    from,
    to,
    asks,
  }: {
    readonly id: string;
    readonly from: string;
    readonly to: string;
    readonly asks?: string | undefined;
  },
): Buffer {
  const mime = toMime(message);
  const fields: [string, string][] = [['Message-ID', id]];
  if (asks !== undefined) fields.push(['Disposition-Notification', asks]);
  return formatCpim({
    from: { name: '', uri: from },
    to: [{ name: '', uri: to }],
    dateTime: new Date(message.sentAt).toISOString(),
    namespaces: { imdn: { uri: IMDN_NAMESPACE, fields } },
    mime: [['Content-Type', mime.type]],
    content: mime.octets,
  });
}
