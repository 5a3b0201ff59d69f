import { orNone } from '../../base/errors.js';
import { aorDomain, aorUser, isTelAor, parseAor, type Aor } from '../../identity/aor.js';
import { domainOf, parseUserId, userPartOf, type UserId } from '../../imps/index.js';

/** Domains that have another name on the other side: `wv` domain, SIP domain. */
export type DomainPairs = readonly (readonly [wv: string, sip: string])[];

/** Characters that may stand unescaped in the user part of a SIP URI (RFC 3261 §25.1). */
const plain = /[a-z0-9\-_.!~*'()&=$,;?]/;

/**
 * The address of record that a `wv:` address becomes by rule: `wv:+46…@domain` the telephone number, any other the same user
 * of the same domain, percent-encoded where SIP needs it.
 * @returns undefined when no address of record can be made
 */
export function aorByRule(wv: UserId, domains: DomainPairs): Aor | undefined {
  const user = userPartOf(wv);
  if (user.startsWith('+')) return orNone(() => parseAor(`tel:${user}`));
  const domain = domainOf(wv);
  const sipDomain = domains.find(([from]) => from === domain)?.[1] ?? domain;
  let written = '';
  for (const character of user)
    written += plain.test(character) ? character : `%${hex(character.charCodeAt(0))}`;
  return orNone(() => parseAor(`sip:${written}@${sipDomain}`));
}

/**
 * The inverse: only what {@link aorByRule} turns into the same address again.
 * @param home domain of the `wv:` address of a telephone number.
 */
export function wvByRule(aor: Aor, domains: DomainPairs, home: string): UserId | undefined {
  const user = aorUser(aor);
  const text = isTelAor(aor) ? `wv:${user}@${home}` : wvOfSip(decoded(user), aorDomain(aor)!, domains);
  const wv = text === undefined ? undefined : parseUserId(text, home);
  return wv !== undefined && aorByRule(wv, domains) === aor ? wv : undefined;
}

function wvOfSip(user: string | undefined, domain: string, domains: DomainPairs): string | undefined {
  if (user === undefined) return undefined;
  return `wv:${user}@${domains.find(([, to]) => to === domain)?.[0] ?? domain}`;
}

function decoded(user: string): string | undefined {
  try {
    return decodeURIComponent(user);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

const hex = (code: number): string => code.toString(16).toUpperCase().padStart(2, '0');
