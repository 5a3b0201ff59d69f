/**
 * Names of header fields. A key is the lower-case long form and an interned string, so that a lookup compares
 * pointers; a name is how the field is written. RFC 3261 §7.3.3 and the IANA registry give the compact forms.
 */
const wellKnown = [
  'Accept', 'Accept-Contact', 'Accept-Encoding', 'Accept-Language', 'Alert-Info', 'Allow', 'Allow-Events',
  'Authentication-Info', 'Authorization', 'Call-ID', 'Call-Info', 'Contact', 'Content-Disposition',
  'Content-Encoding', 'Content-ID', 'Content-Language', 'Content-Length', 'Content-Transfer-Encoding',
  'Content-Type', 'Contribution-ID', 'Conversation-ID', 'CSeq', 'Date', 'Error-Info', 'Event', 'Expires',
  'Feature-Caps', 'Flow-Timer', 'From', 'History-Info', 'Identity', 'In-Reply-To', 'InReplyTo-Contribution-ID',
  'Info-Package', 'Join', 'Max-Breadth', 'Max-Forwards', 'MIME-Version', 'Min-Expires', 'Min-SE', 'Organization',
  'P-Access-Network-Info', 'P-Asserted-Identity', 'P-Asserted-Service', 'P-Associated-URI', 'P-Called-Party-ID',
  'P-Charging-Function-Addresses', 'P-Charging-Vector', 'P-Early-Media', 'P-Preferred-Identity',
  'P-Preferred-Service', 'P-Profile-Key', 'P-Served-User', 'P-User-Database', 'P-Visited-Network-ID', 'Path',
  'Priority', 'Privacy', 'Proxy-Authenticate', 'Proxy-Authorization', 'Proxy-Require', 'RAck', 'Reason',
  'Record-Route', 'Recv-Info', 'Refer-Sub', 'Refer-To', 'Referred-By', 'Reject-Contact', 'Replaces', 'Reply-To',
  'Request-Disposition', 'Require', 'Retry-After', 'Route', 'RSeq', 'Security-Client', 'Security-Server',
  'Security-Verify', 'Server', 'Service-Route', 'Session-Expires', 'Session-ID', 'Session-Replaces', 'SIP-ETag',
  'SIP-If-Match', 'Subject', 'Subscription-State', 'Supported', 'Target-Dialog', 'Timestamp', 'To', 'Unsupported',
  'User-Agent', 'Via', 'Warning', 'WWW-Authenticate',
]; // prettier-ignore

const compactForms: Record<string, string> = {
  a: 'accept-contact', b: 'referred-by', c: 'content-type', d: 'request-disposition', e: 'content-encoding',
  f: 'from', i: 'call-id', j: 'reject-contact', k: 'supported', l: 'content-length', m: 'contact',
  n: 'identity-info', o: 'event', r: 'refer-to', s: 'subject', t: 'to', u: 'allow-events', v: 'via',
  x: 'session-expires', y: 'identity',
}; // prettier-ignore

/** A header field as the parser knows it. */
export interface KnownField {
  readonly key: string;
  /** The usual spelling. */
  readonly name: string;
  /** Marks the field as seen; 0 for fields that nobody counts. */
  readonly bit: number;
  /** A message holds it at most once, and is ambiguous with two. */
  readonly single: boolean;
}

/** What every message holds (RFC 3261 §8.1.1); Max-Forwards is not asked for, because of RFC 2543. */
const mandatory = ['via', 'from', 'to', 'call-id', 'cseq'];
const counted = [
  ...mandatory, 'max-forwards', 'content-type', 'expires', 'event', 'refer-to', 'replaces', 'rack', 'rseq',
  'session-expires', 'min-se', 'subscription-state', 'content-length',
]; // prettier-ignore

function field(key: string, name: string): KnownField {
  const index = counted.indexOf(key);
  return { key, name, bit: index < 0 ? 0 : 1 << index, single: index >= 0 && key !== 'via' };
}

const MANDATORY_BITS = (1 << mandatory.length) - 1;

/** The name of a mandatory field whose bit is not in `seen`, if any. */
export function missingField(seen: number): string | undefined {
  if ((seen & MANDATORY_BITS) === MANDATORY_BITS) return undefined;
  return headerName(mandatory.find((_, index) => (seen & (1 << index)) === 0)!);
}

/** Every spelling that is worth a fast path. */
const fields = new Map<string, KnownField>();
/** Fields in their usual spelling, by its length and first character: no string is made to find one. */
const spelt: (KnownField[] | undefined)[] = [];
const slot = (length: number, first: number): number => length * 128 + first;

for (const name of wellKnown) {
  const known = field(name.toLowerCase(), name);
  for (const spelling of [name, known.key, name.toUpperCase()]) fields.set(spelling, known);
  (spelt[slot(name.length, name.charCodeAt(0))] ??= []).push(known);
}
for (const [short, key] of Object.entries(compactForms)) {
  const known = fields.get(key) ?? field(key, capitalised(key));
  for (const spelling of [key, short, short.toUpperCase()]) fields.set(spelling, known);
}

/** The field whose usual spelling stands at `start`, `end` being the colon behind it. */
export function fieldAt(text: string, start: number, end: number): KnownField | undefined {
  const candidates = spelt[slot(end - start, text.charCodeAt(start))];
  if (candidates === undefined) return undefined;
  for (const known of candidates) if (text.startsWith(known.name, start)) return known;
  return undefined;
}

/** RFC 3261 §25.1 `token`. */
export const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;

/** The key of any header field name: lower-case, compact forms expanded. */
export function headerKey(name: string): string {
  const known = fields.get(name);
  if (known !== undefined) return known.key;
  const lower = name.toLowerCase();
  return fields.get(lower)?.key ?? lower;
}

/** The field of any header field name that is a token (RFC 3261 §7.3.1), else undefined. */
export function fieldOf(name: string): KnownField | undefined {
  const known = fields.get(name);
  if (known !== undefined) return known;
  if (!TOKEN.test(name)) return undefined;
  const lower = name.toLowerCase();
  return fields.get(lower) ?? { key: lower, name, bit: 0, single: false };
}

/** How a field with that key is written: as its RFC does, else with each word capitalised. */
export function headerName(key: string): string {
  return fields.get(key)?.name ?? capitalised(key);
}

function capitalised(key: string): string {
  return key.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

/** Fields whose value is a comma-separated list, so that several lines and one line mean the same (RFC 3261 §7.3.1). */
export const listHeaders: ReadonlySet<string> = new Set([
  'accept', 'accept-contact', 'accept-encoding', 'accept-language', 'alert-info', 'allow', 'allow-events',
  'call-info', 'contact', 'content-encoding', 'content-language', 'error-info', 'history-info', 'in-reply-to',
  'p-asserted-identity', 'p-associated-uri', 'p-preferred-identity', 'p-visited-network-id', 'path', 'privacy',
  'proxy-require', 'reason', 'record-route', 'recv-info', 'reject-contact', 'request-disposition', 'require',
  'route', 'security-client', 'security-server', 'security-verify', 'service-route', 'supported', 'unsupported',
  'via', 'warning',
]); // prettier-ignore

/** Methods of RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903 and 6086: the registry of the IANA. */
export const knownMethods: ReadonlySet<string> = new Set([
  'ACK', 'BYE', 'CANCEL', 'INFO', 'INVITE', 'MESSAGE', 'NOTIFY', 'OPTIONS', 'PRACK', 'PUBLISH', 'REFER', 'REGISTER',
  'SUBSCRIBE', 'UPDATE',
]); // prettier-ignore
