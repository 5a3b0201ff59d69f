import { tagAliases, tagEras, tagGroups } from './tags.js';
import { valueEras, valueGroups, valuesByElement } from './values.js';
import { attributeStarts, versions, versionNames, type CspVersion } from './versions.js';

/** The vocabulary of one version, laid out for the WBXML codec. */
export interface TokenTable {
  readonly version: CspVersion;
  readonly publicId: number;
  /** Element name by `page << 6 | token`. */
  readonly names: readonly (string | undefined)[];
  /** `page << 6 | token` by element name; only names that this version writes. */
  readonly tokens: ReadonlyMap<string, number>;
  /** Value string by EXT_T_0 number. */
  readonly values: readonly (string | undefined)[];
  /** EXT_T_0 number by value string. */
  readonly numbers: ReadonlyMap<string, number>;
  /** Exceptions of one element: value by number and number by value. */
  readonly elementValues: ReadonlyMap<
    string,
    { readonly values: ReadonlyMap<number, string>; readonly numbers: ReadonlyMap<string, number> }
  >;
  /** Namespace prefix by attribute start token. */
  readonly attributePrefixes: readonly (string | undefined)[];
}

const pairs = (text: string): [number, string][] =>
  text
    .trim()
    .split(/\s+/)
    .map((pair) => [Number.parseInt(pair.slice(0, 2), 16), pair.slice(3)] as [number, string]);

const holds = (list: readonly string[], version: string): boolean => list.includes(version);

function build(version: CspVersion): TokenTable {
  const names: (string | undefined)[] = [];
  const tokens = new Map<string, number>();
  for (const { page, era, tokens: text } of tagGroups) {
    const written = holds(tagEras[era].written, version);
    if (!written && !holds(tagEras[era].read, version)) continue;
    for (const [token, name] of pairs(text)) {
      const cell = (page << 6) | token;
      const alias = tagAliases[name];
      names[cell] = alias ?? name;
      if (written && alias === undefined) tokens.set(name, cell);
    }
  }
  const values: (string | undefined)[] = [];
  const numbers = new Map<string, number>();
  for (const { era, numbers: text } of valueGroups) {
    const written = holds(valueEras[era].written, version);
    if (!written && !holds(valueEras[era].read, version)) continue;
    for (const [number, value] of pairs(text)) {
      values[number] = value;
      // the first number of a string is its general one; the second belongs to valuesByElement
      if (written && !numbers.has(value)) numbers.set(value, number);
    }
  }
  const elementValues = new Map<string, { values: Map<number, string>; numbers: Map<string, number> }>();
  for (const rule of valuesByElement) {
    if (!holds(rule.versions, version)) continue;
    const entry = elementValues.get(rule.element) ?? { values: new Map(), numbers: new Map() };
    entry.values.set(rule.number, rule.value);
    entry.numbers.set(rule.value, rule.number);
    elementValues.set(rule.element, entry);
  }
  const attributePrefixes: (string | undefined)[] = [];
  for (const { token, prefix } of attributeStarts) attributePrefixes[token] = prefix;
  const { publicId } = versionNames[version];
  return { version, publicId, names, tokens, values, numbers, elementValues, attributePrefixes };
}

export const tokenTables: Readonly<Record<CspVersion, TokenTable>> = {
  '1.1': build(versions[0]),
  '1.2': build(versions[1]),
  '1.3': build(versions[2]),
};
