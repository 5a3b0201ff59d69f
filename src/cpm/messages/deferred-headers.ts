import { ParleyError } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import { ICSI_REF, referenceValue, SIP_INSTANCE } from '../../identity/feature-tags.js';
import type { CpmService } from '../../identity/cpm-services.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import type { SipRequest } from '../../sip/message/message.js';
import { preferenceFor } from '../policy/chosen-device.js';
import type { Addressee } from './deferred-delivery.js';
import type { DeferredMessage } from './deferred-store.js';

/** Header fields that the recipient's device gets as they came; the others are of one hop or of one attempt. */
const kept = [
  'From', 'To', 'P-Asserted-Identity', 'Privacy', 'Accept-Contact', 'Reject-Contact', 'Conversation-ID',
  'Contribution-ID', 'InReplyTo-Contribution-ID', 'Subject', 'Date', 'User-Agent', 'Reply-To', 'Priority',
]; // prettier-ignore
const ofContent = [
  'Content-Type', 'Content-Disposition', 'Content-Encoding', 'Content-Language', 'MIME-Version',
]; // prettier-ignore

/**
 * The header fields of a request that are kept with its message.
 * @param contentType of a message that is not the request's body. @param now milliseconds since the epoch.
 * @param serviceHeader field of the Non-CPM Communication Service Identifier.
 */
export function keptHeaders(
  request: SipRequest,
  contentType: string | undefined,
  now: number,
  serviceHeader: string,
): (readonly [name: string, value: string])[] {
  const names = [...kept, serviceHeader, ...(contentType === undefined ? ofContent : [])];
  // counts from Date (RFC 3428 §7); that of an INVITE is how long it may ring (RFC 3261 §13.3.1)
  if (request.method === 'MESSAGE') names.push('Expires');
  const headers: [string, string][] = [];
  for (const name of names) for (const line of request.headers.lines(name)) headers.push([name, line]);
  if (!request.has('Date')) headers.push(['Date', new Date(now).toUTCString()]);
  if (contentType !== undefined) headers.push(['Content-Type', contentType]);
  return headers;
}

/** The asserted identity, else the From, canonical where it can be. */
export function senderOf(request: SipRequest): string {
  const uri = (request.addresses('P-Asserted-Identity')[0] ?? request.from).uriText;
  try {
    return parseAor(uri);
  } catch (error) {
    if (error instanceof ParleyError) return uri;
    throw error;
  }
}

/**
 * The header fields that came with a message, and what aims it at its addressee (RFC 3841 §7.2).
 * @param converted the service under which it goes, where it came under another one.
 */
export function deferredHeaders(
  { headers, device: ofDevice }: DeferredMessage,
  to: Addressee,
  converted?: CpmService,
): HeaderMap {
  const fields: Record<string, string | string[]> = {};
  const add = (name: string, value: string): void => {
    const known = fields[name];
    fields[name] = known === undefined ? value : [known, value].flat();
  };
  for (const [name, value] of headers) {
    if (!(converted !== undefined && isOfMode(name, value))) add(name, value);
  }
  if (converted !== undefined) add('Accept-Contact', `*;${ICSI_REF}="${referenceValue([converted])}"`);
  const { device, others, chosen } = to;
  if (chosen !== undefined && ofDevice === undefined) add('Accept-Contact', preferenceFor(chosen));
  if (device?.publicGruu === undefined && device?.instance !== undefined)
    add('Accept-Contact', `*;${instanceTag(device.instance)};require;explicit`);
  for (const { instance } of others)
    if (instance !== undefined) add('Reject-Contact', `*;${instanceTag(instance)}`);
  return fields;
}

/** What a message has of the mode in which it came. */
const isOfMode = (name: string, value: string): boolean =>
  name === 'Expires' || (name === 'Accept-Contact' && value.includes(ICSI_REF));

const instanceTag = (instance: string): string => `${SIP_INSTANCE}="<${instance}>"`;
