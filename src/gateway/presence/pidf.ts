import { ParleyError } from '../../base/errors.js';
import { childText, escapeXml, parseSmallXml, type XmlValue } from '../../msrp/xml.js';
import '../errors.js';

export const PIDF_TYPE = 'application/pidf+xml';
/** Octets of a document that is read. */
export const LARGEST_PIDF = 16_384;
const NAMESPACE = 'urn:ietf:params:xml:ns:pidf';

/** What both sides can say of a user. Absent: not known, or not to be seen. */
export interface PresenceView {
  /** `basic` of PIDF (RFC 3863 §4.1.4), OnlineStatus of IMPS. */
  readonly open?: boolean | undefined;
  /** UserAvailability of IMPS, activities of RPID (RFC 4480 §3.2). */
  readonly availability?: string | undefined;
  /** StatusMood of IMPS, mood of RPID (RFC 4480 §3.5). */
  readonly mood?: string | undefined;
  /** StatusText of IMPS, a note. */
  readonly text?: string | undefined;
}

/** Moods that both sides have; RPID writes them in lower case. */
const moods: ReadonlySet<string> = new Set([
  'HAPPY', 'SAD', 'ANGRY', 'JEALOUS', 'ASHAMED', 'INVINCIBLE', 'IN_LOVE', 'SLEEPY', 'BORED', 'EXCITED', 'ANXIOUS',
]); // prettier-ignore

/** Activities of somebody who is not to be reached. */
const busy: ReadonlySet<string> = new Set([
  'appointment', 'away', 'busy', 'meeting', 'on-the-phone', 'performance', 'permanent-absence', 'presentation', 'sleeping', 'vacation',
  'worship',
]); // prettier-ignore

const activities: Readonly<Record<string, string>> = {
  NOT_AVAILABLE: '<rpid:busy/>',
  DISCREET: '<rpid:other>discreet</rpid:other>',
};

/** The document of a presentity (RFC 3863, RFC 4479, RFC 4480). */
export function formatPidf(entity: string, { open, availability, mood, text }: PresenceView): string {
  const person = [
    availability !== undefined && activities[availability] !== undefined
      ? `<rpid:activities>${activities[availability]}</rpid:activities>`
      : '',
    mood !== undefined && moods.has(mood) ? `<rpid:mood><rpid:${mood.toLowerCase()}/></rpid:mood>` : '',
    text === undefined ? '' : `<dm:note>${escapeXml(text)}</dm:note>`,
  ].join('');
  const tuple =
    open === undefined
      ? ''
      : `<tuple id="t1"><status><basic>${open ? 'open' : 'closed'}</basic></status></tuple>\r\n`;
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<presence xmlns="${NAMESPACE}" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"` +
    ` xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="${escapeXml(entity)}">\r\n${tuple}` +
    (person === '' ? '' : `<dm:person id="p1">${person}</dm:person>\r\n`) +
    '</presence>'
  );
}

/** @throws ParleyError `presence-document` */
export function parsePidf(octets: Uint8Array): PresenceView {
  const root = parseSmallXml(octets, 'presence', NAMESPACE);
  if (typeof root !== 'object') throw new ParleyError('presence-document', root);
  const tuples = listOf(root['tuple']);
  const basics = tuples.map((tuple) => childText(at(tuple, 'status'), 'basic')?.trim());
  const [person] = listOf(root['person']);
  const mood = namesIn(at(person, 'mood'))
    .map((name) => name.toUpperCase())
    .find((name) => moods.has(name));
  const text =
    childText(person, 'note') ??
    childText(root, 'note') ??
    tuples.map((tuple) => childText(tuple, 'note')).find((note) => note !== undefined);
  return {
    open: basics.length === 0 ? undefined : basics.includes('open'),
    availability: availabilityOf(at(person, 'activities')),
    mood,
    text: text?.slice(0, 200),
  };
}

function availabilityOf(value: XmlValue): string | undefined {
  if (value === undefined) return undefined;
  if (childText(value, 'other')?.trim().toLowerCase() === 'discreet') return 'DISCREET';
  return namesIn(value).some((name) => busy.has(name)) ? 'NOT_AVAILABLE' : 'AVAILABLE';
}

const listOf = (value: XmlValue | readonly XmlValue[]): readonly XmlValue[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly XmlValue[]) : [value as XmlValue];

const at = (element: XmlValue, name: string): XmlValue =>
  typeof element === 'object' ? listOf(element[name])[0] : undefined;

const namesIn = (element: XmlValue): string[] =>
  typeof element === 'object' ? Object.keys(element).filter((name) => !/^[@#]/.test(name)) : [];
