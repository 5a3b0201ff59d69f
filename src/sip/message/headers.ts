import { bad, splitList } from './lexer.js';
import { fieldOf, headerKey, headerName, listHeaders } from './names.js';

/** A header field as a caller writes it: one value, or several lines of the same name. */
export type HeaderValue = string | number | readonly string[];
/** Header fields by name, in the spelling and order in which they are to be written. */
export type HeaderMap = Readonly<Record<string, HeaderValue | undefined>>;

/**
 * The header fields of one message in the order of the wire. Names keep their spelling, values are the text
 * between colon and line end, unfolded and trimmed; nothing is decoded until asked for.
 * What changes them throws ParleyError `sip-bad-header` for a name that is no token and a value with a line break,
 * so that no value from elsewhere can add header fields of its own.
 */
export class Headers {
  readonly #keys: string[];
  readonly #names: string[];
  readonly #values: string[];

  constructor(keys: string[] = [], names: string[] = [], values: string[] = []) {
    this.#keys = keys;
    this.#names = names;
    this.#values = values;
  }

  static from(map: HeaderMap): Headers {
    const headers = new Headers();
    headers.assign(map);
    return headers;
  }

  get length(): number {
    return this.#keys.length;
  }

  /** Appends a field as it was read from a message: neither name nor value is checked, `key` is that of `name`. */
  push(key: string, name: string, value: string): void {
    this.#keys.push(key);
    this.#names.push(name);
    this.#values.push(value);
  }

  has(name: string): boolean {
    return this.#keys.includes(headerKey(name));
  }

  /** The value of the first field of that name, unsplit. */
  get(name: string): string | undefined {
    return this.getByKey(headerKey(name));
  }

  /** As {@link get}, for a key: the lower-case long form. */
  getByKey(key: string): string | undefined {
    const index = this.#keys.indexOf(key);
    return index < 0 ? undefined : this.#values[index];
  }

  /** The values of all fields of that name, one a line, unsplit. */
  lines(name: string): string[] {
    const key = headerKey(name);
    const found: string[] = [];
    for (let i = 0; i < this.#keys.length; i++) if (this.#keys[i] === key) found.push(this.#values[i]!);
    return found;
  }

  /** The values of a comma-separated field, over all its lines, in order. */
  list(name: string): string[] {
    const key = headerKey(name);
    const found: string[] = [];
    for (let i = 0; i < this.#keys.length; i++) {
      if (this.#keys[i] !== key) continue;
      const value = this.#values[i]!;
      if (value.includes(',')) found.push(...splitList(value));
      else if (value !== '') found.push(value);
    }
    return found;
  }

  /** True when a comma-separated field has that token, compared without case (option tags, methods). */
  hasToken(name: string, token: string): boolean {
    const key = headerKey(name);
    const wanted = token.toLowerCase();
    for (let i = 0; i < this.#keys.length; i++) {
      if (this.#keys[i] !== key) continue;
      const value = this.#values[i]!.toLowerCase();
      if (value === wanted) return true;
      if (value.includes(wanted) && splitList(value).includes(wanted)) return true;
    }
    return false;
  }

  /** Replaces all fields of that name by one (or one a line), at the place of the first, else at the end. */
  set(name: string, value: HeaderValue): void {
    const key = checkedKey(name);
    const index = this.#keys.indexOf(key);
    if (index < 0) {
      this.append(name, value);
      return;
    }
    if (typeof value === 'object') {
      const lines = checkedLines(name, value);
      this.remove(name);
      this.#insert(index, key, name, lines);
      return;
    }
    const line = checkedLine(name, value);
    for (let i = this.#keys.length - 1; i > index; i--) if (this.#keys[i] === key) this.#delete(i);
    this.#values[index] = line;
  }

  /** Adds fields after all others. */
  append(name: string, value: HeaderValue): void {
    const key = checkedKey(name);
    const spelling = name === key ? headerName(key) : name;
    if (typeof value === 'object')
      for (const line of checkedLines(name, value)) this.push(key, spelling, line);
    else this.push(key, spelling, checkedLine(name, value));
  }

  /** Adds fields before the first of that name, else before all others: where Via, Route and Path grow. */
  prepend(name: string, value: HeaderValue): void {
    const key = checkedKey(name);
    this.#insert(Math.max(0, this.#keys.indexOf(key)), key, name, checkedLines(name, value));
  }

  /** Removes all fields of that name. @returns whether there was one. */
  remove(name: string): boolean {
    const key = headerKey(name);
    let removed = false;
    for (let i = this.#keys.length - 1; i >= 0; i--) {
      if (this.#keys[i] !== key) continue;
      this.#delete(i);
      removed = true;
    }
    return removed;
  }

  /**
   * Takes the first value off a comma-separated field (the topmost Via or Route) and gives it back.
   * The line goes when it held nothing else; lines without any value before it go too.
   */
  shift(name: string): string | undefined {
    const key = headerKey(name);
    for (let index = this.#keys.indexOf(key); index >= 0; index = this.#keys.indexOf(key)) {
      const [first, ...rest] = splitList(this.#values[index]!);
      if (rest.length > 0) this.#values[index] = rest.join(', ');
      else this.#delete(index);
      if (first !== undefined) return first;
    }
    return undefined;
  }

  /** Replaces the first value of a comma-separated field and leaves the others of its line. */
  replaceFirst(name: string, value: string): void {
    const index = this.#keys.indexOf(headerKey(name));
    if (index < 0) {
      this.prepend(name, value);
      return;
    }
    const line = this.#values[index]!;
    const rest = line.includes(',') ? splitList(line).slice(1) : [];
    const first = checkedLine(name, value);
    this.#values[index] = rest.length > 0 ? [first, ...rest].join(', ') : first;
  }

  /** Sets every field of the map; an undefined value leaves its field as it is. */
  assign(map: HeaderMap): void {
    for (const name in map) {
      const value = map[name];
      if (value !== undefined) this.set(name, value);
    }
  }

  /** Copies all fields of that name from another message, line by line. */
  copyFrom(other: Headers, name: string): void {
    const key = headerKey(name);
    for (let i = 0; i < other.#keys.length; i++) {
      if (other.#keys[i] === key) this.push(key, other.#names[i]!, other.#values[i]!);
    }
  }

  clone(): Headers {
    return new Headers(this.#keys.slice(), this.#names.slice(), this.#values.slice());
  }

  /** Walks the fields in wire order: key, name as spelt, value. */
  *[Symbol.iterator](): Generator<readonly [key: string, name: string, value: string]> {
    for (let i = 0; i < this.#keys.length; i++) yield [this.#keys[i]!, this.#names[i]!, this.#values[i]!];
  }

  /** All fields but Content-Length as they go on the wire, each ended by CRLF. */
  toWire(): string {
    let text = '';
    for (let i = 0; i < this.#keys.length; i++) {
      if (this.#keys[i] === 'content-length') continue;
      text += this.#names[i]! + ': ' + this.#values[i]! + '\r\n';
    }
    return text;
  }

  #insert(index: number, key: string, name: string, lines: readonly string[]): void {
    const spelling = name === key ? headerName(key) : name;
    this.#keys.splice(index, 0, ...lines.map(() => key));
    this.#names.splice(index, 0, ...lines.map(() => spelling));
    this.#values.splice(index, 0, ...lines);
  }

  #delete(index: number): void {
    this.#keys.splice(index, 1);
    this.#names.splice(index, 1);
    this.#values.splice(index, 1);
  }
}

function checkedKey(name: string): string {
  const field = fieldOf(name);
  if (field === undefined)
    throw bad(name.replace(/[^\x20-\x7e]/g, '?').slice(0, 40), 'not a header field name');
  return field.key;
}

function checkedLine(name: string, value: string | number): string {
  const line = String(value);
  if (line.includes('\n') || line.includes('\r')) throw bad(name, 'line break in the value');
  return line;
}

function checkedLines(name: string, value: HeaderValue): readonly string[] {
  if (typeof value !== 'object') return [checkedLine(name, value)];
  for (const line of value) checkedLine(name, line);
  return value;
}

/** Whether several lines of that field may be joined by commas. */
export function isListHeader(name: string): boolean {
  return listHeaders.has(headerKey(name));
}
