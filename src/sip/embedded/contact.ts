import type { InboundRequest } from './inbound.js';
import { hostOf } from './local-names.js';
import type { LocalEnd } from './wire.js';

/** Our Contact on that side: where the peer's next request of the dialog is to go. */
export function contactValue(end: LocalEnd, user: string | undefined): string {
  const transport = end.protocol === 'udp' ? '' : `;transport=${end.protocol}`;
  return `<sip:${user === undefined ? '' : `${user}@`}${end.host}:${end.port}${transport}>`;
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
