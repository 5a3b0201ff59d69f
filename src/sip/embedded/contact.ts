import type { InboundRequest } from './inbound.js';
import { hostOf } from './local-names.js';
import type { SipRequest } from '../message/message.js';
import type { LocalEnd } from './wire.js';

/**
 * A URI by which peers on that side reach us.
 * @param secure makes it a SIPS URI, where the side is secured (RFC 3261 §8.1.1.8, §12.1.1, §16.6 step 4).
 */
export function ownUri(end: LocalEnd, user: string | undefined, secure: boolean): string {
  const userPart = user === undefined ? '' : `${user}@`;
  const safe = end.protocol === 'tls' || end.protocol === 'wss';
  return secure && safe
    ? `sips:${userPart}${end.host}:${end.port}${end.protocol === 'wss' ? ';transport=ws' : ''}`
    : `sip:${userPart}${end.host}:${end.port}${end.protocol === 'udp' ? '' : `;transport=${end.protocol}`}`;
}

/** Our Contact in a request towards that side. */
export function contactFor(request: SipRequest, end: LocalEnd, user: string | undefined): string {
  const secure = /^sips:/i.test(request.uri) || isSecured(request.get('Route'));
  return `<${ownUri(end, user, secure)}>`;
}

/** Our Contact in a response to a request that came from that side. */
export function contactInAnswer(request: SipRequest, end: LocalEnd, user: string | undefined): string {
  const secure =
    /^sips:/i.test(request.uri) || isSecured(request.get('Record-Route') ?? request.get('Contact'));
  return `<${ownUri(end, user, secure)}>`;
}

function isSecured(address: string | undefined): boolean {
  return address !== undefined && /^(?:[^<,]*<)?sips:/i.test(address);
}

/**
 * True when the sender of a request can be reached only over the flow that it came on: it is the user agent itself, and
 * it sits on a connection of its own making, asks for it (`ob`, RFC 5626 §4.3), or names an address it does not send from.
 */
export function needsFlow(request: InboundRequest): boolean {
  if (request.headers.list('Via').length !== 1) return false;
  if (request.source.protocol !== 'udp') return true;
  const contact = request.contacts[0]?.uri;
  return (
    contact !== undefined && (contact.params.has('ob') || contact.host !== hostOf(request.source.address))
  );
}
