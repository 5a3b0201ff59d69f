import { ParleyError } from '../../base/errors.js';
import type { MessageRecord, SessionRecord } from '../../imps/index.js';
import { XMLParser } from 'fast-xml-parser';
import '../errors.js';

/** Content as MIME carries it: type in lower case without parameters, octets. */
export interface MimeContent {
  readonly type: string;
  readonly charset: string | undefined;
  readonly name: string | undefined;
  readonly octets: Uint8Array;
}

/** Content as a message of the IMPS side carries it. */
export type ImpsContent = Pick<MessageRecord, 'contentType' | 'content'> &
  Partial<Pick<MessageRecord, 'contentEncoding' | 'contentBytes' | 'contentName'>>;

/** What a phone negotiated; undefined before it did. */
type Capabilities = SessionRecord['capabilities'];

/** Kinds that are text on an IMPS phone: vCard and vCalendar in both spellings, and what calls itself text. */
const textual = /^(?:text\/|application\/(?:vcard|vcalendar|x-vcard)$)/;

const FILE_LINK = 'application/vnd.gsma.rcs-ft-http+xml';
const POSITION = 'application/vnd.gsma.rcspushlocation+xml';

/** Kinds that have another name on the other side. */
const spellings: ReadonlyMap<string, string> = new Map(
  [
    ['text/vcard', 'text/x-vcard'],
    ['text/calendar', 'text/x-vcalendar'],
  ].flatMap(([one, other]) => [[one, other] as const, [other, one] as const]) as [string, string][],
);
const card = /v?(?:card|calendar)$/;

/**
 * What a phone gets of a message: as it is when the phone takes it, or under another name; HTML as plain text, vCard and vCalendar as
 * their lines that people read; a file by its link; a position as `geo:`.
 * @throws ParleyError `gateway-content`, `gateway-charset`
 */
export function toPhoneContent(content: MimeContent, capabilities: Capabilities): ImpsContent {
  const { type, octets } = content;
  if (type === FILE_LINK) return { contentType: 'text/plain', content: fileText(octets) };
  if (type === POSITION) return { contentType: 'text/plain', content: positionText(octets) };
  if (textual.test(type)) {
    const text = decode(octets, content.charset);
    if (accepts(capabilities, type)) return named({ contentType: type, content: text }, content);
    const other = spellings.get(type);
    if (other !== undefined && accepts(capabilities, other))
      return named({ contentType: other, content: text }, content);
    if (type === 'text/html') return { contentType: 'text/plain', content: plainText(text) };
    return { contentType: 'text/plain', content: card.test(type) ? cardText(text) : text };
  }
  if (!accepts(capabilities, type)) throw new ParleyError('gateway-content', type);
  const base64 = Buffer.from(octets).toString('base64');
  return named({ contentType: type, contentEncoding: 'BASE64', content: base64 }, content);
}

/**
 * A phone's message as MIME; text as UTF-8.
 * @throws ParleyError `gateway-charset` when BASE64 is none, or octets that are text do not decode
 */
export function toMime(message: MessageRecord): { readonly type: string; readonly octets: Uint8Array } {
  const { contentType, contentCharset, contentEncoding, contentBytes, content } = message;
  const isText = textual.test(contentType);
  const type = isText ? `${contentType};charset=UTF-8` : contentType;
  const asUtf8 = (octets: Uint8Array): Uint8Array =>
    isText ? Buffer.from(decode(octets, contentCharset)) : octets;
  if (contentBytes) return { type, octets: asUtf8(contentBytes) };
  if (contentEncoding.toUpperCase() === 'BASE64') {
    const compact = content.replace(/\s+/g, '');
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) throw new ParleyError('gateway-charset', 'BASE64');
    return { type, octets: asUtf8(Buffer.from(compact, 'base64')) };
  }
  return { type, octets: Buffer.from(content, 'utf8') };
}

/** Whether the phone negotiated a content type; plain text is what every phone reads. */
export function accepts(capabilities: Capabilities, type: string): boolean {
  if (type === 'text/plain' || !capabilities || capabilities.anyContent) return true;
  const family = `${type.split('/')[0] ?? ''}/*`;
  return capabilities.contentTypes.some((taken) => taken === type || taken === family || taken === '*/*');
}

const named = (content: ImpsContent, { name }: MimeContent): ImpsContent =>
  name === undefined ? content : { ...content, contentName: name };

/** UTF-8 unless it says otherwise (RFC 3862 §5). */
function decode(octets: Uint8Array, charset = 'utf-8'): string {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(octets);
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError)
      throw new ParleyError('gateway-charset', charset.slice(0, 40), { cause: error });
    throw error;
  }
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: ' ' };

/** Tags that begin a new line. */
const block = /^(?:br|\/p|\/div|\/li|\/tr|\/h[1-6])$/i;

/** The words of a page, a line for each block. Takes time in proportion to its length, whatever it holds. */
export function plainText(html: string): string {
  let words = '';
  let at = 0;
  const endless = new Set<string>();
  for (;;) {
    const open = html.indexOf('<', at);
    const close = open < 0 ? -1 : html.indexOf('>', open);
    if (close < 0) break;
    words += html.slice(at, open);
    at = close + 1;
    const name = /^\/?\w+/.exec(html.slice(open + 1, Math.min(close, open + 8)))?.[0].toLowerCase() ?? '';
    if (block.test(name)) words += '\n';
    if ((name !== 'script' && name !== 'style') || endless.has(name)) continue;
    const end = new RegExp(`</${name}\\s*>`, 'gi');
    end.lastIndex = at;
    if (end.test(html)) at = end.lastIndex;
    else endless.add(name);
  }
  return (words + html.slice(at))
    .replace(/&(amp|lt|gt|quot|nbsp);/g, (_all, entity: string) => entities[entity]!)
    .replace(/[ \t]+/g, ' ')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

/** Properties of vCard and vCalendar that people read. */
const property =
  /^(?:\w+\.)?(FN|TEL|EMAIL|ORG|TITLE|URL|NOTE|SUMMARY|DESCRIPTION|DTSTART|DTEND|LOCATION|DUE)(?:;[^:\r\n]*)?:(.+)$/gim;

/** A card in words; what has none that people read stays as it is. */
export function cardText(text: string): string {
  // continued lines begin with white space (RFC 6350 §3.2)
  const unfolded = text.replace(/\r?\n[ \t]/g, '');
  const lines = [...unfolded.matchAll(property)].map(
    ([, name, value]) =>
      `${name!.toUpperCase()}: ${value!.trim().replace(/\\n/gi, ' ').replace(/\\(.)/g, '$1')}`,
  );
  return lines.length > 0 ? lines.join('\n') : text;
}

/** What a phone takes, as Accept names it in a 415 (RFC 3261 §21.4.13). */
export function acceptOf(capabilities: Capabilities): string {
  const types =
    !capabilities || capabilities.anyContent
      ? ['*/*']
      : capabilities.contentTypes.filter((type) => /^[\w.+*-]+\/[\w.+*-]+$/.test(type));
  return ['message/cpim', ...new Set(['text/plain', ...types])].join(', ');
}

const LARGEST_XML = 16_384;
const xml = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  processEntities: false,
  removeNSPrefix: true,
  parseTagValue: false,
});

/** The part of a small document at a path of element names, as text; undefined when it is not there. */
function at(document: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (node, name) =>
      typeof node === 'object' && node !== null ? (node as Record<string, unknown>)[name] : undefined,
    document,
  );
}

function parseSmall(octets: Uint8Array): unknown {
  const text = decode(octets);
  if (text.length > LARGEST_XML || text.includes('<!')) throw new ParleyError('gateway-content', 'document');
  try {
    return xml.parse(text);
  } catch (error) {
    throw new ParleyError('gateway-content', 'document', { cause: error });
  }
}

const asText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** Name, size and link of a file that waits at a content server. */
function fileText(octets: Uint8Array): string {
  const info = at(parseSmall(octets), 'file', 'file-info');
  const all: readonly unknown[] = Array.isArray(info) ? info : [info];
  const file = all.find((one) => at(one, '@type') !== 'thumbnail');
  const url = asText(at(file, 'data', '@url'));
  if (url === undefined || !/^https?:\/\/[^\s]+$/i.test(url))
    throw new ParleyError('gateway-content', 'no link');
  const name = asText(at(file, 'file-name'));
  const size = asText(at(file, 'file-size'));
  return [name, size === undefined ? undefined : `(${size} bytes)`, url.replaceAll('&amp;', '&')]
    .filter((part) => part !== undefined)
    .join(' ');
}

/** A position as a URI that people can read (RFC 5870). */
function positionText(octets: Uint8Array): string {
  const text = decode(octets);
  const found = /<(?:\w+:)?pos>\s*(-?[\d.]+)\s+(-?[\d.]+)\s*</.exec(text);
  if (!found) throw new ParleyError('gateway-content', 'no position');
  return `geo:${found[1]},${found[2]}`;
}
