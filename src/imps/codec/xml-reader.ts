import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { impsError } from '../errors.js';
import { byName } from '../vocabulary/by-name.js';
import { tagAliases } from '../vocabulary/tags.js';
import { versionOfNamespace, type CspVersion } from '../vocabulary/versions.js';
import { charsetByName, utf8, type Charset } from './charset.js';
import { noChildren, type Element } from './element.js';
import type { CodecLimits } from './limits.js';

/** A document as read. `version` is that of the root's namespace; undefined when it is none of CSP 1.1 to 1.3. */
export interface XmlDocument {
  readonly root: Element;
  readonly version: CspVersion | undefined;
  readonly charset: Charset;
  /** What could not be understood though the document is well-formed. */
  readonly defect: string | undefined;
}

const malformed = (detail: string) => impsError('imps-xml-malformed', detail);

const declaration = /^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["'][^>]*\?>/;
/** A document type without an internal subset declares nothing; 1.1 phones send one. Any other is refused. */
const harmlessDoctype =
  /<!DOCTYPE\s+[\w:.-]+(?:\s+(?:PUBLIC\s+"[^"<>]*"\s+"[^"<>]*"|SYSTEM\s+"[^"<>]*"))?\s*>/;

/**
 * Reads an XML document of CSP. Character references and the five predefined entities are resolved, no others.
 * @param charsetName charset parameter of the content type; wins over the XML declaration (RFC 7303 §3)
 * @throws ParleyError `imps-xml-malformed`, `imps-too-large`, `imps-charset-unsupported`
 */
export function readXml(bytes: Uint8Array, limits: CodecLimits, charsetName?: string): XmlDocument {
  if (bytes.length > limits.bytes) throw impsError('imps-too-large', `${bytes.length} octets`);
  const charset = charsetOf(bytes, charsetName);
  let text = charset.decode(bytes);
  if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
  if (text.includes('<!DOCTYPE')) {
    text = text.replace(harmlessDoctype, '');
    if (text.includes('<!DOCTYPE')) throw malformed('a document type with declarations');
  }
  const root = new XmlReader(limits).document(text);
  return { root, version: versionOfNamespace(root.namespace), charset, defect: undefined };
}

function charsetOf(bytes: Uint8Array, charsetName: string | undefined): Charset {
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return charsetByName('UTF-16');
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return charsetByName('UTF-16LE');
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return utf8;
  if (charsetName !== undefined) return charsetByName(charsetName);
  if (bytes[0] === 0 && bytes[1] === 0x3c) return charsetByName('UTF-16BE');
  if (bytes[0] === 0x3c && bytes[1] === 0) return charsetByName('UTF-16LE');
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 200)).toString('latin1');
  const declared = declaration.exec(head)?.[1];
  return declared === undefined ? utf8 : charsetByName(declared);
}

/** What fast-xml-parser makes of a node with `preserveOrder`: its name and its content, attributes beside it. */
type ParsedNode = Readonly<Record<string, unknown>>;

const ATTRIBUTES = ':@';
const TEXT = '#text';
const CDATA = '#cdata';

/** A parser keeps nothing between documents, and building one costs as much as reading a short one. */
const parsers = new Map<number, XMLParser>();

function parserFor({ depth }: CodecLimits): XMLParser {
  let parser = parsers.get(depth);
  if (!parser) {
    parser = new XMLParser({
      preserveOrder: true,
      ignoreAttributes: false,
      attributeNamePrefix: '',
      parseTagValue: false,
      parseAttributeValue: false,
      trimValues: false,
      processEntities: false,
      htmlEntities: false,
      cdataPropName: CDATA,
      ignoreDeclaration: true,
      ignorePiTags: true,
      maxNestedTags: depth + 1,
    });
    parsers.set(depth, parser);
  }
  return parser;
}

class XmlReader {
  readonly #limits: CodecLimits;
  readonly #parser: XMLParser;
  #elements = 0;

  constructor(limits: CodecLimits) {
    this.#limits = limits;
    this.#parser = parserFor(limits);
  }

  document(text: string): Element {
    const verdict = validate(text);
    if (verdict !== undefined) throw malformed(verdict);
    let nodes: unknown;
    try {
      nodes = this.#parser.parse(text);
    } catch (error) {
      throw malformed(error instanceof Error ? error.message.slice(0, 200) : 'unreadable');
    }
    const roots = (Array.isArray(nodes) ? (nodes as ParsedNode[]) : []).filter((node) => !(TEXT in node));
    if (roots.length !== 1) throw malformed('not exactly one root element');
    return this.#element(roots[0]!, 1);
  }

  #element(node: ParsedNode, depth: number): Element {
    if (depth > this.#limits.depth) throw malformed(`nested deeper than ${this.#limits.depth}`);
    if (++this.#elements > this.#limits.elements) throw impsError('imps-too-large', 'too many elements');
    let tag = '';
    let attributes: Record<string, unknown> | undefined;
    let content: readonly ParsedNode[] = [];
    for (const key of Object.keys(node)) {
      const value = node[key];
      if (key === ATTRIBUTES) attributes = value as Record<string, unknown>;
      else {
        tag = key;
        if (Array.isArray(value)) content = value as readonly ParsedNode[];
      }
    }
    const colon = tag.indexOf(':');
    const local = colon < 0 ? tag : tag.slice(colon + 1);
    // a prefix and a name without further colons (Namespaces in XML 1.0 §4)
    if (colon === 0 || local === '' || (colon > 0 && local.includes(':')))
      throw malformed(`no qualified name: ${tag.slice(0, 60)}`);
    const name = tagAliases[local] ?? local;
    const xmlns = attributes?.[colon < 0 ? 'xmlns' : `xmlns:${tag.slice(0, colon)}`];
    const namespace = typeof xmlns === 'string' ? resolve(xmlns.trim()) : undefined;
    let children: Element[] | undefined;
    let text = '';
    for (const inner of content) {
      const piece = inner[TEXT]; // a string, as values are not parsed
      const verbatim = inner[CDATA] as readonly ParsedNode[] | undefined;
      if (piece !== undefined) text += resolve(piece as string);
      else if (verbatim !== undefined) for (const part of verbatim) text += part[TEXT] as string;
      else (children ??= []).push(this.#element(inner, depth + 1));
    }
    if (children) return { name, namespace, children, text: '', bytes: undefined };
    return { name, namespace, children: noChildren, text, bytes: undefined };
  }
}

/** Why the text is not well-formed, or undefined: the parser itself lets an end tag close any element. */
function validate(text: string): string | undefined {
  try {
    const verdict = XMLValidator.validate(text);
    return verdict === true ? undefined : `${verdict.err.msg.slice(0, 200)} (line ${verdict.err.line})`;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 200) : 'unreadable';
  }
}

const named: Readonly<Record<string, string>> = byName({ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" });
const reference = /&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|([A-Za-z][\w.-]{0,30}));|&/g;

function resolve(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(reference, (_whole, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined && named[name] !== undefined) return named[name];
    const codePoint =
      hex !== undefined ? Number.parseInt(hex, 16) : decimal !== undefined ? Number(decimal) : -1;
    const legal = codePoint > 0 && codePoint <= 0x10ffff && (codePoint < 0xd800 || codePoint > 0xdfff);
    if (!legal) throw malformed('an entity that is not predefined');
    return String.fromCodePoint(codePoint);
  });
}
