import { ParleyError } from '../base/errors.js';
import { soon, type Soon } from '../base/soon.js';
import { parseAor, type Aor } from '../identity/aor.js';
import type { SipRequest } from '../sip/message/message.js';
import './errors.js';
import type { IdentityRow, Subscribers } from './subscribers.js';

export interface RegistrantOptions {
  readonly subscribers: Subscribers;
  /** Home domains, lower-case. */
  readonly domains: readonly string[];
  /** Identities of the home domains that nobody provisioned may register (only with open authentication). */
  readonly openDomain: boolean;
}

/** Who is registered by a REGISTER: the identity of its To, and the set that registers with it. */
export interface Registrant {
  /** A barred identity registers its set, and is not registered itself: the set's default identity stands for it. */
  readonly aor: Aor;
  readonly privateId: string;
  readonly set: readonly Aor[];
}

/**
 * RFC 3261 §10.3 steps 3 to 5. An identity that is barred may register the others of its implicit set, as the one derived from an IMSI
 * does (3GPP TS 23.003 §13.4B, TS 29.228 §6.1.1.1).
 * @param privateId who sent it. @throws ParleyError `register-*`
 */
export function findRegistrant(
  request: SipRequest,
  privateId: string,
  options: RegistrantOptions,
): Soon<Registrant> {
  const { to } = request;
  if (to.uri.scheme !== 'sip' && to.uri.scheme !== 'sips' && to.uri.scheme !== 'tel') {
    throw new ParleyError('register-unknown-identity', `scheme ${to.uri.scheme}`);
  }
  const aor = parseAor(to.uriText);
  return soon(options.subscribers.identity(aor), (row) =>
    registrantOf(request, aor, row, privateId, options),
  );
}

function registrantOf(
  { to, from }: SipRequest,
  aor: Aor,
  row: IdentityRow | undefined,
  privateId: string,
  { subscribers, domains, openDomain }: RegistrantOptions,
): Soon<Registrant> {
  if (!row) {
    if (!openDomain || !domains.includes(to.uri.host)) throw new ParleyError('register-unknown-identity');
    return { aor, privateId, set: [aor] };
  }
  if (!openDomain && row.privateId !== privateId) throw new ParleyError('register-not-your-identity');
  // a wildcarded identity is only registered along with others
  if (row.wildcard !== undefined) throw new ParleyError('register-implicit-only');
  const identity = row.barred ? row.set[0] : aor;
  if (identity === undefined) throw new ParleyError('register-barred');
  const registrant: Registrant = { aor: identity, privateId: row.privateId, set: row.set };
  const sender = from.uriText === to.uriText ? aor : parseAor(from.uriText);
  if (sender === aor) return registrant;
  return soon(subscribers.identity(sender), (other) => {
    if (other?.privateId !== row.privateId) throw new ParleyError('register-third-party');
    return registrant;
  });
}
