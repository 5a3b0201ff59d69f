import { Headers } from './headers.js';
import { fieldAt, fieldOf, missingField } from './names.js';

/** The header fields of one head, and what makes the message unfit for any processing, if anything. */
export interface HeaderFields {
  readonly headers: Headers;
  readonly wrong: string | undefined;
}

/** As {@link readFields}, for the head of a message: those that every message holds must be there. */
export function readHeaders(text: string, pos: number, most: number): HeaderFields {
  const reader = readFields(text, pos, most);
  const missing = missingField(reader.seen);
  if (missing !== undefined) reader.wrong ??= `no ${missing} header field`;
  return reader;
}

/**
 * Reads the header fields from `pos` to the end of `text` (RFC 3261 §7.3). What is wrong stops nothing: the other
 * fields are needed to answer. No value holds a line break afterwards.
 * @param most how many fields are read.
 */
export function readFields(text: string, pos: number, most: number): HeaderReader {
  const reader = new HeaderReader(text.includes('\0'));
  while (pos < text.length) {
    let next = nextLine(text, pos);
    let folded = false;
    while (isSpaceAt(text, next)) {
      folded = true; // §7.3.1: a line that begins with white space goes on
      next = nextLine(text, next);
    }
    if (reader.headers.length === most) {
      reader.wrong ??= 'too many header fields';
      return reader;
    }
    const end = text.startsWith('\r\n', next - 2) ? next - 2 : next;
    reader.read(text, pos, end, folded || end === next);
    pos = next;
  }
  return reader;
}

class HeaderReader implements HeaderFields {
  readonly headers = new Headers();
  wrong: string | undefined;
  seen = 0;
  readonly #hasNul: boolean;

  constructor(hasNul: boolean) {
    this.#hasNul = hasNul;
  }

  /** @param odd whether the field is folded or ends without CRLF, so that its value may hold line feeds. */
  read(text: string, start: number, end: number, odd: boolean): void {
    const colon = text.indexOf(':', start);
    if (colon < 0 || colon >= end) {
      this.wrong ??= 'header field without colon';
      return;
    }
    let field = fieldAt(text, start, colon);
    let name = field?.name ?? '';
    if (field === undefined) {
      // white space before the colon is allowed, before the name it would be a folded start line
      name = text.slice(start, endOfWords(text, start, colon));
      field = fieldOf(name);
      if (field === undefined) {
        this.wrong ??= 'bad header field name';
        return;
      }
    }
    let value = trimSpace(text, colon + 1, end);
    if (odd) value = unfold(value);
    if (value.includes('\r') || (odd && value.includes('\n')) || (this.#hasNul && STRAY_NUL.test(value))) {
      this.wrong ??= `control character in ${name}`;
      value = value.replace(/[\r\n\0]/g, ' ').trim();
    }
    if (field.single && (this.seen & field.bit) !== 0) this.wrong ??= `more than one ${name} header field`;
    this.seen |= field.bit;
    this.headers.push(field.key, name, value);
  }
}

/** A quoted string may hold a NUL behind a backslash (§25.1 `quoted-pair`); elsewhere it only does harm. */
const STRAY_NUL = /(?:^|[^\\])\0/;

/** Index of the line after the one at `pos`. */
function nextLine(text: string, pos: number): number {
  const feed = text.indexOf('\n', pos);
  return feed < 0 ? text.length : feed + 1;
}

function isSpaceAt(text: string, i: number): boolean {
  return i < text.length && isSpace(text.charCodeAt(i));
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9;
}

/** Only SP and HT are white space on the wire, unlike in `String.trim`. */
function trimSpace(text: string, start: number, end: number): string {
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  return text.slice(start, endOfWords(text, start, end));
}

function endOfWords(text: string, start: number, end: number): number {
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return end;
}

function unfold(value: string): string {
  const joined = value.replace(/\r\n[ \t]+/g, ' ');
  return trimSpace(joined, 0, joined.length);
}
