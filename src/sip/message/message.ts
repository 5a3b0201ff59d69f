import { parseAddress, parseAddresses, type Address } from './address.js';
import type { Headers } from './headers.js';
import { bad, parseNumber, skipSpace, skipToken, splitList } from './lexer.js';
import { headerName } from './names.js';
import { parseUri, type SipUri } from './uri.js';
import { parseVia, type Via } from './via.js';

/** How the octets of the head were read, and are written again: `latin1` is for heads that are not UTF-8 and must survive. */
export type Charset = 'latin1' | 'utf8';

export interface CSeq {
  readonly number: number;
  readonly method: string;
}

const none = new Uint8Array(0);

/** A decoded value together with the text it came from: it is valid as long as the header field has that text. */
interface Decoded<T> {
  readonly text: string;
  readonly value: T;
}

/**
 * What requests and responses share. Header fields are decoded when asked for and remembered until they change.
 * The decoding getters throw ParleyError `sip-bad-header` or `sip-bad-uri`.
 */
export abstract class SipMessage {
  readonly headers: Headers;
  body: Uint8Array;
  readonly charset: Charset;
  #from: Decoded<Address> | undefined;
  #to: Decoded<Address> | undefined;
  #via: Decoded<Via> | undefined;
  #cseq: Decoded<CSeq> | undefined;

  constructor(headers: Headers, body: Uint8Array = none, charset: Charset = 'utf8') {
    this.headers = headers;
    this.body = body;
    this.charset = charset;
  }

  /** Takes over what another message with the same header fields has decoded already. */
  protected adopt(other: SipMessage): void {
    this.#from = other.#from;
    this.#to = other.#to;
    this.#via = other.#via;
    this.#cseq = other.#cseq;
  }

  /** The first line, without CRLF. */
  abstract startLine(): string;

  /** The first value of a header field, as text. */
  get(name: string): string | undefined {
    return this.headers.get(name);
  }

  has(name: string): boolean {
    return this.headers.has(name);
  }

  get callId(): string {
    return this.#required('call-id');
  }

  get from(): Address {
    const text = this.#required('from');
    if (this.#from?.text !== text) this.#from = { text, value: parseAddress(text, 'From') };
    return this.#from.value;
  }

  get to(): Address {
    const text = this.#required('to');
    if (this.#to?.text !== text) this.#to = { text, value: parseAddress(text, 'To') };
    return this.#to.value;
  }

  get fromTag(): string | undefined {
    return this.from.params.get('tag') ?? undefined;
  }

  get toTag(): string | undefined {
    return this.to.params.get('tag') ?? undefined;
  }

  /** The topmost Via. */
  get via(): Via {
    const line = this.#required('via');
    if (this.#via?.text !== line) {
      const text = line.includes(',') ? (splitList(line)[0] ?? line) : line;
      this.#via = { text: line, value: parseVia(text) };
    }
    return this.#via.value;
  }

  /** Puts another value in the place of the topmost Via. @param via what `text` says: it need not be decoded again. */
  replaceVia(text: string, via: Via): void {
    this.headers.replaceFirst('Via', text);
    const line = this.#required('via');
    if (line === text) this.#via = { text, value: via };
  }

  get cseq(): CSeq {
    const text = this.#required('cseq');
    if (this.#cseq?.text !== text) this.#cseq = { text, value: parseCSeq(text) };
    return this.#cseq.value;
  }

  /** All Contact addresses; `*` is not one, ask {@link hasWildcardContact}. */
  get contacts(): Address[] {
    const lines = this.headers.lines('Contact');
    return lines.length === 1 && lines[0] === '*' ? [] : parseAddresses(lines, 'Contact');
  }

  get hasWildcardContact(): boolean {
    return this.headers.lines('Contact').includes('*');
  }

  /** The addresses of Route, Record-Route, Path, Service-Route and their like. */
  addresses(name: string): Address[] {
    return parseAddresses(this.headers.lines(name), name);
  }

  /** A header field that is one number, or undefined when it is absent. */
  number(name: string, max = 0xffff_ffff): number | undefined {
    const text = this.headers.get(name);
    if (text === undefined) return undefined;
    const value = parseNumber(text, max);
    if (value === undefined) throw bad(name, 'not a number in range');
    return value;
  }

  #required(key: string): string {
    const text = this.headers.getByKey(key);
    if (text === undefined) throw bad(headerName(key), 'missing');
    return text;
  }
}

function parseCSeq(text: string): CSeq {
  const digits = skipToken(text, 0);
  const number = parseNumber(text.slice(0, digits), 0x7fff_ffff);
  const method = skipSpace(text, digits);
  const end = skipToken(text, method);
  if (number === undefined || method === digits || end === method || end < text.length)
    throw bad('CSeq', 'not a number below 2**31 and a method');
  return { number, method: text.slice(method) };
}

/** A request (RFC 3261 §7.1). */
export class SipRequest extends SipMessage {
  readonly method: string;
  /** The Request-URI as text. */
  uri: string;
  #parsed: Decoded<SipUri> | undefined;

  constructor(method: string, uri: string, headers: Headers, body?: Uint8Array, charset?: Charset) {
    super(headers, body, charset);
    this.method = method;
    this.uri = uri;
  }

  /** @throws ParleyError `sip-bad-uri` */
  get requestUri(): SipUri {
    if (this.#parsed?.text !== this.uri) this.#parsed = { text: this.uri, value: parseUri(this.uri) };
    return this.#parsed.value;
  }

  startLine(): string {
    return `${this.method} ${this.uri} SIP/2.0`;
  }

  /** A copy that can be changed without changing this one; the body's octets are shared. */
  clone(): SipRequest {
    return new SipRequest(this.method, this.uri, this.headers.clone(), this.body, this.charset);
  }
}

/** A response (RFC 3261 §7.2). */
export class SipResponse extends SipMessage {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, headers: Headers, body?: Uint8Array, charset?: Charset) {
    super(headers, body, charset);
    this.status = status;
    this.reason = reason;
  }

  startLine(): string {
    return `SIP/2.0 ${this.status} ${this.reason}`;
  }

  clone(): SipResponse {
    return new SipResponse(this.status, this.reason, this.headers.clone(), this.body, this.charset);
  }
}
