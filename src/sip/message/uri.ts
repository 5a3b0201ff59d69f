import { isIPv6 } from 'node:net';
import { ParleyError } from '../../base/errors.js';
import '../errors.js';

/**
 * A SIP or SIPS URI (RFC 3261 §19.1), or any other absolute URI of which only scheme and text are known.
 * Parts keep their escapes, but for parameter names; header names keep their case.
 */
export class SipUri {
  /** Lower-case. */
  readonly scheme: string;
  /** Escaped as received; undefined when there is no `@`. */
  user: string | undefined;
  password: string | undefined;
  /** Lower-case host name, IPv4 address, or IPv6 reference in its brackets; empty for other schemes. */
  host: string;
  port: number | undefined;
  /** Made when somebody asks: most URIs of a request have none, and an empty map is larger than the URI. */
  #params: Map<string, string | null> | undefined;
  /** The part after `?`, raw. */
  headers: string | undefined;
  /** For schemes other than sip and sips: all after the colon. */
  readonly opaque: string | undefined;

  constructor(
    scheme: string,
    host: string,
    options: {
      user?: string | undefined;
      password?: string | undefined;
      port?: number | undefined;
      params?: Map<string, string | null> | undefined;
      headers?: string | undefined;
      opaque?: string | undefined;
    } = {},
  ) {
    this.scheme = scheme;
    this.host = host;
    this.user = options.user;
    this.password = options.password;
    this.port = options.port;
    this.#params = options.params;
    this.headers = options.headers;
    this.opaque = options.opaque;
  }

  /** True for sip and sips. */
  get isSip(): boolean {
    return this.opaque === undefined;
  }

  /** Parameters by lower-case name; null without value. Needless escapes in names are undone: `%6C%72` is `lr`. */
  get params(): Map<string, string | null> {
    return (this.#params ??= new Map<string, string | null>());
  }

  /** A parameter's value, an empty string when it has none, undefined when it is absent. */
  param(name: string): string | undefined {
    const value = this.#params?.get(name);
    return value === null ? '' : value;
  }

  clone(): SipUri {
    return new SipUri(this.scheme, this.host, { ...this, params: this.#params && new Map(this.#params) });
  }

  toString(): string {
    if (this.opaque !== undefined) return `${this.scheme}:${this.opaque}`;
    let text = this.scheme + ':';
    if (this.user !== undefined)
      text += this.user + (this.password === undefined ? '' : ':' + this.password) + '@';
    text += this.host;
    if (this.port !== undefined) text += ':' + String(this.port);
    if (this.#params)
      for (const [name, value] of this.#params) text += value === null ? `;${name}` : `;${name}=${value}`;
    if (this.headers !== undefined) text += '?' + this.headers;
    return text;
  }
}

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):/;
const USER = /^(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+$/;
const PASSWORD = /^(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*$/;
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9\-_.]*[A-Za-z0-9.])?$/;
const PARAM = /^(?:[A-Za-z0-9\-_.!~*'()[\]/:&+$]|%[0-9A-Fa-f]{2})+$/;
const URI_HEADERS = /^(?:[A-Za-z0-9\-_.!~*'()[\]/?:+$=&,;]|%[0-9A-Fa-f]{2})*$/;
const OTHER = /^[\x21\x23-\x3b\x3d\x3f-\x7e]+$/;

function fail(text: string, why: string): never {
  throw new ParleyError('sip-bad-uri', `${why} in ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`);
}

/**
 * Parses an absolute URI.
 * @throws ParleyError `sip-bad-uri` that says what is wrong.
 */
export function parseUri(text: string): SipUri {
  if (text.startsWith('sip:')) return parseSip(text, 'sip', text.slice(4));
  const scheme = SCHEME.exec(text)?.[1];
  if (scheme === undefined) fail(text, 'no scheme');
  const lower = scheme.toLowerCase();
  const rest = text.slice(scheme.length + 1);
  if (lower === 'sip' || lower === 'sips') return parseSip(text, lower, rest);
  if (!OTHER.test(rest)) fail(text, 'character not allowed');
  return new SipUri(lower, '', { opaque: rest });
}

function parseSip(text: string, scheme: string, rest: string): SipUri {
  // only an @ ends the user part, which may hold ; and ? (RFC 3261 §19.1.1); elsewhere an @ is escaped
  const at = rest.indexOf('@');
  let user: string | undefined;
  let password: string | undefined;
  if (at >= 0) {
    const info = rest.slice(0, at);
    const colon = info.indexOf(':');
    user = colon < 0 ? info : info.slice(0, colon);
    password = colon < 0 ? undefined : info.slice(colon + 1);
    if (!USER.test(user)) fail(text, 'bad user part');
    if (password !== undefined && !PASSWORD.test(password)) fail(text, 'bad password');
  }
  const question = rest.indexOf('?', at + 1);
  const headers = question < 0 ? undefined : rest.slice(question + 1);
  if (headers !== undefined && !URI_HEADERS.test(headers)) fail(text, 'bad URI header');
  const end = question < 0 ? rest.length : question;
  const semicolon = rest.indexOf(';', at + 1);
  const hasParams = semicolon >= 0 && semicolon < end;
  const { host, port } = parseHostPort(rest.slice(at + 1, hasParams ? semicolon : end), text);
  const uri = new SipUri(scheme, host, { user, password, port, headers });
  if (hasParams) parseUriParams(rest.slice(semicolon + 1, end), uri.params, text);
  return uri;
}

/** Splits `host[:port]`; the host in lower case. Text is only for the error. */
export function parseHostPort(hostport: string, text: string): { host: string; port: number | undefined } {
  const bracket = hostport.startsWith('[') ? hostport.indexOf(']') : -1;
  const colon = hostport.indexOf(':', bracket < 0 ? 0 : bracket);
  if (colon < 0) return { host: checkHost(hostport, text), port: undefined };
  const host = checkHost(hostport.slice(0, colon), text);
  const digits = hostport.slice(colon + 1);
  const port = Number(digits);
  if (!/^\d{1,5}$/.test(digits) || port > 65_535) fail(text, 'bad port');
  return { host, port };
}

/** A host name, IPv4 address or bracketed IPv6 address in lower case. @throws ParleyError `sip-bad-uri` */
export function checkHost(host: string, text: string): string {
  const ok = host.startsWith('[')
    ? host.endsWith(']') && isIPv6(host.slice(1, -1)) && !host.includes('%')
    : HOST.test(host);
  if (!ok) fail(text, 'bad host');
  return host.toLowerCase();
}

function parseUriParams(text: string, params: Map<string, string | null>, whole: string): void {
  for (const part of text.split(';')) {
    const equals = part.indexOf('=');
    const raw = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? null : part.slice(equals + 1);
    if (!PARAM.test(raw) || (value !== null && !PARAM.test(value))) fail(whole, 'bad URI parameter');
    const name = normalizeEscapes(raw).toLowerCase();
    if (params.has(name)) fail(whole, `URI parameter ${name} twice`);
    params.set(name, value);
  }
}

const unescapable = /%([0-9A-Fa-f]{2})/g;
const UNRESERVED = /[A-Za-z0-9\-_.!~*'()]/;

/** Normal form for comparison: escapes of unreserved characters undone, the others in upper case (RFC 3261 §19.1.4). */
export function normalizeEscapes(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(unescapable, (escape, hex: string) => {
    const character = String.fromCharCode(parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
}

const comparedWhenOneSided = ['user', 'ttl', 'method', 'maddr', 'transport'];

/** Equality of SIP and SIPS URIs by RFC 3261 §19.1.4; other schemes as text, the scheme without case. */
export function sameUri(a: SipUri, b: SipUri): boolean {
  if (a.scheme !== b.scheme) return false;
  if (!a.isSip || !b.isSip) return a.opaque === b.opaque;
  if (a.host !== b.host || a.port !== b.port) return false;
  if (!samePart(a.user, b.user) || !samePart(a.password, b.password)) return false;
  for (const [name, value] of a.params) {
    const other = b.params.get(name);
    if (other === undefined) {
      if (comparedWhenOneSided.includes(name)) return false;
    } else if (!sameText(value, other)) return false;
  }
  for (const name of comparedWhenOneSided) if (b.params.has(name) && !a.params.has(name)) return false;
  return sameHeaders(a.headers, b.headers);
}

/** User parts and passwords: with case, an empty one is not an absent one. */
function samePart(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a === b || normalizeEscapes(a) === normalizeEscapes(b);
}

function sameText(a: string | null, b: string | null): boolean {
  if (a === null || b === null) return a === b;
  return a === b || normalizeEscapes(a).toLowerCase() === normalizeEscapes(b).toLowerCase();
}

function sameHeaders(a: string | undefined, b: string | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  const sorted = (headers: string): string =>
    headers
      .split('&')
      .map((header) => {
        const [name = '', ...value] = header.split('=');
        return `${name.toLowerCase()}=${normalizeEscapes(value.join('='))}`;
      })
      .sort()
      .join('&');
  return sorted(a) === sorted(b);
}
