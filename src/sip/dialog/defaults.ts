import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import type { HeaderMap } from '../message/headers.js';
import type { SipRequest } from '../message/message.js';
import type { SendOptions } from '../stack.js';

/** What our user agents take inside a dialog. */
export const UA_METHODS = 'ACK, BYE, CANCEL, INFO, INVITE, MESSAGE, NOTIFY, OPTIONS, PRACK, REFER, UPDATE';

/**
 * Answers a request inside a dialog for which there is no listener: nothing is accepted that nobody reads.
 * OPTIONS is a keep-alive and an INFO without Info-Package means nothing (RFC 6086 §4.2.2).
 */
export function answerUnhandled(request: InboundRequest, response: InboundResponse): void {
  switch (request.method) {
    case 'OPTIONS':
      response.send(200, { headers: { Allow: UA_METHODS } });
      return;
    case 'INFO':
      if (request.has('Info-Package')) response.send(469, { headers: { 'Recv-Info': '' } });
      else response.send(200);
      return;
    case 'NOTIFY':
      response.send(481);
      return;
    default:
      response.send(501, { headers: { Allow: 'ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE' } });
  }
}

/** RFC 3261 §14.2, RFC 3311 §5.2: a 500 with Retry-After between 0 and 10 seconds. */
export function retryLater(): SendOptions {
  return { headers: { 'Retry-After': Math.trunc(Math.random() * 11) } };
}

/** Milliseconds until a re-INVITE that met one of the peer is tried again, in steps of 10 ms: 2.1 to 4 s for who made the Call-ID, else up to 2 s (RFC 3261 §14.1). */
export function glareDelay(role: 'uac' | 'uas'): number {
  const steps = role === 'uac' ? 210 + Math.random() * 190 : Math.random() * 200;
  return Math.trunc(steps) * 10;
}

/** The credentials of an INVITE, which its ACK repeats (RFC 3261 §22.1). */
export function credentialsOf(invite: SipRequest): HeaderMap {
  const fields: Record<string, string[]> = {};
  for (const name of ['Authorization', 'Proxy-Authorization'])
    if (invite.has(name)) fields[name] = invite.headers.lines(name);
  return fields;
}
