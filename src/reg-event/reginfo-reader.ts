import { XMLParser } from 'fast-xml-parser';
import { ParleyError } from '../base/errors.js';
import { unescapeXml } from '../msrp/xml.js';
import type { ContactEvent } from '../registrar/registration.js';
import './errors.js';
import { NS_GRUU, NS_REGINFO, NS_WILDCARD } from './reginfo.js';

/** A reginfo document as somebody else's registrar wrote it (RFC 3680 §5, RFC 5628 §5). */
export interface ReginfoDocument {
  readonly version: number;
  readonly state: 'full' | 'partial';
  readonly registrations: readonly ReadRegistration[];
}

export interface ReadRegistration {
  /** As written. */
  readonly aor: string;
  /** `init` and `terminated` have no active contacts. */
  readonly state: 'init' | 'active' | 'terminated';
  readonly contacts: readonly ReadContact[];
  /** The wildcarded identity that the registration stands for (3GPP TS 24.229). */
  readonly wildcard: string | undefined;
}

export interface ReadContact {
  /** The `id`, or the contact URI when there is none or another contact of the registration has the same. */
  readonly id: string;
  readonly active: boolean;
  readonly event: ContactEvent;
  readonly uri: string;
  readonly displayName: string | undefined;
  /** Names in lower case; values as written, with the quotes that were there. */
  readonly params: ReadonlyMap<string, string>;
  readonly q: number;
  /** Seconds. */
  readonly expires: number | undefined;
  readonly retryAfter: number | undefined;
  readonly callId: string | undefined;
  readonly cseq: number | undefined;
  readonly publicGruu: string | undefined;
  readonly temporaryGruu: { readonly uri: string; readonly firstCSeq: number } | undefined;
}

/** What a document may have at most: one that has more is refused whole. */
export const reginfoLimits = {
  octets: 262_144,
  depth: 16,
  registrations: 256,
  contacts: 500,
  params: 128,
  /** Characters of one text or attribute. */
  text: 4_096,
} as const;

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  htmlEntities: false,
  cdataPropName: '#cdata',
  maxNestedTags: reginfoLimits.depth,
});

/** What the parser makes of a node: its content under its name, its attributes beside it. */
type Node = { readonly ':@'?: Readonly<Record<string, string>> } & Readonly<
  Record<string, readonly Node[] | string>
>;

interface Element {
  readonly namespace: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
  readonly text: string;
}

/**
 * Reads a document. What is not known is passed over, and what is left out is taken as usual: some registrars count no versions,
 * give no identifiers, or write values without their quotes. Document types and entities are refused.
 * @throws ParleyError `reginfo-malformed`, `reginfo-too-large`
 */
export function parseReginfo(octets: Uint8Array): ReginfoDocument {
  const { registrations, contacts } = reginfoLimits;
  if (octets.length > reginfoLimits.octets)
    throw new ParleyError('reginfo-too-large', `${octets.length} octets`);
  const root = rootOf(Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('utf8'));
  if (root?.name !== 'reginfo' || !isReginfo(root)) throw malformed('no reginfo element of its namespace');
  const found = root.children.filter((child) => child.name === 'registration' && isReginfo(child));
  if (found.length > registrations) throw tooMany('registrations');
  const read = found.map(registrationOf);
  if (read.reduce((sum, one) => sum + one.contacts.length, 0) > contacts) throw tooMany('contacts');
  return {
    version: whole(root.attributes.version) ?? 0,
    state: root.attributes.state === 'partial' ? 'partial' : 'full',
    registrations: read,
  };
}

function rootOf(text: string): Element | undefined {
  if (/<!(?!--|\[CDATA\[)/.test(text)) throw malformed('a document type');
  let nodes: readonly Node[];
  try {
    nodes = parser.parse(text, true) as readonly Node[];
  } catch (error) {
    throw new ParleyError('reginfo-malformed', 'not well-formed', { cause: error });
  }
  return elementsOf(nodes, new Map())[0];
}

/** Child elements with their namespaces; prefixes are bound where they are declared (Namespaces in XML 1.0 §6). */
function elementsOf(nodes: readonly Node[], outer: ReadonlyMap<string, string>): Element[] {
  const elements: Element[] = [];
  for (const node of nodes) {
    const tag = Object.keys(node).find((key) => key !== ':@');
    if (tag === undefined || tag.startsWith('#') || tag.startsWith('?')) continue;
    const attributes = node[':@'] ?? {};
    const bound = bindings(attributes, outer);
    const colon = tag.indexOf(':');
    const content = node[tag] as readonly Node[];
    elements.push({
      namespace: bound.get(tag.slice(0, Math.max(0, colon))) ?? '',
      name: tag.slice(colon + 1),
      attributes,
      children: elementsOf(content, bound),
      text: content.map(textOf).join('').trim(),
    });
  }
  return elements;
}

function bindings(
  attributes: Readonly<Record<string, string>>,
  outer: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  let inner: Map<string, string> | undefined;
  for (const [name, value] of Object.entries(attributes)) {
    if (name !== 'xmlns' && !name.startsWith('xmlns:')) continue;
    inner ??= new Map(outer);
    inner.set(name.slice(6), unescapeXml(value));
  }
  return inner ?? outer;
}

function textOf(node: Node): string {
  const { '#text': text, '#cdata': cdata } = node;
  if (typeof text === 'string') return bounded(unescapeXml(text));
  return Array.isArray(cdata)
    ? bounded((cdata as readonly { '#text'?: string }[]).map((part) => part['#text'] ?? '').join(''))
    : '';
}

/** A document without any namespace is taken for what it seems to be. */
const isReginfo = ({ namespace }: Element): boolean => namespace === NS_REGINFO || namespace === '';

function registrationOf(element: Element): ReadRegistration {
  const seen = new Set<string>();
  const contacts: ReadContact[] = [];
  for (const child of element.children) {
    if (child.name !== 'contact' || !isReginfo(child)) continue;
    const contact = contactOf(child, seen);
    if (contact) contacts.push(contact);
  }
  const state = attribute(element, 'state');
  return {
    aor: attribute(element, 'aor') ?? '',
    state: state === 'init' || state === 'terminated' ? state : 'active',
    contacts,
    wildcard: element.children.find(
      ({ name, namespace }) => name === 'wildcardedIdentity' && namespace === NS_WILDCARD,
    )?.text,
  };
}

/** Undefined for a contact without URI, which leads nowhere. */
function contactOf(element: Element, seen: Set<string>): ReadContact | undefined {
  const own = (name: string): Element | undefined =>
    element.children.find((child) => child.name === name && isReginfo(child));
  const gruu = (name: string): Element | undefined =>
    element.children.find((child) => child.name === name && child.namespace === NS_GRUU);
  const uri = own('uri')?.text ?? '';
  if (uri === '') return undefined;
  const given = attribute(element, 'id');
  const id = given === undefined || given === '' || seen.has(given) ? uri : given;
  if (seen.has(id)) return undefined; // the same contact again
  seen.add(id);
  const active = attribute(element, 'state') !== 'terminated';
  const temporary = gruu('temp-gruu');
  const temporaryUri = temporary && attribute(temporary, 'uri');
  return {
    id,
    active,
    event: eventOf(attribute(element, 'event'), active),
    uri,
    displayName: own('display-name')?.text,
    params: paramsOf(element),
    q: quality(attribute(element, 'q')),
    expires: whole(attribute(element, 'expires')),
    retryAfter: whole(attribute(element, 'retry-after')),
    callId: attribute(element, 'callid'),
    cseq: whole(attribute(element, 'cseq')),
    publicGruu: attribute(gruu('pub-gruu'), 'uri'),
    temporaryGruu:
      temporaryUri === undefined
        ? undefined
        : { uri: temporaryUri, firstCSeq: whole(attribute(temporary, 'first-cseq')) ?? 0 },
  };
}

function paramsOf(element: Element): ReadonlyMap<string, string> {
  const params = new Map<string, string>();
  for (const child of element.children) {
    const name = child.name === 'unknown-param' && isReginfo(child) ? attribute(child, 'name') : undefined;
    if (name === undefined || name === '') continue;
    params.set(name.toLowerCase(), child.text);
    if (params.size > reginfoLimits.params) throw tooMany('contact parameters');
  }
  return params;
}

const alive: ReadonlySet<string> = new Set(['registered', 'created', 'refreshed', 'shortened']);
const dead: ReadonlySet<string> = new Set([
  'expired', 'deactivated', 'probation', 'unregistered', 'rejected',
]); // prettier-ignore

/** An event that does not fit the state, or that nobody knows, gives way to the plainest one that does. */
function eventOf(text: string | undefined, active: boolean): ContactEvent {
  if (text !== undefined && (active ? alive : dead).has(text)) return text as ContactEvent;
  return active ? 'registered' : 'unregistered';
}

function attribute(element: Element | undefined, name: string): string | undefined {
  const value = element?.attributes[name];
  return value === undefined ? undefined : bounded(unescapeXml(value));
}

function bounded(text: string): string {
  if (text.length > reginfoLimits.text) throw tooMany('characters in a value');
  return text;
}

function whole(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*0*\d{1,10}\s*$/.test(text) ? Number(text) : undefined;
}

function quality(text: string | undefined): number {
  const value = text === undefined || text.trim() === '' ? 1 : Number(text);
  return value >= 0 && value <= 1 ? value : 1;
}

const malformed = (detail: string): ParleyError => new ParleyError('reginfo-malformed', detail);
const tooMany = (what: string): ParleyError => new ParleyError('reginfo-too-large', `too many ${what}`);
