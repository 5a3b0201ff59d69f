import { orNone, ParleyError } from '../../base/errors.js';
import { parseAor, type Aor } from '../../identity/aor.js';
import { parseGruu } from '../../identity/gruu.js';
import { parseReplaces } from '../../sip/message/replaces.js';
import { parseUriHeaders } from '../../sip/message/uri-headers.js';
import { parseUri, type SipUri } from '../../sip/message/uri.js';
import { groupError } from './errors.js';

/** How much others learn of a recipient (RFC 5364 §4); in falling order of precedence. */
export const copyControls = ['to', 'cc', 'bcc'] as const;
export type CopyControl = (typeof copyControls)[number];

/** What an entry asks the focus to send. */
export type RecipientMethod = 'INVITE' | 'BYE';

/** The header fields that an INVITE may take from an entry. Everything else would let the list forge or steer (RFC 3261 §19.1.5). */
export interface EntryFields {
  /** Contribution-ID, or the dialog target, of the 1-1 session that the group replaces. */
  readonly sessionReplaces?: string;
  /** RFC 3891, well-formed; only of use where nobody between changes dialog identifiers. */
  readonly replaces?: string;
  /** Caller preferences that name the device, as written. */
  readonly acceptContact?: string;
  /** In place of that of the group. */
  readonly subject?: string;
}

/** What an entry asks for, without the rest of it. */
export function fieldsOf({ sessionReplaces, replaces, acceptContact, subject }: EntryFields): EntryFields {
  return {
    ...(sessionReplaces === undefined ? {} : { sessionReplaces }),
    ...(replaces === undefined ? {} : { replaces }),
    ...(acceptContact === undefined ? {} : { acceptContact }),
    ...(subject === undefined ? {} : { subject }),
  };
}

/** One whom a list names. */
export interface Recipient extends EntryFields {
  /** Whom: an address of record, or the URI as it is when it is neither `sip` nor `tel` and interworking must reach it. */
  readonly identity: Aor | string;
  readonly interworking: boolean;
  /** Request-URI for this one: the GRUU where the entry has one, without method and header fields. */
  readonly target: string;
  readonly method: RecipientMethod;
  readonly copyControl: CopyControl;
  readonly anonymize: boolean;
}

/** Whether a URI names one device, by a public or a temporary GRUU (RFC 5627 §3). */
export function isGruu(uri: string | undefined): uri is string {
  return uri !== undefined && orNone(() => parseGruu(uri)) !== undefined;
}

/** A recipient whose user has been looked up. */
export interface Invitee extends Recipient {
  /** Key of the registration set of a user here, else the identity. */
  readonly owner: string;
}

/**
 * Reads the URI of an entry or of Refer-To.
 * @param methods what the request may ask for: an INVITE with a list invites (RFC 5366 §4), a REFER removes too (RFC 4579 §5.11).
 * @throws ParleyError `group-list-malformed`, `group-list-method`.
 */
export function parseRecipient(
  text: string,
  visibility: { readonly copyControl: CopyControl; readonly anonymize: boolean },
  methods: readonly RecipientMethod[],
): Recipient {
  try {
    const uri = parseUri(text.trim());
    const { address, asks, headers } = uri.isSip ? partsOfSip(uri) : partsOfOther(uri.toString());
    const { asked, ...fields } = headers === undefined ? {} : entryFields(headers);
    const wanted = (asks ?? asked ?? 'INVITE').toUpperCase();
    const method = methods.find((one) => one === wanted);
    if (method === undefined) throw groupError('group-list-method', wanted);
    return { ...reached(uri.scheme, address), method, ...visibility, ...fields };
  } catch (error) {
    if (error instanceof ParleyError && error.code === 'group-list-method') throw error;
    throw groupError('group-list-malformed', error instanceof Error ? error.message : undefined, {
      cause: error,
    });
  }
}

/** A URI without what is only said to the focus: the method that its parameter `asks` for, and header fields. */
interface EntryParts {
  readonly address: string;
  readonly asks: string | undefined;
  readonly headers: string | undefined;
}

function partsOfSip(uri: SipUri): EntryParts {
  const bare = uri.clone();
  bare.params.delete('method');
  bare.headers = undefined;
  return { address: bare.toString(), asks: uri.param('method'), headers: uri.headers };
}

/** Of a tel URI, and of those that interworking must reach: entries say there what they say in a SIP URI. */
function partsOfOther(text: string): EntryParts {
  const question = text.indexOf('?');
  const [start, ...params] = (question < 0 ? text : text.slice(0, question)).split(';');
  const isMethod = (param: string): boolean => /^method(?:=|$)/i.test(param);
  return {
    address: [start, ...params.filter((param) => !isMethod(param))].join(';'),
    asks: params.find(isMethod)?.slice('method='.length),
    headers: question < 0 ? undefined : text.slice(question + 1),
  };
}

function reached(scheme: string, address: string): Pick<Recipient, 'identity' | 'interworking' | 'target'> {
  if (scheme === 'tel') {
    const identity = parseAor(address);
    return { identity, interworking: false, target: identity };
  }
  if (scheme === 'sip' || scheme === 'sips')
    return { identity: parseAor(address), interworking: false, target: address };
  return { identity: address, interworking: true, target: address };
}

/** What the header part of an entry says; a method there, where only RFC 5368 §9 has it, is `asked`. */
function entryFields(raw: string): EntryFields & { asked?: string } {
  const fields: { -readonly [key in keyof EntryFields]: EntryFields[key] } & { asked?: string } = {};
  for (const { key, value } of parseUriHeaders(raw)) {
    if (value === '') continue;
    if (key === 'session-replaces') fields.sessionReplaces ??= value;
    else if (key === 'replaces') {
      parseReplaces(value);
      fields.replaces ??= value;
    } else if (key === 'accept-contact') fields.acceptContact ??= value;
    else if (key === 'subject') fields.subject ??= value;
    else if (key === 'method') fields.asked ??= value;
  }
  return fields;
}
