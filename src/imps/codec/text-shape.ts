import { impsError } from '../errors.js';
import { element, type Element } from './element.js';
import type { TextValue } from './text-grammar.js';

/** How the elements of one kind are written as a value, and read from one. */
export interface Shape {
  /** @returns undefined when the element holds something that the shape has no place for */
  write(given: Element): TextValue | undefined;
  read(name: string, value: TextValue): Element;
}

export const malformed = (name: string) =>
  impsError('imps-text-malformed', `the value of ${name.slice(0, 40)}`);

/** Values in parentheses; `()` holds none. */
export function group(name: string, value: TextValue | undefined): readonly TextValue[] {
  if (value === undefined || typeof value === 'string') throw malformed(name);
  return value.length === 1 && value[0] === '' ? [] : value;
}

export function text(name: string, value: TextValue | undefined): string {
  if (typeof value !== 'string') throw malformed(name);
  return value;
}

export const elementName = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/** Any element: its text, or its children as pairs of name and value. */
export const plain: Shape = {
  write: (given) =>
    given.children.length > 0
      ? given.children.map((inner) => [inner.name, plain.write(inner)!])
      : given.bytes === undefined
        ? given.text
        : Buffer.from(given.bytes).toString('base64'),
  read: (name, value) => {
    if (!elementName.test(name)) throw malformed(name);
    if (typeof value === 'string') return element(name, value);
    return element(
      name,
      value.map((pair) => {
        const [inner, content, ...rest] = group(name, pair);
        if (content === undefined || rest.length > 0) throw malformed(name);
        return plain.read(text(name, inner), content);
      }),
    );
  },
};
