import { Headers } from '../message/headers.js';
import { SipResponse, type SipRequest } from '../message/message.js';
import { reasonPhrase } from '../message/reason-phrases.js';
import type { SendOptions } from '../stack.js';

const none = new Uint8Array(0);

export function bodyBytes(body: Uint8Array | string | undefined): Uint8Array {
  if (body === undefined) return none;
  return typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
}

/**
 * Builds a response as RFC 3261 §8.2.6 says: Via, From, To, Call-ID, CSeq and Timestamp are those of the request,
 * Record-Route too where a dialog may come of it (§12.1.1).
 * @param toTag goes into To unless the request's To has a tag; none goes into a 100.
 */
export function buildResponse(
  request: SipRequest,
  status: number,
  toTag: string,
  options?: SendOptions,
): SipResponse {
  const from = request.headers;
  const headers = new Headers();
  headers.copyFrom(from, 'Via');
  headers.push('from', 'From', from.get('From') ?? '');
  headers.push('to', 'To', status === 100 ? (from.get('To') ?? '') : taggedTo(request, toTag));
  headers.push('call-id', 'Call-ID', request.callId);
  headers.push('cseq', 'CSeq', from.get('CSeq') ?? '');
  const timestamp = from.get('Timestamp');
  if (timestamp !== undefined) headers.push('timestamp', 'Timestamp', timestamp);
  if (status > 100 && status < 300) headers.copyFrom(from, 'Record-Route');
  if (options?.headers) headers.assign(options.headers);
  return new SipResponse(
    status,
    options?.reason ?? reasonPhrase(status),
    headers,
    bodyBytes(options?.body),
    request.charset,
  );
}

/** True when an address header field's text can have a tag parameter; cheaper than decoding it. */
export function mayHaveTag(text: string): boolean {
  return /;[ \t]*tag[ \t]*=/i.test(text);
}

function taggedTo(request: SipRequest, tag: string): string {
  const text = request.headers.get('To') ?? '';
  if (mayHaveTag(text) && request.toTag !== undefined) return text;
  // without angle brackets, what follows a semicolon is a parameter of the field already (RFC 3261 §20.10)
  return `${text};tag=${tag}`;
}
