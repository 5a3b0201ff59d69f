import { ParleyError } from '../../base/errors.js';
import '../errors.js';

/** Fails a header field for good: the request is answered 400 with this reason. */
export function bad(field: string, why: string): ParleyError {
  return new ParleyError('sip-bad-header', `${field}: ${why}`);
}

const TAB = 9;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const SEMICOLON = 59;
const LESS = 60;
const EQUALS = 61;
const GREATER = 62;
const BACKSLASH = 92;

/** 1 for each octet of RFC 3261 §25.1 `token`. */
const tokenOctets = new Uint8Array(128);
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")
  tokenOctets[character.charCodeAt(0)] = 1;

/** Index of the first character at or after `i` that cannot stand in a `token` (RFC 3261 §25.1). */
export function skipToken(text: string, i: number): number {
  while (i < text.length && tokenOctets[text.charCodeAt(i)] === 1) i++;
  return i;
}

/** Index after the closing quote of the quoted string that begins at `start`, or -1 when it never closes. */
export function skipQuoted(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) return i + 1;
  }
  return -1;
}

/** Splits a comma-separated field value outside quoted strings and angle brackets; trims; drops empty elements. */
export function splitList(text: string): string[] {
  if (!text.includes(',')) {
    const only = text.trim();
    return only === '' ? [] : [only];
  }
  const parts: string[] = [];
  let start = 0;
  let angle = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE && !angle) {
      const end = skipQuoted(text, i);
      if (end < 0) break;
      i = end - 1;
    } else if (code === LESS) angle = true;
    else if (code === GREATER) angle = false;
    else if (code === COMMA && !angle) {
      const part = text.slice(start, i).trim();
      if (part !== '') parts.push(part);
      start = i + 1;
    }
  }
  const last = text.slice(start).trim();
  if (last !== '') parts.push(last);
  return parts;
}

/** The content of a quoted string with its escapes resolved; any other text as it is (RFC 3261 §25.1). */
export function unquote(text: string): string {
  if (text.length < 2 || text.charCodeAt(0) !== QUOTE) return text;
  const inner = text.slice(1, -1);
  return inner.includes('\\') ? inner.replace(/\\([\s\S])/g, '$1') : inner;
}

/**
 * Writes text as a quoted string.
 * @throws ParleyError `sip-bad-header` for a line break, which no quoted string can hold (RFC 3261 §25.1 `quoted-pair`).
 */
export function quote(text: string): string {
  if (/[\r\n]/.test(text)) throw bad('quoted string', 'line break in the text');
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Parameters of a header field: lower-case names to raw values (quoted strings keep their quotes), null without value. */
export type Params = Map<string, string | null>;

/**
 * Parses `;name=value;flag` from `start` to the end of `text` (RFC 3261 §25.1 `generic-param`).
 * White space is allowed around `;` and `=`; a name twice is refused (§7.3.1).
 * @throws ParleyError `sip-bad-header`
 */
export function parseParams(text: string, start: number, field: string): Params {
  const params: Params = new Map();
  let i = start;
  for (;;) {
    i = skipSpace(text, i);
    if (i >= text.length) return params;
    if (text.charCodeAt(i) !== SEMICOLON) throw bad(field, 'text after the value');
    const nameStart = skipSpace(text, i + 1);
    if (nameStart >= text.length) return params; // a trailing semicolon harms nobody
    i = skipToken(text, nameStart);
    if (i === nameStart)
      throw bad(field, text.charCodeAt(i) === SEMICOLON ? 'empty parameter' : 'bad parameter name');
    const name = text.slice(nameStart, i).toLowerCase();
    i = skipSpace(text, i);
    let value: string | null = null;
    if (i < text.length && text.charCodeAt(i) === EQUALS) {
      const valueStart = skipSpace(text, i + 1);
      i = skipValue(text, valueStart);
      if (i < 0) throw bad(field, `quoted string of ${name} does not end`);
      value = text.slice(valueStart, i);
    }
    const size = params.size;
    if (params.set(name, value).size === size) throw bad(field, `parameter ${name} twice`);
  }
}

/** Index after a parameter's value: a quoted string, or what stands before the next separator. -1 for an open quote. */
function skipValue(text: string, start: number): number {
  if (text.startsWith('"', start)) return skipQuoted(text, start);
  PLAIN_VALUE.lastIndex = start;
  PLAIN_VALUE.test(text);
  return PLAIN_VALUE.lastIndex;
}

/** A token, host or anything else that needs no quotes; it may be empty. */
const PLAIN_VALUE = /[^;, \t"<>]*/y;

/** `;name=value` for each parameter, in order. */
export function writeParams(params: Params): string {
  let text = '';
  for (const [name, value] of params) text += value === null ? `;${name}` : `;${name}=${value}`;
  return text;
}

/** Index of the first character at or after `i` that is not white space. */
export function skipSpace(text: string, i: number): number {
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code !== SPACE && code !== TAB) return i;
    i++;
  }
  return i;
}

/** A non-negative decimal number up to `max`, or undefined. */
export function parseNumber(text: string, max: number): number | undefined {
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}
