import { orNone } from '../../base/errors.js';
import { parseAor } from '../../identity/aor.js';
import type { ReadContact } from '../../reg-event/reginfo-reader.js';
import type { ToldContacts } from '../../reg-event/told-contacts.js';
import { parseAddress, type Address } from '../../sip/message/address.js';
import { parseNumber, unquote } from '../../sip/message/lexer.js';
import type { SipMessage, SipRequest } from '../../sip/message/message.js';
import { SipRequest as Request, SipResponse } from '../../sip/message/message.js';
import { leafParts, parseMultipart } from '../../sip/message/multipart.js';
import { parseDatagram } from '../../sip/message/parse.js';

/** What the bodies of a third-party REGISTER may have at most; what is beyond is passed over. */
export const bodyLimits = {
  parts: 8,
  depth: 2,
  headBytes: 16_384,
  message: 65_535,
  contacts: 64,
  params: 64,
} as const;

/** RFC 3261 §10.2.1.1: without any. */
const STANDARD_EXPIRES = 3_600;
const MAX_EXPIRES = 0xffff_ffff;

/**
 * The contacts in the `message/sip` bodies of a third-party REGISTER: those of the REGISTER of the device, and of its 200 with all
 * contacts of the identity and their GRUUs (3GPP TS 24.229 §5.4.1.7A). What cannot be read is passed over: the third-party REGISTER
 * itself says who is registered.
 * @returns undefined when there is nothing to learn.
 */
export function contactsTold(request: SipRequest): ToldContacts | undefined {
  const messages = sipBodies(request);
  const register = messages.find((one) => one instanceof Request && one.method === 'REGISTER');
  const ok = messages.find((one) => one instanceof SipResponse && one.status === 200);
  const aor = aorOf(ok) ?? aorOf(register) ?? aorOf(request);
  if (aor === undefined || (!register && !ok)) return undefined;
  const asked = register ? contactsOf(register) : [];
  if (!ok) return { aor, contacts: asked, complete: false };
  const byUri = new Map(asked.map((contact) => [contact.uri, contact]));
  return {
    aor,
    contacts: contactsOf(ok).map((contact) => joined(contact, byUri.get(contact.uri))),
    complete: true,
  };
}

/** The 200 has the time that was granted and the GRUUs; some registrars leave the device's parameters out. */
function joined(granted: ReadContact, asked: ReadContact | undefined): ReadContact {
  if (!asked) return { ...granted, callId: undefined, cseq: undefined };
  return {
    ...granted,
    displayName: granted.displayName ?? asked.displayName,
    params: new Map([...asked.params, ...granted.params]),
  };
}

function sipBodies(request: SipRequest): readonly SipMessage[] {
  const type = request.get('Content-Type') ?? '';
  const bodies = isSip(type)
    ? [request.body]
    : /^\s*multipart\//i.test(type)
      ? partsOf(request.body, type)
      : [];
  return bodies.flatMap((body) => {
    if (body.length > bodyLimits.message) return [];
    const parsed = parseDatagram(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    return parsed.kind === 'malformed' ? [] : [parsed.message];
  });
}

function partsOf(body: Uint8Array, type: string): readonly Uint8Array[] {
  const parts = orNone(() => parseMultipart(body, type, bodyLimits)) ?? [];
  return leafParts(parts)
    .filter(({ headers }) => isSip(headers.get('Content-Type') ?? ''))
    .map((part) => part.body);
}

const isSip = (type: string): boolean => /^\s*message\/sip\s*(?:;|$)/i.test(type);

function aorOf(message: SipMessage | undefined): string | undefined {
  return message && orNone(() => parseAor(message.to.uriText));
}

/** Each contact by itself: one that is bad leaves the others. */
function contactsOf(message: SipMessage): readonly ReadContact[] {
  const values = orNone(() => message.headers.list('Contact')) ?? [];
  const standard = parseNumber(message.get('Expires')?.trim() ?? '', MAX_EXPIRES) ?? STANDARD_EXPIRES;
  const seen = new Set<string>();
  return values.slice(0, bodyLimits.contacts).flatMap((value) => {
    const address = orNone(() => parseAddress(value, 'Contact'));
    if (!address || address.params.size > bodyLimits.params || seen.has(address.uriText)) return [];
    seen.add(address.uriText);
    return [contactOf(address, message, standard)];
  });
}

const apart: ReadonlySet<string> = new Set(['expires', 'q', 'pub-gruu', 'temp-gruu', 'temp-gruu-cookie']);

function contactOf(
  { uriText, params, displayName }: Address,
  message: SipMessage,
  standard: number,
): ReadContact {
  const text = (name: string): string | undefined => {
    const value = params.get(name);
    return typeof value === 'string' ? unquote(value) : undefined;
  };
  const expires = parseNumber(text('expires') ?? '', MAX_EXPIRES) ?? standard;
  const temporary = text('temp-gruu');
  return {
    id: uriText,
    active: expires > 0,
    event: expires > 0 ? 'registered' : 'unregistered',
    uri: uriText,
    displayName,
    params: new Map([...params].flatMap(([name, value]) => (apart.has(name) ? [] : [[name, value ?? '']]))),
    q: quality(text('q')),
    expires,
    retryAfter: undefined,
    callId: orNone(() => message.callId),
    cseq: orNone(() => message.cseq.number),
    publicGruu: text('pub-gruu'),
    temporaryGruu: temporary === undefined ? undefined : { uri: temporary, firstCSeq: 0 },
  };
}

function quality(text: string | undefined): number {
  const value = text === undefined ? 1 : Number(text);
  return value >= 0 && value <= 1 ? value : 1;
}
