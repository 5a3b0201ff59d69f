import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
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
