import {
  escapeXml,
  MAX_XML_OCTETS,
  parseSmallXml,
  TOO_LARGE,
  unescapeXml,
  type XmlValue,
} from '../../msrp/xml.js';
import { groupError } from './errors.js';
import {
  copyControls,
  isGruu,
  parseRecipient,
  type CopyControl,
  type Recipient,
  type RecipientMethod,
} from './recipient.js';

export const RESOURCE_LISTS_TYPE = 'application/resource-lists+xml';
const NAMESPACE = 'urn:ietf:params:xml:ns:resource-lists';
const COPY_CONTROL_NAMESPACE = 'urn:ietf:params:xml:ns:copycontrol';
/** Whom `anonymize` hides (RFC 5364 §4). */
const ANONYMOUS = 'sip:anonymous@anonymous.invalid';
/** Lists inside lists that are read as one flat list. */
const MAX_DEPTH = 4;
/** Octets of the longest entry that is of use: a GRUU, a Session-Replaces and an escaped Accept-Contact. */
const ENTRY_OCTETS = 1_024;

/**
 * Reads a list of recipients (RFC 4826 §3.2, RFC 5364, RFC 5366 §4). Lists inside it count as one flat list; references and
 * external lists are never followed. One recipient is invited once, as openly as any of its entries says; `self` is left out.
 * Without `copyControl` a recipient is `bcc`.
 * @param options.limit recipients at most. @param options.methods what entries may ask for; `INVITE` alone unless given.
 * @throws ParleyError `group-list-*`.
 */
export function parseRecipientList(
  octets: Uint8Array,
  options: {
    readonly self: string;
    readonly limit: number;
    readonly methods?: readonly RecipientMethod[];
  },
): Recipient[] {
  const maxOctets = Math.max(MAX_XML_OCTETS, options.limit * ENTRY_OCTETS);
  const root = parseSmallXml(octets, 'resource-lists', NAMESPACE, maxOctets);
  if (root === TOO_LARGE) throw groupError('group-list-too-long', `limit ${options.limit}`);
  // an empty document element is text; everything else that is text says what is wrong
  if (typeof root !== 'object')
    throw groupError(root === '' ? 'group-list-empty' : 'group-list-malformed', root);
  const found = new Map<string, Recipient>();
  collect(root, 0, options.methods ?? ['INVITE'], (recipient) => {
    if (recipient.identity === options.self) return;
    const known = found.get(recipient.identity);
    found.set(recipient.identity, known ? merge(known, recipient) : recipient);
    if (found.size > options.limit) throw groupError('group-list-too-long', `limit ${options.limit}`);
  });
  if (found.size === 0) throw groupError('group-list-empty');
  return [...found.values()];
}

function collect(
  element: XmlValue,
  depth: number,
  methods: readonly RecipientMethod[],
  add: (recipient: Recipient) => void,
): void {
  if (depth > MAX_DEPTH) throw groupError('group-list-malformed', 'lists nested too deep');
  for (const list of children(element, 'list')) {
    for (const entry of children(list, 'entry')) {
      const uri = attribute(entry, 'uri');
      if (uri === undefined) throw groupError('group-list-malformed', 'an entry without uri');
      const control = attribute(entry, 'copyControl')?.toLowerCase();
      add(
        parseRecipient(
          uri,
          {
            copyControl: copyControls.find((known) => known === control) ?? 'bcc',
            anonymize: /^(?:true|1)$/.test(attribute(entry, 'anonymize') ?? ''),
          },
          methods,
        ),
      );
    }
    collect(list, depth + 1, methods, add);
  }
}

function children(element: XmlValue, name: string): readonly XmlValue[] {
  const value = typeof element === 'object' ? element[name] : undefined;
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly XmlValue[]) : [value as XmlValue];
}

function attribute(element: XmlValue, name: string): string | undefined {
  const value = typeof element === 'object' ? element[`@_${name}`] : undefined;
  return typeof value === 'string' ? unescapeXml(value) : undefined;
}

/**
 * Two entries of one user: `to` before `cc` before `bcc` (RFC 5364 §4), unnamed when one says so; what either says of the device and of
 * the session to replace stays, the first before the second.
 */
export function merge(first: Recipient, second: Recipient): Recipient {
  const rank = ({ copyControl }: Recipient): number => copyControls.indexOf(copyControl);
  const named = isGruu(first.target) || !isGruu(second.target) ? first : second;
  return {
    ...second,
    ...first,
    target: named.target,
    copyControl: (rank(second) < rank(first) ? second : first).copyControl,
    anonymize: first.anonymize || second.anonymize,
  };
}

/**
 * The list that invited users see (RFC 5366 §5, RFC 5364 §7): without `bcc`, without what was said about devices, and
 * with one anonymous entry that counts those who are to stay unnamed.
 */
export function formatRecipientHistory(
  recipients: readonly Pick<Recipient, 'identity' | 'copyControl' | 'anonymize'>[],
): string {
  const lines = recipients
    .filter(({ copyControl, anonymize }) => copyControl !== 'bcc' && !anonymize)
    .map(({ identity, copyControl }) => entry(identity, copyControl));
  for (const control of ['to', 'cc'] as const) {
    const count = recipients.filter((one) => one.copyControl === control && one.anonymize).length;
    if (count > 0) lines.push(entry(ANONYMOUS, control, ` cp:count="${count}"`));
  }
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<resource-lists xmlns="${NAMESPACE}" xmlns:cp="${COPY_CONTROL_NAMESPACE}">` +
    `\r\n<list>\r\n${lines.join('')}</list>\r\n</resource-lists>`
  );
}

function entry(uri: string, control: CopyControl, more = ''): string {
  return `<entry uri="${escapeXml(uri)}" cp:copyControl="${control}"${more}/>\r\n`;
}
