import { ParleyError } from '../../base/errors.js';
import {
  bad,
  parseParams,
  quote,
  skipQuoted,
  skipSpace,
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

/**
 * Parses one address.
 * Without angle brackets, parameters belong to the field, and a URI with a comma, question mark or semicolon is wrong (RFC 3261 §20.10).
 * @throws ParleyError `sip-bad-header`, `sip-bad-uri`
 */
export function parseAddress(text: string, field: string): Address {
  let i = skipSpace(text, 0);
  let displayName: string | undefined;
  if (text.charCodeAt(i) === 34) {
    const end = skipQuoted(text, i);
    if (end < 0) throw bad(field, 'display name does not end');
    displayName = unquote(text.slice(i, end));
    i = skipSpace(text, end);
    if (text.charCodeAt(i) !== 60) throw bad(field, 'no URI in angle brackets after the display name');
  }
  const open = displayName === undefined ? text.indexOf('<', i) : i;
  if (open < 0) {
    const semicolon = text.indexOf(';', i);
    const uriText = (semicolon < 0 ? text.slice(i) : text.slice(i, semicolon)).trim();
    if (/[,?]/.test(uriText)) throw bad(field, 'a URI with comma or question mark needs angle brackets');
    return new ParsedAddress(
      undefined,
      uriText,
      semicolon < 0 ? new Map<string, string | null>() : parseParams(text, semicolon, field),
    );
  }
  if (displayName === undefined) {
    const words = text.slice(i, open).trim();
    if (words !== '') {
      if (!/^[A-Za-z0-9\-.!%*_+`'~ \t]+$/.test(words)) throw bad(field, 'display name needs quotes');
      displayName = words;
    }
  }
  const close = text.indexOf('>', open);
  if (close < 0) throw bad(field, 'angle bracket does not close');
  return new ParsedAddress(displayName, text.slice(open + 1, close), parseParams(text, close + 1, field));
}

class ParsedAddress implements Address {
  readonly displayName: string | undefined;
  readonly uriText: string;
  readonly params: Params;
  #uri: SipUri | undefined;

  constructor(displayName: string | undefined, uriText: string, params: Params) {
    this.displayName = displayName;
    this.uriText = uriText;
    this.params = params;
    if (!/^[A-Za-z]/.test(uriText))
      throw new ParleyError('sip-bad-uri', `no scheme in ${uriText.slice(0, 80)}`);
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

/** Writes an address with its URI in angle brackets, as §20.10 wants for anything with parameters. */
export function writeAddress(uri: string, params?: Params, displayName?: string): string {
  const name = displayName === undefined ? '' : `${quote(displayName)} `;
  return `${name}<${uri}>${params ? writeParams(params) : ''}`;
}
