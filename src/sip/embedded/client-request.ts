import { Headers, type HeaderMap } from '../message/headers.js';
import { SipRequest } from '../message/message.js';
import { bodyBytes, mayHaveTag } from './respond.js';
import { randomToken } from './tokens.js';

/** Fields that are set one by one; Via is the transaction's and Content-Length the body's. */
const taken: ReadonlySet<string> = new Set([
  'route', 'max-forwards', 'from', 'to', 'call-id', 'cseq', 'via', 'content-length',
]); // prettier-ignore

/** What a request outside dialogs is made of. */
export interface NewRequest {
  readonly method: string;
  readonly headers?: HeaderMap | undefined;
  readonly body?: Uint8Array | string | undefined;
  readonly route?: readonly string[] | undefined;
}

/**
 * Builds a request outside dialogs (RFC 3261 §8.1.1). Route, From, To, Call-ID, CSeq and Max-Forwards are taken
 * from `headers` where they are given; From gets a tag when it has none.
 * @param from the From URI when no header gives one.
 */
export function buildRequest(uri: string, from: string, options: NewRequest): SipRequest {
  const given = Headers.from(options.headers ?? {});
  const headers = new Headers();
  headers.append('Route', options.route ?? given.lines('Route'));
  headers.append('Max-Forwards', given.get('Max-Forwards') ?? 70);
  const fromText = given.get('From') ?? `<${from}>`;
  headers.append('From', mayHaveTag(fromText) ? fromText : `${fromText};tag=${randomToken()}`);
  headers.append('To', given.get('To') ?? `<${uri}>`);
  headers.append('Call-ID', given.get('Call-ID') ?? `${randomToken()}${randomToken()}`);
  headers.append('CSeq', given.get('CSeq') ?? `1 ${options.method}`);
  for (const [key, name, value] of given) if (!taken.has(key)) headers.push(key, name, value);
  return new SipRequest(options.method, uri, headers, bodyBytes(options.body));
}

/** The same request for another attempt: next CSeq, no Via, no credentials (RFC 3261 §8.1.3.5). */
export function nextAttempt(request: SipRequest): SipRequest {
  const next = request.clone();
  for (const name of ['Via', 'Authorization', 'Proxy-Authorization']) next.headers.remove(name);
  next.headers.set('CSeq', `${request.cseq.number + 1} ${request.method}`);
  return next;
}
