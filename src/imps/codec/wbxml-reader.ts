import { impsError } from '../errors.js';
import { tagAliases, dateTimeElements, integerElements } from '../vocabulary/tags.js';
import { tokenTables, type TokenTable } from '../vocabulary/tables.js';
import { versionOfPublicId, versionOfPublicIdText, type CspVersion } from '../vocabulary/versions.js';
import { charsetByMib, utf8, type Charset } from './charset.js';
import { unpackDateTime } from './date-time.js';
import { noChildren, type Element } from './element.js';
import type { CodecLimits } from './limits.js';

/** A document as read. `version` is that of the public identifier; undefined when it is none of CSP 1.1 to 1.3. */
export interface WbxmlDocument {
  readonly root: Element;
  readonly version: CspVersion | undefined;
  readonly charset: Charset;
  /** What could not be understood though the document is well-formed; a request with one is answered 402. */
  readonly defect: string | undefined;
}

const malformed = (detail: string) => impsError('imps-wbxml-malformed', detail);

/**
 * Reads a WBXML 1.1 to 1.3 document (WAP-192 §5) of CSP.
 * An unknown tag becomes an element `page/token` that nobody asks for; an unknown value becomes a defect.
 * @throws ParleyError `imps-wbxml-malformed`, `imps-too-large`, `imps-charset-unsupported`
 */
export function readWbxml(bytes: Uint8Array, limits: CodecLimits): WbxmlDocument {
  if (bytes.length > limits.bytes) throw impsError('imps-too-large', `${bytes.length} octets`);
  return new WbxmlReader(bytes, limits).document();
}

class WbxmlReader {
  readonly #buffer: Buffer;
  readonly #end: number;
  readonly #limits: CodecLimits;
  #at = 0;
  #page = 0;
  #attributePage = 0;
  #table: TokenTable = tokenTables['1.3'];
  #charset: Charset = utf8;
  #strings = 0;
  #stringsEnd = 0;
  #elements = 0;
  #characters = 0;
  #defect: string | undefined;

  constructor(bytes: Uint8Array, limits: CodecLimits) {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#end = bytes.length;
    this.#limits = limits;
  }

  document(): WbxmlDocument {
    const wbxmlVersion = this.#octet();
    if (wbxmlVersion > 3) throw malformed(`WBXML version ${(wbxmlVersion >> 4) + 1}.${wbxmlVersion & 15}`);
    const publicId = this.#integer();
    const publicIdIndex = publicId === 0 ? this.#integer() : 0;
    // WBXML 1.0 has no charset field (WAP-154 §5.6)
    this.#charset = charsetByMib(wbxmlVersion === 0 ? 0 : this.#integer());
    const tableLength = this.#integer();
    this.#strings = this.#at;
    this.#stringsEnd = this.#at + tableLength;
    if (this.#stringsEnd > this.#end) throw malformed('string table beyond the end');
    this.#at = this.#stringsEnd;
    const version =
      publicId === 0 ? versionOfPublicIdText(this.#tableString(publicIdIndex)) : versionOfPublicId(publicId);
    if (version) this.#table = tokenTables[version];
    let token = this.#nextToken();
    while (token === 0x43) {
      this.#attributes(); // a processing instruction has the form of an attribute list
      token = this.#nextToken();
    }
    if (!isTag(token)) throw malformed('no root element');
    const root = this.#element(token, 1);
    while (this.#at < this.#end) {
      if (this.#octet() !== 0x43) throw malformed('octets after the root element');
      this.#attributes();
    }
    return { root, version, charset: this.#charset, defect: this.#defect };
  }

  #octet(): number {
    if (this.#at >= this.#end) throw malformed('ends too early');
    return this.#buffer[this.#at++]!;
  }

  /** mb_u_int32: seven bits an octet, most significant first, at most 32 bits (WAP-192 §5.1). */
  #integer(): number {
    let value = 0;
    for (let count = 0; count < 5; count++) {
      const octet = this.#octet();
      value = value * 128 + (octet & 0x7f);
      if (octet < 0x80) {
        if (value > 0xffffffff) break;
        return value;
      }
    }
    throw malformed('integer over 32 bits');
  }

  /** The next token that is no SWITCH_PAGE. */
  #nextToken(): number {
    let token = this.#octet();
    while (token === 0) {
      this.#page = this.#octet();
      token = this.#octet();
    }
    return token;
  }

  #element(token: number, depth: number): Element {
    if (depth > this.#limits.depth) throw malformed(`nested deeper than ${this.#limits.depth}`);
    if (++this.#elements > this.#limits.elements) throw impsError('imps-too-large', 'too many elements');
    const name = this.#name(token);
    const namespace = (token & 0x80) !== 0 ? this.#attributes() : undefined;
    if ((token & 0x40) === 0) return { name, namespace, children: noChildren, text: '', bytes: undefined };
    let children: Element[] | undefined;
    let text = '';
    let bytes: Uint8Array | undefined;
    for (;;) {
      const next = this.#nextToken();
      if (next === 0x01) break;
      if (next === 0x03) text += this.#inlineString();
      else if (next === 0x80) text += this.#value(this.#integer(), name);
      else if (next === 0xc3) {
        const opaque = this.#opaque();
        const read = this.#opaqueText(opaque, name);
        // a copy: what is kept of a request must not keep all of it
        if (read === undefined) bytes = Uint8Array.from(opaque);
        else text += read;
      } else if (isTag(next)) (children ??= []).push(this.#element(next, depth + 1));
      else text += this.#rare(next);
    }
    if (children) return { name, namespace, children, text: '', bytes: undefined };
    return { name, namespace, children: noChildren, text, bytes };
  }

  #name(token: number): string {
    const identity = token & 0x3f;
    if (identity === 0x04) {
      const literal = this.#tableString(this.#integer());
      return tagAliases[literal] ?? literal;
    }
    return (
      this.#table.names[(this.#page << 6) | identity] ?? `${this.#page.toString(16)}/${identity.toString(16)}`
    );
  }

  /** Reads an attribute list up to its END. @returns the xmlns, if there is one */
  #attributes(): string | undefined {
    let namespace: string | undefined;
    let inNamespace = false;
    for (;;) {
      const token = this.#octet();
      if (token === 0x01) return namespace;
      if (token === 0x00) this.#attributePage = this.#octet();
      else if (token === 0x03) namespace = append(namespace, this.#inlineString(), inNamespace);
      else if (token === 0x83) namespace = append(namespace, this.#tableString(this.#integer()), inNamespace);
      else if (token === 0xc3) this.#opaque();
      else if (token === 0x04) inNamespace = this.#tableString(this.#integer()) === 'xmlns';
      else if (token < 0x80 && !isExtension(token) && token !== 0x02) {
        const prefix = this.#attributePage === 0 ? this.#table.attributePrefixes[token] : undefined;
        inNamespace = prefix !== undefined;
        if (prefix !== undefined) namespace = prefix;
      } else if (isExtension(token) || token === 0x02) this.#rare(token);
      // what is left is an attribute value token, and CSP has none
    }
  }

  /** The tokens that CSP's own encoders never write. */
  #rare(token: number): string {
    switch (token) {
      case 0x02: {
        const codePoint = this.#integer();
        if (codePoint === 0 || codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint < 0xe000))
          throw malformed('entity out of range');
        return this.#count(String.fromCodePoint(codePoint));
      }
      case 0x83:
        return this.#tableString(this.#integer());
      case 0x43:
        this.#attributes();
        return '';
      case 0x40:
      case 0x41:
      case 0x42:
        this.#inlineString();
        break;
      case 0x81:
      case 0x82:
        this.#integer();
        break;
      case 0xc0:
      case 0xc1:
      case 0xc2:
        break;
      default:
        throw malformed(`token ${token.toString(16)}`);
    }
    this.#defect ??= `extension token ${token.toString(16)}`;
    return '';
  }

  #value(number: number, name: string): string {
    const value = this.#table.elementValues.get(name)?.values.get(number) ?? this.#table.values[number];
    if (value !== undefined) return value;
    this.#defect ??= `unknown value ${number.toString(16)} in ${name}`;
    return '';
  }

  #opaque(): Buffer {
    const length = this.#integer();
    if (length > this.#end - this.#at) throw malformed('opaque data beyond the end');
    const start = this.#at;
    this.#at += length;
    return this.#buffer.subarray(start, this.#at);
  }

  /** Text of opaque data by the element's type, or undefined when it is octets. */
  #opaqueText(opaque: Buffer, name: string): string | undefined {
    if (integerElements.has(name)) {
      if (opaque.length <= 6) return opaque.length === 0 ? '0' : String(opaque.readUIntBE(0, opaque.length));
      this.#defect ??= `integer of ${opaque.length} octets in ${name}`;
      return '';
    }
    if (dateTimeElements.has(name)) {
      const text = unpackDateTime(opaque);
      if (text === undefined) this.#defect ??= `no date in ${name}`;
      return text ?? '';
    }
    const text = this.#charset.decode(opaque);
    // no XML text has a zero in it either
    return text.includes('\ufffd') || text.includes('\0') ? undefined : this.#count(text);
  }

  #inlineString(): string {
    const start = this.#at;
    this.#at = this.#stringEnd(start, this.#end);
    const text = this.#text(start, this.#at);
    this.#at += this.#charset.unit;
    return text;
  }

  #tableString(index: number): string {
    const start = this.#strings + index;
    if (start >= this.#stringsEnd) throw malformed('string table index outside');
    return this.#count(this.#text(start, this.#stringEnd(start, this.#stringsEnd)));
  }

  /** Where the string that begins at `start` has its terminator. */
  #stringEnd(start: number, limit: number): number {
    const buffer = this.#buffer;
    if (this.#charset.unit === 1) {
      for (let at = start; at < limit; at++) if (buffer[at] === 0) return at;
    } else {
      for (let at = start; at + 1 < limit; at += 2) if (buffer[at] === 0 && buffer[at + 1] === 0) return at;
    }
    throw malformed('string without end');
  }

  #text(start: number, end: number): string {
    const buffer = this.#buffer;
    if (this.#charset !== utf8) return this.#charset.decode(buffer.subarray(start, end));
    return buffer.toString('utf8', start, end);
  }

  #count(text: string): string {
    this.#characters += text.length;
    if (this.#characters > this.#limits.characters) throw impsError('imps-too-large', 'too much text');
    return text;
  }
}

/** Global tokens that stand where a tag may stand (WAP-192 §7.1). */
const isExtension = (token: number): boolean =>
  (token >= 0x40 && token <= 0x43) || (token >= 0x80 && token <= 0x83) || (token >= 0xc0 && token <= 0xc3);

const isTag = (token: number): boolean => (token & 0x3f) > 0x03;

const append = (namespace: string | undefined, text: string, inNamespace: boolean): string | undefined =>
  inNamespace ? (namespace ?? '') + text : namespace;
