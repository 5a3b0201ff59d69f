import { dateTimeElements, integerElements } from '../vocabulary/tags.js';
import { tokenTables, type TokenTable } from '../vocabulary/tables.js';
import type { CspVersion } from '../vocabulary/versions.js';
import { utf8, type Charset } from './charset.js';
import { packDateTime } from './date-time.js';
import type { Element } from './element.js';

/** Longer texts are no value of the vocabulary, so they are not looked up. */
const LONGEST_VALUE = 32;
/** Below this length a loop writes ASCII faster than a call into the runtime. */
const SHORT = 32;

/**
 * Writes a document as WBXML 1.3 of that version of CSP: value numbers for whole texts, OPAQUE for integers and dates,
 * inline strings else. A name that the version has no token for becomes a literal of the string table.
 */
export function writeWbxml(root: Element, version: CspVersion, charset: Charset = utf8): Buffer {
  return new WbxmlWriter(tokenTables[version], charset).document(root);
}

class WbxmlWriter {
  readonly #table: TokenTable;
  readonly #charset: Charset;
  #buffer = Buffer.allocUnsafe(1024);
  #at = 0;
  #page = 0;
  #literals: Map<string, number> | undefined;
  #strings: Buffer[] = [];
  #stringsLength = 0;

  constructor(table: TokenTable, charset: Charset) {
    this.#table = table;
    this.#charset = charset;
  }

  document(root: Element): Buffer {
    this.#header();
    this.#octet(0); // no string table, until an element asks for one
    const bodyAt = this.#at;
    this.#element(root);
    const written = this.#buffer.subarray(0, this.#at);
    if (!this.#literals) return written;
    const body = Buffer.from(written.subarray(bodyAt));
    this.#at = 0;
    this.#header();
    this.#integer(this.#stringsLength);
    return Buffer.concat([this.#buffer.subarray(0, this.#at), ...this.#strings, body]);
  }

  #header(): void {
    this.#octet(0x03);
    this.#integer(this.#table.publicId);
    this.#integer(this.#charset.mib);
  }

  #element(element: Element): void {
    const { children, text, bytes } = element;
    const hasContent = children.length > 0 || text !== '' || bytes !== undefined;
    const flags = (element.namespace === undefined ? 0 : 0x80) | (hasContent ? 0x40 : 0);
    const cell = this.#table.tokens.get(element.name);
    if (cell === undefined) {
      this.#octet(0x04 | flags);
      this.#integer(this.#literal(element.name));
    } else {
      const page = cell >> 6;
      if (page !== this.#page) {
        this.#octet(0);
        this.#octet(page);
        this.#page = page;
      }
      this.#octet((cell & 0x3f) | flags);
    }
    if (element.namespace !== undefined) this.#namespace(element.namespace);
    if (!hasContent) return;
    if (children.length > 0) for (const inner of children) this.#element(inner);
    else if (bytes !== undefined) this.#opaque(bytes);
    else this.#content(element.name, text);
    this.#octet(0x01);
  }

  #namespace(namespace: string): void {
    const prefixes = this.#table.attributePrefixes;
    for (let token = 0x05; token < prefixes.length; token++) {
      const prefix = prefixes[token];
      if (prefix === undefined || !namespace.startsWith(prefix)) continue;
      this.#octet(token);
      if (namespace.length > prefix.length) this.#string(namespace.slice(prefix.length));
      this.#octet(0x01);
      return;
    }
    this.#octet(0x04);
    this.#integer(this.#literal('xmlns'));
    this.#string(namespace);
    this.#octet(0x01);
  }

  #content(name: string, text: string): void {
    if (integerElements.has(name)) {
      const octets = integerOctets(text);
      if (octets) return this.#opaque(octets);
    } else if (dateTimeElements.has(name)) {
      const octets = packDateTime(text);
      if (octets) return this.#opaque(octets);
    }
    if (text.length <= LONGEST_VALUE) {
      const exceptions = this.#table.elementValues.get(name);
      const number = exceptions?.numbers.get(text) ?? this.#table.numbers.get(text);
      // a number that means something else in this element must not stand for the general value
      if (number !== undefined && (exceptions?.values.get(number) ?? text) === text) {
        this.#octet(0x80);
        this.#integer(number);
        return;
      }
    }
    this.#string(text);
  }

  #opaque(bytes: Uint8Array): void {
    this.#octet(0xc3);
    this.#integer(bytes.length);
    this.#bytes(bytes);
  }

  #string(text: string): void {
    if (this.#charset !== utf8) return this.#foreignString(text);
    const length = text.length;
    this.#reserve(length * 3 + 2);
    const buffer = this.#buffer;
    let at = this.#at;
    buffer[at++] = 0x03;
    let index = 0;
    if (length <= SHORT) {
      for (; index < length; index++) {
        const code = text.charCodeAt(index);
        if (code > 0x7f || code === 0) break;
        buffer[at + index] = code;
      }
    }
    if (index === length) at += length;
    else {
      // an inline string ends at its first zero, so a zero cannot travel in one
      at += buffer.write(text.includes('\0') ? text.replaceAll('\0', '') : text, at, 'utf8');
    }
    buffer[at++] = 0;
    this.#at = at;
  }

  /** A character outside the charset travels as ENTITY, between two inline strings (WAP-192 §5.8.4.3). */
  #foreignString(text: string): void {
    const end = this.#charset.unit === 2 ? [0, 0] : [0];
    const missing = (codePoint: number): Uint8Array =>
      Buffer.from([...end, 0x02, ...multiByte(codePoint), 0x03]);
    this.#octet(0x03);
    this.#bytes(this.#charset.encode(text.replaceAll('\0', ''), missing));
    for (const octet of end) this.#octet(octet);
  }

  #literal(name: string): number {
    this.#literals ??= new Map();
    const known = this.#literals.get(name);
    if (known !== undefined) return known;
    const bytes = Buffer.concat([
      this.#charset.encode(name, () => Buffer.from('?')),
      Buffer.alloc(this.#charset.unit),
    ]);
    const index = this.#stringsLength;
    this.#literals.set(name, index);
    this.#strings.push(bytes);
    this.#stringsLength += bytes.length;
    return index;
  }

  #integer(value: number): void {
    if (value < 0x80) return this.#octet(value);
    for (const octet of multiByte(value)) this.#octet(octet);
  }

  #octet(octet: number): void {
    if (this.#at === this.#buffer.length) this.#reserve(1);
    this.#buffer[this.#at++] = octet;
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + more));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

/** mb_u_int32, most significant seven bits first. */
function multiByte(value: number): number[] {
  const octets = [value & 0x7f];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    octets.unshift((rest & 0x7f) | 0x80);
  }
  return octets;
}

/** One to four octets, big-endian, without leading zeros; undefined when the text is no 32-bit number. */
function integerOctets(text: string): Uint8Array | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  if (value > 0xffffffff) return undefined;
  if (value < 0x100) return Uint8Array.of(value);
  if (value < 0x10000) return Uint8Array.of(value >> 8, value);
  if (value < 0x1000000) return Uint8Array.of(value >> 16, value >> 8, value);
  return Uint8Array.of(value >>> 24, value >> 16, value >> 8, value);
}
