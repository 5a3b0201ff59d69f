/**
 * A CSP document as a tree, the same for XML and WBXML: integers and dates are text as in XML. CSP has no attribute
 * but `xmlns`, so others are read past. An element holds children or text; white space between children is dropped.
 */
export interface Element {
  readonly name: string;
  /** `xmlns` written on this element itself; not inherited. */
  readonly namespace: string | undefined;
  readonly children: readonly Element[];
  readonly text: string;
  /** Octets of a WBXML OPAQUE that is no text, in an element that is neither integer nor date. */
  readonly bytes: Uint8Array | undefined;
}

export const noChildren: readonly Element[] = [];

/** Content of {@link element}: text, a number, a truth value (`T`, `F`), or children; undefined children are left out. */
export type Content = string | number | boolean | undefined | Element | readonly (Element | undefined)[];

/** Builds an element; `element('Result', element('Code', 200))`. */
export function element(name: string, ...content: readonly Content[]): Element {
  let text = '';
  let children: Element[] | undefined;
  for (const piece of content) {
    if (piece === undefined) continue;
    if (typeof piece === 'string') text += piece;
    else if (typeof piece === 'number') text += String(piece);
    else if (typeof piece === 'boolean') text += piece ? 'T' : 'F';
    else if (isList(piece)) {
      for (const child of piece) if (child) (children ??= []).push(child);
    } else (children ??= []).push(piece);
  }
  return {
    name,
    namespace: undefined,
    children: children ?? noChildren,
    text: children ? '' : text,
    bytes: undefined,
  };
}

const isList = (
  value: Element | readonly (Element | undefined)[],
): value is readonly (Element | undefined)[] => Array.isArray(value);

/** The first child of that name. */
export function child(parent: Element | undefined, name: string): Element | undefined {
  if (parent === undefined) return undefined;
  for (const candidate of parent.children) if (candidate.name === name) return candidate;
  return undefined;
}

/** Every child of that name, in order. */
export function childrenOf(parent: Element | undefined, name: string): readonly Element[] {
  return parent === undefined ? noChildren : parent.children.filter((candidate) => candidate.name === name);
}

/** Text of the first child of that name, or undefined when there is none. */
export const textOf = (parent: Element | undefined, name: string): string | undefined =>
  child(parent, name)?.text;

/** Texts of all children of that name. */
export const textsOf = (parent: Element | undefined, name: string): string[] =>
  childrenOf(parent, name).map((found) => found.text);

/** A whole number of the first child of that name; undefined when absent or not digits. */
export function numberOf(parent: Element | undefined, name: string): number | undefined {
  const text = textOf(parent, name)?.trim();
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** `T` or `F` of the first child of that name; undefined when absent or neither. */
export function flagOf(parent: Element | undefined, name: string): boolean | undefined {
  const text = textOf(parent, name)?.trim().toUpperCase();
  return text === 'T' ? true : text === 'F' ? false : undefined;
}
