import { ParleyError } from '../../base/errors.js';
import { childText, parseSmallXml, unescapeXml, type XmlValue } from '../../msrp/xml.js';
import '../errors.js';

/** One participant of a conference as its focus shows it (RFC 4575 §5.6). */
export interface Participant {
  readonly uri: string;
  /** The nickname (RFC 7701 §7). */
  readonly name: string | undefined;
  readonly state: 'connected' | 'invited' | 'gone';
}

export interface Roster {
  /** Whether who is not named is not there. */
  readonly full: boolean;
  readonly participants: readonly Participant[];
}

const NAMESPACE = 'urn:ietf:params:xml:ns:conference-info';
const inviting: ReadonlySet<string> = new Set(['pending', 'dialing-out', 'dialing-in', 'alerting']);

/** Reads application/conference-info+xml. @throws ParleyError `gateway-roster` */
export function readRoster(octets: Uint8Array): Roster {
  const root = parseSmallXml(octets, 'conference-info', NAMESPACE);
  if (typeof root !== 'object') throw new ParleyError('gateway-roster', root);
  const users = listOf(root['users'] as XmlValue).flatMap((container) =>
    typeof container === 'object' ? listOf(container['user'] as XmlValue) : [],
  );
  return {
    full: attribute(root, 'state') !== 'partial',
    participants: users.flatMap((user) => {
      const uri = attribute(user, 'entity');
      return uri === undefined ? [] : [{ uri, name: childText(user, 'display-text'), state: stateOf(user) }];
    }),
  };
}

function stateOf(user: XmlValue): Participant['state'] {
  if (attribute(user, 'state') === 'deleted' || typeof user !== 'object') return 'gone';
  const statuses = listOf(user['endpoint'] as XmlValue).map(
    (endpoint) => childText(endpoint, 'status') ?? '',
  );
  if (statuses.some((status) => status === 'connected' || status === 'on-hold')) return 'connected';
  return statuses.some((status) => inviting.has(status)) ? 'invited' : 'gone';
}

const listOf = (value: XmlValue | readonly XmlValue[]): readonly XmlValue[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly XmlValue[]) : [value as XmlValue];

function attribute(element: XmlValue, name: string): string | undefined {
  const value = typeof element === 'object' ? element[`@_${name}`] : undefined;
  return typeof value === 'string' ? unescapeXml(value) : undefined;
}
