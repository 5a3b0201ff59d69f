import { impsError } from '../errors.js';
import type { CodecLimits } from './limits.js';

/** A value of the plain text syntax: a text, or values in parentheses. */
export type TextValue = string | readonly TextValue[];

/** `UI=value`; an element that occurs several times may be several parameters. */
export interface TextParameter {
  readonly name: string;
  readonly value: TextValue;
}

const malformed = (detail: string) => impsError('imps-text-malformed', detail);

/** Characters that a value may hold only between quotes. */
const special = /[ ",()=&]/;

/** Reads parameters separated by blanks. @throws ParleyError `imps-text-malformed`, `imps-too-large` */
export function parseParameters(text: string, limits: CodecLimits): TextParameter[] {
  return new Parameters(text, limits).all();
}

class Parameters {
  readonly #text: string;
  readonly #limits: CodecLimits;
  #at = 0;
  #values = 0;

  constructor(text: string, limits: CodecLimits) {
    this.#text = text;
    this.#limits = limits;
  }

  all(): TextParameter[] {
    const parameters: TextParameter[] = [];
    for (;;) {
      while (this.#text[this.#at] === ' ') this.#at++;
      if (this.#at >= this.#text.length) return parameters;
      const equals = this.#text.indexOf('=', this.#at);
      const name = equals < 0 ? '' : this.#text.slice(this.#at, equals);
      if (!/^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(name)) throw malformed(`a name at ${this.#at}`);
      this.#at = equals + 1;
      const value = this.#value(1);
      if (this.#at < this.#text.length && this.#text[this.#at] !== ' ')
        throw malformed(`a value at ${this.#at}`);
      parameters.push({ name, value });
    }
  }

  #value(depth: number): TextValue {
    if (depth > this.#limits.depth) throw malformed(`nested deeper than ${this.#limits.depth}`);
    if (++this.#values > this.#limits.elements) throw impsError('imps-too-large', 'too many values');
    const first = this.#text[this.#at];
    if (first === '"') return this.#quoted();
    if (first !== '(') return this.#bare();
    const group: TextValue[] = [];
    do {
      this.#at++;
      group.push(this.#value(depth + 1));
    } while (this.#text[this.#at] === ',');
    if (this.#text[this.#at] !== ')') throw malformed(`a group that does not end at ${this.#at}`);
    this.#at++;
    return group;
  }

  #quoted(): string {
    let value = '';
    for (;;) {
      const end = this.#text.indexOf('"', this.#at + 1);
      if (end < 0) throw malformed(`a quote that does not end after ${this.#at}`);
      value += this.#text.slice(this.#at + 1, end);
      this.#at = end;
      // a quote within quotes is written twice
      if (this.#text[end + 1] !== '"') break;
      value += '"';
      this.#at = end + 1;
    }
    this.#at++;
    return value;
  }

  #bare(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && !special.test(this.#text[this.#at]!)) this.#at++;
    return this.#text.slice(start, this.#at);
  }
}

/** Writes a value; texts with characters of the syntax are quoted, quotes in them doubled. */
export function formatValue(value: TextValue): string {
  if (typeof value === 'string') return special.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  return `(${value.map(formatValue).join(',')})`;
}
