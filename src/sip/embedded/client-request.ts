import { Headers, type HeaderMap } from '../message/headers.js';
import { SipRequest } from '../message/message.js';
import { MAX_BREADTH } from '../proxy/validate.js';
import { bodyBytes, mayHaveTag } from './respond.js';
import { randomToken } from './tokens.js';

/** What a request outside dialogs is made of. */
export interface NewRequest {
  readonly method: string;
  readonly headers?: HeaderMap | undefined;
  readonly body?: Uint8Array | string | undefined;
  readonly route?: readonly string[] | undefined;
}

/**
 * Builds a request outside dialogs (RFC 3261 §8.1.1). From, To, Call-ID, CSeq and Max-Forwards are taken from
 * `headers` where they are given; From gets a tag when it has none.
 * @param from the From URI when no header gives one.
 */
export function buildRequest(uri: string, from: string, options: NewRequest): SipRequest {
  const given = Headers.from(options.headers ?? {});
  const headers = new Headers();
  if (options.route && options.route.length > 0) headers.append('Route', options.route);
  headers.append('Max-Forwards', given.get('Max-Forwards') ?? 70);
  const fromText = given.get('From') ?? `<${from}>`;
  headers.append('From', mayHaveTag(fromText) ? fromText : `${fromText};tag=${randomToken()}`);
  headers.append('To', given.get('To') ?? `<${uri}>`);
  headers.append('Call-ID', given.get('Call-ID') ?? `${randomToken()}${randomToken()}`);
  headers.append('CSeq', given.get('CSeq') ?? `1 ${options.method}`);
  headers.append('Max-Breadth', given.get('Max-Breadth') ?? MAX_BREADTH);
  for (const [key, name, value] of given) if (!headers.has(key)) headers.push(key, name, value);
  return new SipRequest(options.method, uri, headers, bodyBytes(options.body));
}

/** The same request for another attempt: next CSeq, no Via, no credentials (RFC 3261 §8.1.3.5). */
export function nextAttempt(request: SipRequest): SipRequest {
  const next = request.clone();
  for (const name of ['Via', 'Authorization', 'Proxy-Authorization']) next.headers.remove(name);
  next.headers.set('CSeq', `${request.cseq.number + 1} ${request.method}`);
  return next;
}
