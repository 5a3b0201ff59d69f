import { ParleyError } from '../../base/errors.js';
import './errors.js';

const QUOTE = 34;
const COMMA = 44;
const EQUAL = 61;
const BACKSLASH = 92;
const MAX_LENGTH = 8192;

/**
 * Start of the parameters of a `Digest` value.
 * @returns undefined for another scheme: SIP knows none beside Digest (RFC 8760 §2.6).
 */
export function afterDigestScheme(text: string): number | undefined {
  const start = skipSpace(text, 0);
  if (text.slice(start, start + 6).toLowerCase() !== 'digest') return undefined;
  return isSpace(text.charCodeAt(start + 6)) ? start + 7 : undefined;
}

/**
 * Walks the parameters `name=value, name="quoted value"` of an authentication field (RFC 3261 §25.1, auth-param).
 * Empty list elements are passed over.
 * @param start where the first parameter begins.
 * @param target handed to `assign`, so that one function without closure serves all calls.
 * @param assign gets each name in lower case and each value unquoted.
 * @throws ParleyError `digest-malformed`.
 */
export function readParameters<T>(
  text: string,
  start: number,
  target: T,
  assign: (target: T, name: string, value: string) => void,
): void {
  if (text.length > MAX_LENGTH) throw new ParleyError('digest-malformed', 'too long');
  const hasEscapes = text.includes('\\'); // hardly ever
  let at = skipSpace(text, start);
  while (at < text.length) {
    if (text.charCodeAt(at) === COMMA) {
      at = skipSpace(text, at + 1);
      continue;
    }
    const nameStart = at;
    while (at < text.length && isNameCharacter(text.charCodeAt(at))) at++;
    const name = lowerCase(text.slice(nameStart, at));
    at = skipSpace(text, at);
    if (name === '' || text.charCodeAt(at) !== EQUAL) {
      throw new ParleyError('digest-malformed', 'parameter without name or value');
    }
    at = skipSpace(text, at + 1);
    const valueStart = at;
    if (text.charCodeAt(at) === QUOTE) {
      at = hasEscapes ? afterEscapedQuoted(text, at) : afterQuoted(text, at);
      const inner = text.slice(valueStart + 1, at - 1);
      assign(target, name, hasEscapes ? inner.replace(/\\([^])/g, '$1') : inner);
    } else {
      while (at < text.length && text.charCodeAt(at) !== COMMA && !isSpace(text.charCodeAt(at))) at++;
      assign(target, name, text.slice(valueStart, at));
    }
    at = skipSpace(text, at);
    if (at < text.length && text.charCodeAt(at) !== COMMA) {
      throw new ParleyError('digest-malformed', 'comma expected between parameters');
    }
  }
}

/** Writes a quoted string, its quotes and backslashes escaped (RFC 3261 §25.1). */
export function quoted(value: string): string {
  return /["\\]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : `"${value}"`;
}

/** Index after the closing quote of the quoted string that begins at `start`, in a text without backslashes. */
function afterQuoted(text: string, start: number): number {
  const quote = text.indexOf('"', start + 1);
  if (quote < 0) throw new ParleyError('digest-malformed', 'quoted string without end');
  return quote + 1;
}

/** The same in any text. */
function afterEscapedQuoted(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at + 1;
  }
  throw new ParleyError('digest-malformed', 'quoted string without end');
}

/** Most names come in lower case; looking is cheaper than converting. */
function lowerCase(name: string): string {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code >= 65 && code <= 90) return name.toLowerCase();
  }
  return name;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  return at;
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 13 || code === 10;
}

/** token of RFC 3261 §25.1, for the names alone. */
function isNameCharacter(code: number): boolean {
  return (
    (code >= 97 && code <= 122) ||
    (code >= 65 && code <= 90) ||
    (code >= 48 && code <= 57) ||
    code === 45 || // -
    code === 95 || // _
    code === 46 || // .
    code === 42 // * of username*
  );
}
