import { writeAddress } from '../message/address.js';
import type { HeaderMap, HeaderValue } from '../message/headers.js';
import type { SipMessage } from '../message/message.js';
import { writeParams } from '../message/lexer.js';

/** Fields that belong to one leg: its transaction, its dialog, its route, its credentials, its session timer. */
const ofOneLeg: ReadonlySet<string> = new Set([
  'via', 'route', 'record-route', 'from', 'to', 'call-id', 'cseq', 'contact', 'max-forwards', 'content-length',
  'authorization', 'proxy-authorization', 'www-authenticate', 'proxy-authenticate', 'authentication-info',
  'proxy-authentication-info', 'proxy-require', 'rseq', 'rack', 'session-expires', 'min-se', 'allow', 'timestamp',
  'unsupported', 'path', 'service-route',
]); // prettier-ignore

/** Option tags that each leg deals with by itself. */
const ownTags: ReadonlySet<string> = new Set(['100rel', 'timer', 'outbound', 'path', 'gruu']);

/** Contact parameters that tell of the user agent's place and not of its features. */
const notFeatures: ReadonlySet<string> = new Set([
  'q',
  'expires',
  'reg-id',
  '+sip.instance',
  'pub-gruu',
  'temp-gruu',
]);

/** The header fields of a message that cross to the other leg unchanged. */
export function endToEnd(message: SipMessage): HeaderMap {
  const fields: Record<string, HeaderValue> = {};
  for (const [key, name, value] of message.headers) {
    if (ofOneLeg.has(key)) continue;
    if (key === 'require' || key === 'supported') {
      const tags = message.headers.list(key).filter((tag) => !ownTags.has(tag.toLowerCase()));
      if (tags.length > 0) fields[name] = tags.join(', ');
      continue;
    }
    const known = fields[name];
    fields[name] =
      known === undefined
        ? value
        : [...(Array.isArray(known) ? (known as string[]) : [String(known)]), value];
  }
  return fields;
}

/** The feature parameters of a Contact (RFC 3840 §9), each with its semicolon; the Instance ID stays on its leg. */
export function contactFeatures(message: SipMessage): string {
  const params = message.contacts[0]?.params;
  return params ? writeParams(new Map([...params].filter(([name]) => !notFeatures.has(name)))) : '';
}

/** From or To as it goes to the other leg: without the tag of this one. */
export function untagged(message: SipMessage, field: 'from' | 'to'): string {
  const { uriText, params, displayName } = message[field];
  return writeAddress(uriText, new Map([...params].filter(([name]) => name !== 'tag')), displayName);
}
