import { IMDN_NAMESPACE, type CpimHead } from './cpim/index.js';
import { msrpError } from './errors.js';
import { childText, escapeXml, firstChild, parseSmallXml, type XmlValue } from './xml.js';

const NAMESPACE = 'urn:ietf:params:xml:ns:imdn';
/** Media type of the document (RFC 5438 §11.1.8). */
export const IMDN_TYPE = 'message/imdn+xml';

/** What may be reported (RFC 5438 §11.1.7), by what it is about. */
const statuses = {
  delivery: ['delivered', 'failed', 'forbidden', 'error'],
  display: ['displayed', 'forbidden', 'error'],
  processing: ['processed', 'stored', 'forbidden', 'error'],
} as const;

export type ImdnKind = keyof typeof statuses;
export type ImdnStatus = (typeof statuses)[ImdnKind][number];

/** An instant message disposition notification (RFC 5438 §11.1). */
export interface Imdn {
  /** The Message-ID of the message reported about. */
  readonly messageId: string;
  /** When that message was sent, as its DateTime said. */
  readonly dateTime: string;
  readonly recipientUri?: string | undefined;
  readonly originalRecipientUri?: string | undefined;
  readonly subject?: string | undefined;
  readonly kind: ImdnKind;
  readonly status: ImdnStatus;
}

/** What the sender of a message wants to hear of it (RFC 5438 §6.2). */
export interface ImdnRequest {
  readonly messageId: string;
  readonly positiveDelivery: boolean;
  readonly negativeDelivery: boolean;
  readonly processing: boolean;
  readonly display: boolean;
  /** Where notifications go, topmost last added; values of IMDN-Record-Route (RFC 5438 §8.1). */
  readonly recordRoutes: readonly string[];
  readonly originalTo: string | undefined;
}

/**
 * The request for notifications in a message; undefined when it has no Message-ID.
 * A message that is itself a notification asks for none (RFC 5438 §7.2.1).
 */
export function imdnRequestOf(head: CpimHead): ImdnRequest | undefined {
  const messageId = head.value('Message-ID', IMDN_NAMESPACE);
  if (messageId === undefined) return undefined;
  const wanted = new Set(
    isImdn(head) || isImdnAggregate(head)
      ? []
      : head
          .values('Disposition-Notification', IMDN_NAMESPACE)
          .flatMap((value) => value.split(',').map((item) => item.split(';', 1)[0]!.trim())),
  );
  return {
    messageId,
    positiveDelivery: wanted.has('positive-delivery'),
    negativeDelivery: wanted.has('negative-delivery'),
    processing: wanted.has('processing'),
    display: wanted.has('display'),
    recordRoutes: head.values('IMDN-Record-Route', IMDN_NAMESPACE),
    originalTo: head.value('Original-To', IMDN_NAMESPACE),
  };
}

/** Whether the message is a notification (RFC 5438 §9); clients leave the disposition out. */
export function isImdn(head: CpimHead): boolean {
  return head.mediaType === IMDN_TYPE;
}

/** Whether the message is several notifications that a list server put together (RFC 5438 §8.3). */
export function isImdnAggregate(head: CpimHead): boolean {
  const disposition = head.mime('Content-Disposition') ?? '';
  return head.mediaType === 'multipart/mixed' && /^notification(?:$|[\s;])/i.test(disposition);
}

/** @throws ParleyError `imdn-malformed`. */
export function parseImdn(octets: Uint8Array): Imdn {
  const root = parseSmallXml(octets, 'imdn', NAMESPACE);
  if (typeof root !== 'object') throw msrpError('imdn-malformed', root);
  const messageId = childText(root, 'message-id');
  const kinds = Object.keys(statuses) as ImdnKind[];
  const kind = kinds.find((name) => root[`${name}-notification`] !== undefined);
  if (!messageId || kind === undefined)
    throw msrpError('imdn-malformed', 'message-id or notification missing');
  const notification = root[`${kind}-notification`];
  const status = firstChild(
    typeof notification === 'object' ? (notification as Record<string, XmlValue>)['status'] : undefined,
    statuses[kind],
  );
  if (status === undefined) throw msrpError('imdn-malformed', 'status');
  return {
    messageId,
    dateTime: childText(root, 'datetime') ?? '',
    recipientUri: childText(root, 'recipient-uri'),
    originalRecipientUri: childText(root, 'original-recipient-uri'),
    subject: childText(root, 'subject'),
    kind,
    status,
  };
}

/** The document of a notification, with CRLF between lines as clients write it. */
export function formatImdn(imdn: Imdn): string {
  const element = (name: string, text: string | undefined): string =>
    text === undefined ? '' : `<${name}>${escapeXml(text)}</${name}>\r\n`;
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<imdn xmlns="${NAMESPACE}">\r\n` +
    element('message-id', imdn.messageId) +
    element('datetime', imdn.dateTime) +
    element('recipient-uri', imdn.recipientUri) +
    element('original-recipient-uri', imdn.originalRecipientUri) +
    element('subject', imdn.subject) +
    `<${imdn.kind}-notification><status><${imdn.status}/></status></${imdn.kind}-notification>\r\n</imdn>`
  );
}

/**
 * Several notifications in one message (RFC 5438 §8.3).
 * @param boundary for `multipart/mixed`; must not occur in a document.
 */
export function formatImdnAggregate(imdns: readonly Imdn[], boundary: string): string {
  const parts = imdns.map(
    (imdn) => `--${boundary}\r\nContent-Type: ${IMDN_TYPE}\r\n\r\n${formatImdn(imdn)}\r\n`,
  );
  return `${parts.join('')}--${boundary}--\r\n`;
}
