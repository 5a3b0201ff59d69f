import { ParleyError } from '../base/errors.js';
import { normalizeEscapes, splitSipUri, uriParameter } from './sip-uri.js';
import './errors.js';

declare const aorBrand: unique symbol;
/**
 * Canonical address of record, itself a URI: `sip:user@host` or `tel:number`. Two name one user exactly when
 * they are the same string.
 */
export type Aor = string & { readonly [aorBrand]: 'Aor' };

const MAX_LENGTH = 512;
const USER = /^(?:[a-z0-9\-_.!~*'()&=+$,;?/]|%[0-9a-f]{2})+$/i;
const USER_CHARACTER = /[a-z0-9\-_.!~*'()&=+$,;?/]/i;
const HOST =
  /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;
const VISUAL_SEPARATORS = /[-.()]/g;
const GLOBAL_NUMBER = /^\+\d+$/;
const LOCAL_NUMBER = /^[0-9a-f*#]+$/;

/**
 * Canonical form of an address of record (RFC 3261 §10.3 step 5).
 *
 * URI parameters, header fields and a password are dropped; escapes are resolved where the character may stand
 * unescaped; the host is in lower case, the user part keeps its case (RFC 3261 §19.1.4). `sips` becomes `sip`,
 * since both name the same resource (RFC 3261 §19.1). A tel URI loses visual separators and every
 * parameter but `phone-context`. A SIP URI with `user=phone` and a phone number for a user becomes the tel URI of
 * that number (RFC 3261 §19.1.6): hand in only such whose host is a home domain.
 * @param uri without angle brackets.
 * @throws ParleyError `aor-*`.
 */
export function parseAor(uri: string): Aor {
  if (uri.length > MAX_LENGTH) throw new ParleyError('aor-length');
  if (uri.slice(0, 4).toLowerCase() === 'tel:') return telAor(uri.slice(4));
  const parts = splitSipUri(uri);
  if (!parts) throw new ParleyError('aor-scheme');
  if (parts.parameters !== '' && uriParameter(parts.parameters, 'user')?.toLowerCase() === 'phone') {
    const number = phoneNumber(parts.user ?? '');
    if (number !== undefined) return number;
  }
  return canonicalSipAor(parts.user, parts.hostPort);
}

/**
 * Like {@link parseAor}, but a `user=phone` parameter is dropped as every other one: the address part of a GRUU.
 * @throws ParleyError `aor-*`.
 */
export function parseSipAor(uri: string): Aor {
  if (uri.length > MAX_LENGTH) throw new ParleyError('aor-length');
  const parts = splitSipUri(uri);
  if (!parts) throw new ParleyError('aor-scheme');
  return canonicalSipAor(parts.user, parts.hostPort);
}

/**
 * The same from pieces that are already cut.
 * @param hostPort raw host with optional port.
 * @throws ParleyError `aor-user`, `aor-host`.
 */
export function canonicalSipAor(user: string | undefined, hostPort: string): Aor {
  if (user === undefined || !USER.test(user)) throw new ParleyError('aor-user');
  if (!HOST.test(hostPort)) throw new ParleyError('aor-host');
  return `sip:${normalizeEscapes(user, USER_CHARACTER)}@${canonicalHost(hostPort)}` as Aor;
}

/** True for the canonical form of a phone number. */
export function isTelAor(aor: Aor): boolean {
  return aor.startsWith('tel:');
}

/** Host of a SIP address of record, without port; undefined for a tel one. */
export function aorDomain(aor: Aor): string | undefined {
  if (isTelAor(aor)) return undefined;
  return aor.slice(aor.indexOf('@') + 1).replace(/:\d+$/, '');
}

/** User part of a SIP address of record; the number of a tel one. */
export function aorUser(aor: Aor): string {
  return isTelAor(aor) ? aor.slice(4) : aor.slice(4, aor.indexOf('@'));
}

function canonicalHost(hostPort: string): string {
  return hostPort.toLowerCase().replace(/\.(?=$|:\d)/, '');
}

function telAor(subscriber: string): Aor {
  const aor = phoneNumber(subscriber);
  if (aor === undefined) throw new ParleyError('aor-phone-number');
  return aor;
}

/** RFC 3966 §3 telephone-subscriber to canonical form, or undefined when it is none. */
function phoneNumber(subscriber: string): Aor | undefined {
  const semicolon = subscriber.indexOf(';');
  const end = semicolon < 0 ? subscriber.length : semicolon;
  // a `#` of a local number arrives escaped within a URI
  const number = subscriber.slice(0, end).replace(/%23/g, '#').replace(VISUAL_SEPARATORS, '').toLowerCase();
  if (GLOBAL_NUMBER.test(number)) return `tel:${number}` as Aor;
  const context = uriParameter(subscriber.slice(end), 'phone-context')?.toLowerCase();
  if (context === undefined || !LOCAL_NUMBER.test(number)) return undefined;
  const globalContext = context.replace(VISUAL_SEPARATORS, '');
  const canonical = GLOBAL_NUMBER.test(globalContext)
    ? globalContext
    : HOST.test(context)
      ? canonicalHost(context)
      : '';
  return canonical === ''
    ? undefined
    : (`tel:${number.replace(/#/g, '%23')};phone-context=${canonical}` as Aor);
}
