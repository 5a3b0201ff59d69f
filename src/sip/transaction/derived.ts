import { Headers } from '../message/headers.js';
import { SipRequest, SipResponse, type SipMessage } from '../message/message.js';
import { reasonPhrase } from '../message/reason-phrases.js';

const TAG = /;\s*tag\s*=/i;

/**
 * A response with what §8.2.6.2 of RFC 3261 copies from the request: Via, From, To, Call-ID, CSeq, and Timestamp
 * into a 100. Reads only text, so that malformed requests can be answered too.
 * @param toTag added to To unless there is one.
 */
export function makeResponse(
  request: SipRequest,
  status: number,
  toTag?: string,
  reason: string = reasonPhrase(status),
): SipResponse {
  const headers = new Headers();
  headers.copyFrom(request.headers, 'Via');
  headers.copyFrom(request.headers, 'From');
  const to = request.headers.get('To');
  if (to !== undefined)
    headers.push('to', 'To', toTag === undefined || TAG.test(to) ? to : `${to};tag=${toTag}`);
  headers.copyFrom(request.headers, 'Call-ID');
  headers.copyFrom(request.headers, 'CSeq');
  if (status === 100) headers.copyFrom(request.headers, 'Timestamp');
  return new SipResponse(status, reason, headers, undefined, request.charset);
}

/** The ACK to a final response other than 2xx (RFC 3261 §17.1.1.3). */
export function makeAck(invite: SipRequest, response: SipResponse): SipRequest {
  return sameTransaction(invite, 'ACK', response);
}

/** The CANCEL of a request that has been sent (RFC 3261 §9.1). `reason` is a Reason value (RFC 3326). */
export function makeCancel(invite: SipRequest, reason?: string): SipRequest {
  const cancel = sameTransaction(invite, 'CANCEL', invite);
  if (reason !== undefined) cancel.headers.append('Reason', reason);
  return cancel;
}

function sameTransaction(invite: SipRequest, method: string, toFrom: SipMessage): SipRequest {
  const headers = new Headers();
  headers.push('via', 'Via', invite.headers.list('Via')[0]!);
  headers.copyFrom(invite.headers, 'Route');
  headers.push('max-forwards', 'Max-Forwards', '70');
  headers.copyFrom(invite.headers, 'From');
  headers.copyFrom(toFrom.headers, 'To');
  headers.copyFrom(invite.headers, 'Call-ID');
  headers.push('cseq', 'CSeq', `${invite.cseq.number} ${method}`);
  return new SipRequest(method, invite.uri, headers, undefined, invite.charset);
}
