import { ParleyError } from '../../base/errors.js';
import {
  bad,
  parseParams,
  quote,
  skipQuoted,
  skipSpace,
  skipToken,
  splitList,
  unquote,
  writeParams,
  type Params,
} from './lexer.js';
import { parseUri, type SipUri } from './uri.js';

/** The value of From, To, Contact, Route, Path and their like: `name-addr` or `addr-spec` with parameters (RFC 3261 §20). */
export interface Address {
  readonly displayName: string | undefined;
  /** As received, between the angle brackets. */
  readonly uriText: string;
  readonly uri: SipUri;
  /** Field parameters (outside the brackets). */
  readonly params: Params;
}

const QUOTE = 34;
const LESS = 60;

/**
 * Parses one address.
 * Without angle brackets, parameters belong to the field, and a URI with a comma, question mark or semicolon is wrong (RFC 3261 §20.10).
 * No white space is needed between an unquoted display name and `<` (RFC 4475 §3.1.1.6).
 * @throws ParleyError `sip-bad-header`, `sip-bad-uri`
 */
export function parseAddress(text: string, field: string): Address {
  const start = skipSpace(text, 0);
  if (start >= text.length) throw bad(field, 'empty');
  const first = text.charCodeAt(start);
  if (first === LESS) return nameAddr(text, undefined, start, field);
  if (first === QUOTE) {
    const end = skipQuoted(text, start);
    if (end < 0) throw bad(field, 'display name does not end');
    const open = skipSpace(text, end);
    if (open >= text.length || text.charCodeAt(open) !== LESS)
      throw bad(field, 'no URI in angle brackets after the display name');
    return nameAddr(text, unquote(text.slice(start, end)), open, field);
  }
  const open = skipWords(text, start);
  return open < text.length && text.charCodeAt(open) === LESS
    ? nameAddr(text, text.slice(start, open).trimEnd(), open, field)
    : addrSpec(text, start, field);
}

/** Index after the tokens of an unquoted display name and the white space behind them. */
function skipWords(text: string, start: number): number {
  for (let i = start; ;) {
    const end = skipToken(text, i);
    if (end === i) return i;
    i = skipSpace(text, end);
  }
}

function nameAddr(text: string, displayName: string | undefined, open: number, field: string): Address {
  const close = text.indexOf('>', open);
  if (close < 0) throw bad(field, 'angle bracket does not close');
  const params = parseParams(text, close + 1, field);
  return new ParsedAddress(displayName, text.slice(open + 1, close), params);
}

function addrSpec(text: string, start: number, field: string): Address {
  const semicolon = text.indexOf(';', start);
  const end = semicolon < 0 ? text.length : semicolon;
  const uriText = text.slice(start, end).trimEnd();
  if (uriText.includes('<')) throw bad(field, 'display name needs quotes');
  if (/[,?]/.test(uriText)) throw bad(field, 'a URI with comma or question mark needs angle brackets');
  return new ParsedAddress(undefined, uriText, parseParams(text, end, field));
}

const URI_SHAPE = /^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"]+$/;

class ParsedAddress implements Address {
  readonly displayName: string | undefined;
  readonly uriText: string;
  readonly params: Params;
  #uri: SipUri | undefined;

  constructor(displayName: string | undefined, uriText: string, params: Params) {
    this.displayName = displayName;
    this.uriText = uriText;
    this.params = params;
    if (!URI_SHAPE.test(uriText))
      throw new ParleyError('sip-bad-uri', `white space or no scheme in "${uriText.slice(0, 80)}"`);
  }

  /** Parsed at the first look: most addresses are only copied. */
  get uri(): SipUri {
    return (this.#uri ??= parseUri(this.uriText));
  }
}

/** All addresses of a comma-separated field. */
export function parseAddresses(lines: readonly string[], field: string): Address[] {
  const found: Address[] = [];
  for (const line of lines) for (const part of splitList(line)) found.push(parseAddress(part, field));
  return found;
}

/**
 * Writes an address with its URI in angle brackets, as §20.10 wants for anything with parameters.
 * @param displayName plain text; it is quoted here.
 * @throws ParleyError `sip-bad-header` for a display name with a line break.
 */
export function writeAddress(uri: string, params?: Params, displayName?: string): string {
  const name = displayName === undefined ? '' : `${quote(displayName)} `;
  return `${name}<${uri}>${params ? writeParams(params) : ''}`;
}
