import type { HeaderMap } from './headers.js';
import { acceptsType, parseDisposition, parseMediaType } from './content.js';
import type { SipRequest } from './message.js';
import { knownMethods } from './names.js';

/** What an element can do, to hold a request against. */
export interface Abilities {
  /** URI schemes of a Request-URI, lower-case. */
  readonly schemes: ReadonlySet<string>;
  /** Option tags that are understood, lower-case. */
  readonly extensions: ReadonlySet<string>;
}

export interface UasAbilities extends Abilities {
  /** Methods that are supported, upper-case; others get 405, or 501 when nobody knows them (RFC 3261 §8.2.1, §21.5.2). */
  readonly methods: ReadonlySet<string>;
  /** Media types of bodies that are understood, lower-case. */
  readonly contentTypes: ReadonlySet<string>;
}

/** How a request is to be refused: the status, the header fields that must go with it, and the clause. */
export interface Refusal {
  readonly status: number;
  readonly headers: HeaderMap;
  readonly clause: string;
}

/**
 * What a proxy checks before anything else (RFC 3261 §16.3): scheme, Max-Forwards, Proxy-Require. Syntax is the
 * parser's, loops and authentication are the proxy's own.
 */
export function inspectAsProxy(request: SipRequest, able: Abilities): Refusal | undefined {
  return (
    refuseScheme(request, able.schemes) ??
    (request.number('Max-Forwards', 255) === 0
      ? { status: 483, headers: {}, clause: 'RFC 3261 §16.3' }
      : refuseExtensions(request, 'Proxy-Require', able.extensions))
  );
}

/** What a user agent server or registrar checks, in the order of RFC 3261 §8.2: method, scheme, Require, body. */
export function inspectAsUas(request: SipRequest, able: UasAbilities): Refusal | undefined {
  return (
    refuseMethod(request, able.methods) ??
    refuseScheme(request, able.schemes) ??
    refuseExtensions(request, 'Require', able.extensions) ??
    refuseBody(request, able.contentTypes)
  );
}

/** 405 with Allow for a known method, 501 with Allow for an unknown one. */
export function refuseMethod(request: SipRequest, methods: ReadonlySet<string>): Refusal | undefined {
  if (methods.has(request.method)) return undefined;
  const headers = { Allow: [...methods].join(', ') };
  return knownMethods.has(request.method)
    ? { status: 405, headers, clause: 'RFC 3261 §8.2.1' }
    : { status: 501, headers, clause: 'RFC 3261 §21.5.2' };
}

/** 416 (RFC 3261 §8.2.2.1, §16.3 step 2). */
export function refuseScheme(request: SipRequest, schemes: ReadonlySet<string>): Refusal | undefined {
  if (schemes.has(request.requestUri.scheme)) return undefined;
  return { status: 416, headers: {}, clause: 'RFC 3261 §8.2.2.1' };
}

/** 420 with Unsupported (RFC 3261 §8.2.2.3, §16.3 step 5); ACK and CANCEL are let through whatever they ask. */
export function refuseExtensions(
  request: SipRequest,
  field: 'Require' | 'Proxy-Require',
  understood: ReadonlySet<string>,
): Refusal | undefined {
  if (request.method === 'ACK' || request.method === 'CANCEL') return undefined;
  const unknown = request.headers.list(field).filter((tag) => !understood.has(tag.toLowerCase()));
  if (unknown.length === 0) return undefined;
  return { status: 420, headers: { Unsupported: unknown.join(', ') }, clause: 'RFC 3261 §8.2.2.3' };
}

/** 415 with Accept or Accept-Encoding for a body that must be understood and is not (RFC 3261 §8.2.3). */
export function refuseBody(request: SipRequest, contentTypes: ReadonlySet<string>): Refusal | undefined {
  if (request.body.length === 0) return undefined;
  const disposition = request.get('Content-Disposition');
  if (disposition !== undefined && parseDisposition(disposition).handling === 'optional') return undefined;
  const encodings = request.headers.list('Content-Encoding');
  if (encodings.some((encoding) => encoding.toLowerCase() !== 'identity'))
    return { status: 415, headers: { 'Accept-Encoding': 'identity' }, clause: 'RFC 3261 §8.2.3' };
  const type = request.get('Content-Type');
  if (type !== undefined && contentTypes.has(parseMediaType(type).type)) return undefined;
  return { status: 415, headers: { Accept: [...contentTypes].join(', ') }, clause: 'RFC 3261 §8.2.3' };
}

/** 406 when the answer has to carry a body of `type` and the request does not accept that (RFC 3261 §20.1, §21.4.7). */
export function refuseAnswer(request: SipRequest, type: string): Refusal | undefined {
  if (acceptsType(request.headers.lines('Accept'), type)) return undefined;
  return { status: 406, headers: {}, clause: 'RFC 3261 §21.4.7' };
}
