import { ParleyError } from '../../base/errors.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { parseDisposition, parseMediaType } from '../../sip/message/content.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import type { SipRequest } from '../../sip/message/message.js';
import { buildMultipart, leafParts, parseMultipart } from '../../sip/message/multipart.js';
import { groupError } from './errors.js';
import type { Group } from './group.js';
import { formatRecipientHistory, RESOURCE_LISTS_TYPE } from './recipient-list.js';
import type { Recipient } from './recipient.js';

const ICSI = `+g.3gpp.icsi-ref="${cpmServices.session.replaceAll(':', '%3A')}"`;

/** Octets of the list that invited users see, with which an INVITE still fits a datagram: a device may have UDP alone (RFC 3261 §18.1.1). */
const HISTORY_OCTETS = 48 * 1024;

/** The parts of a request that a focus reads; they are found by type and disposition, in any order. */
export interface Parts {
  readonly description: Uint8Array | undefined;
  readonly list: Uint8Array | undefined;
}

/** @throws ParleyError `group-list-malformed` for a multipart that cannot be read. */
export function readParts(request: SipRequest): Parts {
  const type = request.get('Content-Type');
  if (type === undefined || request.body.length === 0) return { description: undefined, list: undefined };
  try {
    const { type: media } = parseMediaType(type);
    if (media === 'application/sdp') return { description: request.body, list: undefined };
    if (media === RESOURCE_LISTS_TYPE) return { description: undefined, list: request.body };
    if (!media.startsWith('multipart/')) return { description: undefined, list: undefined };
    const parts = leafParts(parseMultipart(request.body, type));
    const ofType = (wanted: string): Uint8Array | undefined =>
      parts.find(({ headers }) => {
        const disposition = headers.get('Content-Disposition');
        const history = disposition && parseDisposition(disposition).type === 'recipient-list-history';
        return !history && parseMediaType(headers.get('Content-Type') ?? 'text/plain').type === wanted;
      })?.body;
    return { description: ofType('application/sdp'), list: ofType(RESOURCE_LISTS_TYPE) };
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error;
    throw groupError('group-list-malformed', error.message, { cause: error });
  }
}

/** Contact of the focus in everything it sends (RFC 4579 §4.1, RFC 3840 §10.18: `isfocus`). */
export function focusContact(group: Group): string {
  return `<${group.uri};gr>;isfocus;${ICSI}`;
}

export const ALLOW: HeaderMap = { Allow: 'ACK, BYE, CANCEL, INVITE, OPTIONS, REFER, SUBSCRIBE, UPDATE' };
export const ALLOW_EVENTS: HeaderMap = { 'Allow-Events': 'conference' };

/** What the focus says of the group in its INVITEs and 2xx. */
export function groupHeaders(group: Group): HeaderMap {
  return {
    Contact: focusContact(group),
    Subject: group.subject,
    'Conversation-ID': group.conversationId,
    'Contribution-ID': group.contributionId,
    ...ALLOW,
    ...ALLOW_EVENTS,
  };
}

/** The body of an INVITE: the history is optional for who gets it, and left out where it would not let the INVITE through. */
function described(description: string, history: string): { contentType: string; body: Buffer } {
  if (Buffer.byteLength(history) > HISTORY_OCTETS)
    return { contentType: 'application/sdp', body: Buffer.from(description) };
  return buildMultipart([
    { headers: { 'Content-Type': 'application/sdp' }, body: description },
    {
      headers: {
        'Content-Type': RESOURCE_LISTS_TYPE,
        'Content-Disposition': 'recipient-list-history; handling=optional',
      },
      body: history,
    },
  ]);
}

/**
 * The INVITE of the focus for one recipient (Figure 9, steps 3-4 and 15-16).
 * @param options.inviter as others know it.
 */
export function invitationFor(
  group: Group,
  recipient: Recipient,
  options: { readonly inviter: string; readonly shown: readonly Recipient[]; readonly description: string },
): { headers: HeaderMap; body: Buffer } {
  const { contentType, body } = described(options.description, formatRecipientHistory(options.shown));
  const accept = [`*;${ICSI}`];
  if (recipient.acceptContact !== undefined) accept.push(recipient.acceptContact);
  return {
    headers: {
      From: `<${group.uri}>`,
      To: `<${recipient.identity}>`,
      ...groupHeaders(group),
      Subject: recipient.subject ?? group.subject,
      'Accept-Contact': accept,
      'P-Asserted-Identity': `<${group.uri}>`,
      'P-Asserted-Service': cpmServices.groupSession,
      'Referred-By': `<${options.inviter}>`,
      'Session-Replaces': recipient.sessionReplaces,
      ...(recipient.replaces === undefined ? {} : { Replaces: recipient.replaces, Require: 'replaces' }),
      'Content-Type': contentType,
    },
    body,
  };
}
