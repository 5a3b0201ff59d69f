import { XMLParser } from 'fast-xml-parser';

/** Octets of a document, unless its reader knows better. */
export const MAX_XML_OCTETS = 65_536;
/** What {@link parseSmallXml} says of a document that is not small. */
export const TOO_LARGE = 'too large';
const MAX_DEPTH = 16;

const parser = new XMLParser({
  ignoreAttributes: false,
  removeNSPrefix: true,
  parseTagValue: false,
  processEntities: false,
  maxNestedTags: MAX_DEPTH,
});

/** An element as text, or as its children by local name. */
export type XmlValue = string | undefined | { readonly [name: string]: XmlValue | readonly XmlValue[] };

/**
 * Reads the small documents of RFC 5438 and RFC 3994. Entities stay what they are, DOCTYPE is refused.
 * @param maxOctets of a document that is read at all.
 * @returns the root element, or a text that says why it cannot be used.
 */
export function parseSmallXml(
  octets: Uint8Array,
  root: string,
  namespace: string,
  maxOctets = MAX_XML_OCTETS,
): XmlValue {
  if (octets.length > maxOctets) return TOO_LARGE;
  const text = Buffer.from(octets).toString('utf8');
  if (/<!(?!--|\[CDATA\[)/.test(text)) return 'a document type';
  let document: Record<string, XmlValue>;
  try {
    document = parser.parse(text, true) as Record<string, XmlValue>;
  } catch {
    return 'not well-formed';
  }
  const element = document[root];
  if (element === undefined) return `no ${root} element`;
  if (!declares(text, root, namespace)) return 'another namespace';
  return element;
}

/** Whether the start tag of the root binds its prefix, or the default, to the namespace. */
function declares(text: string, root: string, namespace: string): boolean {
  const [, prefix, attributes] =
    new RegExp(`<(?:([A-Za-z_][\\w.-]*):)?${root}([\\s/][^>]*)?>`).exec(text) ?? [];
  const name = prefix === undefined ? 'xmlns' : `xmlns:${prefix}`;
  return [`"`, `'`].some((quote) => attributes?.includes(`${name}=${quote}${namespace}${quote}`));
}

/** The text of the child of that name; undefined when it is absent, repeated or has children. */
export function childText(element: XmlValue, name: string): string | undefined {
  const value = typeof element === 'object' ? element[name] : undefined;
  const text =
    typeof value === 'object' && !Array.isArray(value) ? (value as { '#text'?: XmlValue })['#text'] : value;
  return typeof text === 'string' ? unescapeXml(text) : undefined;
}

/** The first child element with one of the names. */
export function firstChild<T extends string>(element: XmlValue, names: readonly T[]): T | undefined {
  return typeof element === 'object' ? names.find((name) => element[name] !== undefined) : undefined;
}

const predefined: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Resolves the predefined entities and character references in text or an attribute value. */
export function unescapeXml(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9A-Fa-f]{1,6})|(lt|gt|amp|quot|apos));/g,
    (all, decimal, hex, name) => {
      if (name !== undefined) return predefined[name as string]!;
      const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : all;
    },
  );
}

/** Writes text as the content of an element. */
export function escapeXml(text: string): string {
  return text.replace(/[<>&"']/g, (character) => {
    const name = Object.keys(predefined).find((key) => predefined[key] === character);
    return `&${name};`;
  });
}
