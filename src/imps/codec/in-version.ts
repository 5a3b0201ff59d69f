import { tokenTables } from '../vocabulary/tables.js';
import type { CspVersion } from '../vocabulary/versions.js';
import type { Element } from './element.js';

/** Whether a version has an element of that name. */
export const hasName = (name: string, version: CspVersion): boolean => tokenTables[version].tokens.has(name);

/**
 * What one client wrote as a client of another version may read it: without the elements that the version has no name
 * for. Private elements go through to 1.3 alone, which tells clients to pass over what they do not know.
 */
export function inVersion(given: Element, version: CspVersion): Element {
  if (version === '1.3' || given.children.length === 0) return given;
  const children = given.children
    .filter(({ name }) => hasName(name, version))
    .map((inner) => inVersion(inner, version));
  return { ...given, children };
}
