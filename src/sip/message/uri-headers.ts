import { bad } from './lexer.js';
import { escapeHeaderValue, unescape } from './escapes.js';
import { headerKey, TOKEN } from './names.js';

/** One header field of the part of a SIP URI behind the question mark, unescaped (RFC 3261 §19.1.1). */
export interface UriHeader {
  /** Lower-case long form, or `body`. */
  readonly key: string;
  readonly name: string;
  readonly value: string;
}

/**
 * Fields that a request made from a URI does not take from it (RFC 3261 §19.1.5): they would forge who asks, steer
 * where it goes, or claim abilities; and those that the sender alone can know.
 */
const dangerous: ReadonlySet<string> = new Set([
  'from', 'call-id', 'cseq', 'via', 'record-route', 'route', 'accept', 'accept-encoding', 'accept-language', 'allow',
  'contact', 'organization', 'supported', 'user-agent', 'to', 'max-forwards', 'content-length', 'authorization',
  'proxy-authorization', 'p-asserted-identity',
]); // prettier-ignore

/**
 * Reads the header fields of a URI.
 * @param raw what stands behind the question mark.
 * @throws ParleyError `sip-bad-header` for a name that is no token and a value that hides a line break, `body` excepted.
 */
export function parseUriHeaders(raw: string): UriHeader[] {
  if (raw === '') return [];
  return raw.split('&').map((part) => {
    const equals = part.indexOf('=');
    const name = unescape(equals < 0 ? part : part.slice(0, equals));
    const value = equals < 0 ? '' : unescape(part.slice(equals + 1));
    const key = headerKey(name);
    if (!TOKEN.test(name)) throw bad('URI', 'bad header field name');
    if (key !== 'body' && /[\r\n]/.test(value)) throw bad('URI', `line break in header field ${name}`);
    return { key, name, value };
  });
}

/** Whether a request made from a URI may take that field from it (RFC 3261 §19.1.5). */
export function isHonoured(header: UriHeader): boolean {
  return !dangerous.has(header.key);
}

/** Writes header fields for a URI, without the question mark: `Replaces=abc%3Bto-tag%3D1&Accept-Contact=*`. */
export function writeUriHeaders(fields: Iterable<readonly [name: string, value: string]>): string {
  return Array.from(fields, ([name, value]) => `${name}=${escapeHeaderValue(value)}`).join('&');
}
