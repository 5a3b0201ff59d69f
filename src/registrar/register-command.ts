import { ParleyError } from '../base/errors.js';
import './errors.js';
import { parseSipAor } from '../identity/aor.js';
import { parseGruu } from '../identity/gruu.js';
import { InstanceId } from '../identity/instance-id.js';
import type { Address } from '../sip/message/address.js';
import { bad, parseNumber, unquote } from '../sip/message/lexer.js';
import type { ServerRequest } from '../sip/stack.js';
import type { Binding } from './registration.js';

/** What a REGISTER asks for one contact. */
export interface ContactRequest {
  readonly uri: string;
  readonly params: string;
  readonly deviceName: string | undefined;
  readonly instance: { readonly urn: string; readonly key: string } | undefined;
  /** Set only when RFC 5626 applies. */
  readonly regId: number | undefined;
  readonly q: number;
  /** Seconds; 0 removes. */
  readonly expires: number;
}

/** A REGISTER, decoded and checked against everything that does not depend on what is stored. */
export interface RegisterCommand {
  readonly kind: 'query' | 'update' | 'remove-all';
  readonly contacts: readonly ContactRequest[];
  readonly callId: string;
  readonly cseq: number;
  readonly path: readonly string[];
  readonly wantsGruu: boolean;
  /** RFC 5626 applies, so the 200 says `Require: outbound`. */
  readonly outbound: boolean;
  /** No proxy stands between device and registrar. */
  readonly direct: boolean;
  readonly flow: string | undefined;
  readonly flowOnly: boolean;
  readonly userAgent: string | undefined;
}

export interface ExpiryPolicy {
  /** Seconds. */
  readonly minimum: number;
  readonly maximum: number;
  readonly standard: number;
}

/** RFC 3261 §10.2.1.1: above this a registrar must not refuse an interval as too brief. */
const NEVER_TOO_BRIEF = 3600;
const MAX_EXPIRES = 0xffff_ffff;

/**
 * Decodes a REGISTER.
 * @param aor the identity that registers.
 * @param known bindings of its set: a contact that one of the identity's has, letter by letter, need not be read again.
 * @throws ParleyError with the status of RFC 3261 §10.3, 5626 §6 or 5627 §5.1 that applies.
 */
export function decodeRegister(
  request: ServerRequest,
  policy: ExpiryPolicy,
  aor?: string,
  known: readonly Binding[] = nothingKnown,
): RegisterCommand {
  const { headers } = request;
  const path = headers.list('Path');
  const direct = path.length === 0 && headers.list('Via').length === 1;
  const lines = headers.lines('Contact');
  let contacts: readonly ContactRequest[] = none;
  let outbound = false;
  let flowOnly = false;
  const wildcard = lines.includes('*');
  if (wildcard) {
    if (lines.length > 1 || request.number('Expires') !== 0) throw new ParleyError('register-wildcard');
  } else if (lines.length > 0) {
    const terms: Terms = {
      policy,
      standard: expiresHeader(request) ?? policy.standard,
      outbound: headers.hasToken('Supported', 'outbound'),
    };
    contacts =
      knownContact(lines, aor, known, terms) ??
      request.contacts.map((address) => decodeContact(address, request, terms));
    outbound = contacts.some((contact) => contact.regId !== undefined);
    if (outbound) checkOutbound(contacts, path, direct, request);
    flowOnly = contacts.length > 0 && direct && needsFlow(request, outbound);
  }
  const kind = wildcard ? 'remove-all' : contacts.length === 0 ? 'query' : 'update';
  return {
    kind,
    contacts,
    callId: request.callId,
    cseq: request.cseq.number,
    path,
    wantsGruu: headers.hasToken('Supported', 'gruu') || headers.hasToken('Require', 'gruu'),
    outbound,
    direct,
    flow: direct ? request.source.flow : undefined,
    flowOnly,
    userAgent: request.get('User-Agent')?.slice(0, 128),
  };
}

const none: readonly ContactRequest[] = [];
const nothingKnown: readonly Binding[] = [];

/** What holds for all contacts of one REGISTER. */
interface Terms {
  readonly policy: ExpiryPolicy;
  /** Seconds, for a contact without `expires`. */
  readonly standard: number;
  /** The device supports RFC 5626. */
  readonly outbound: boolean;
}

/**
 * The only Contact, when it is letter by letter the one of a binding, so that nothing in it has to be read but its expiry:
 * nearly every refresh is. Undefined when it is not.
 */
function knownContact(
  lines: readonly string[],
  aor: string | undefined,
  known: readonly Binding[],
  terms: Terms,
): readonly ContactRequest[] | undefined {
  const line = lines[0]!;
  if (lines.length > 1 || line.charCodeAt(0) !== LESS) return undefined;
  for (const binding of known) {
    if (binding.aor !== aor) continue;
    const { contact, params, instance, instanceKey, regId, q } = binding;
    const end = contact.length + 2;
    const paramsEnd = end + params.length;
    // V8 compares a slice as a whole, and takes eight times as long for startsWith
    if (line.slice(1, end - 1) !== contact || line.charCodeAt(end - 1) !== GREATER) continue;
    if (line.slice(end, paramsEnd) !== params) continue;
    const expires = onlyExpires(line, paramsEnd, terms.standard);
    if (expires === undefined) continue;
    // whether a reg-id counts depends on what else the request says
    if (regId === undefined ? terms.outbound && params.includes(';reg-id') : !terms.outbound) continue;
    const device = instance === undefined ? undefined : { urn: instance, key: instanceKey! };
    const granted = grantedExpires(expires, terms.policy);
    return [{ uri: contact, params, deviceName: undefined, instance: device, regId, q, expires: granted }];
  }
  return undefined;
}

const LESS = 60;
const GREATER = 62;
const EXPIRES = ';expires=';

/** What the rest of a Contact asks for when it is nothing but an expiry, `standard` when nothing is left; else undefined. */
function onlyExpires(line: string, at: number, standard: number): number | undefined {
  if (at === line.length) return standard;
  return line.startsWith(EXPIRES, at)
    ? parseNumber(line.slice(at + EXPIRES.length), Number.MAX_SAFE_INTEGER)
    : undefined;
}

/** A malformed Expires counts as the default (RFC 3261 §10.2.1.1 gives 3600 the same way). */
function expiresHeader(request: ServerRequest): number | undefined {
  const text = request.get('Expires');
  return text === undefined
    ? undefined
    : (parseNumber(text.trim(), Number.MAX_SAFE_INTEGER) ?? NEVER_TOO_BRIEF);
}

function decodeContact(
  address: Address,
  request: ServerRequest,
  { policy, standard, outbound }: Terms,
): ContactRequest {
  const { params } = address;
  const instanceText = params.get('+sip.instance');
  const instance = instanceText ? InstanceId.parse(unquote(instanceText)) : undefined;
  if (instance) checkInstanceContact(address, request);
  return {
    uri: address.uriText,
    params: storedParams(params),
    deviceName: address.displayName,
    instance,
    regId: instance && outbound ? decodeRegId(params.get('reg-id')) : undefined,
    q: decodeQ(params.get('q')),
    expires: grantedExpires(askedExpires(params.get('expires'), standard), policy),
  };
}

/** RFC 5627 §5.1: a device is not reached through itself. */
function checkInstanceContact(address: Address, request: ServerRequest): void {
  if (!address.uri.isSip) throw new ParleyError('register-contact-scheme');
  if (address.uri.user === undefined || address.uri.host !== request.to.uri.host) return;
  const aor = parseSipAor(request.to.uriText);
  const own = (parseGruu(address.uriText)?.aor ?? parseSipAor(address.uriText)) === aor;
  if (own) throw new ParleyError('register-contact-is-aor');
}

const notStored = new Set(['expires', 'pub-gruu', 'temp-gruu', 'temp-gruu-cookie']);

function storedParams(params: Address['params']): string {
  let text = '';
  for (const [name, value] of params) {
    if (!notStored.has(name)) text += value === null ? `;${name}` : `;${name}=${value}`;
  }
  return text;
}

/** 0 is outside RFC 5626 §6 but is seen in the field: it counts as an ordinary flow number. */
function decodeRegId(text: string | null | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = text === null ? undefined : parseNumber(text, 0x7fff_ffff);
  if (value === undefined) throw bad('Contact', 'reg-id is not a number below 2**31');
  return value;
}

/** RFC 3261 §20.10 `qvalue`; 1 when absent. */
function decodeQ(text: string | null | undefined): number {
  if (text === undefined) return 1;
  if (text === null || !/^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text))
    throw bad('Contact', 'q is not 0 to 1');
  return Number(text);
}

function askedExpires(text: string | null | undefined, standard: number): number {
  return text ? (parseNumber(unquote(text), Number.MAX_SAFE_INTEGER) ?? NEVER_TOO_BRIEF) : standard;
}

/** RFC 3261 §10.3 step 7: what is asked, cut to the maximum, or 423 when it is too brief. */
function grantedExpires(asked: number, policy: ExpiryPolicy): number {
  const seconds = Math.min(asked, MAX_EXPIRES);
  if (seconds > 0 && seconds < NEVER_TOO_BRIEF && seconds < policy.minimum)
    throw new ParleyError('register-brief');
  return Math.min(seconds, policy.maximum);
}

/** RFC 5626 §6. */
function checkOutbound(
  contacts: readonly ContactRequest[],
  path: readonly string[],
  direct: boolean,
  request: ServerRequest,
): void {
  if (contacts.filter((contact) => contact.expires > 0).length > 1)
    throw new ParleyError('register-several-flows');
  if (direct) return; // we are the first hop, and we keep flows
  const firstHop = path.length > 0 ? request.addresses('Path').at(-1)! : undefined;
  if (!firstHop?.uri.params.has('ob')) throw new ParleyError('register-first-hop');
}

/**
 * Whether the contact alone does not lead back to the device: it asked for its flow (RFC 5626), nothing can connect to it
 * (RFC 7118 §5), or it does not know its own address: the Via it wrote is not where the request came from (RFC 3581).
 */
function needsFlow(request: ServerRequest, outbound: boolean): boolean {
  const { protocol, address, port } = request.source;
  if (outbound || protocol === 'ws' || protocol === 'wss') return true;
  if (protocol !== 'udp') return false;
  const { via } = request;
  if (via.host === address && (via.port ?? 5060) === port) return false;
  const { uri } = request.contacts[0]!;
  return uri.host === via.host && (uri.port ?? 5060) === (via.port ?? 5060);
}
