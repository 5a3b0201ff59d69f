import { ParleyError } from '../base/errors.js';
import { skipQuoted, unquote } from '../sip/message/lexer.js';
import type { SipRequest } from '../sip/message/message.js';
import { isEmergency } from './emergency.js';

/**
 * Refuses a REGISTER from a network in which users of the domain may not roam (3GPP TS 24.229 §5.3.1.2, TS 29.228 §6.1.1). An emergency registration is taken
 * from everywhere (3GPP TS 23.167 §4.1), and so is one that names no network.
 * @param request of a node that is believed. @param allowed names of networks, lower case.
 * @throws ParleyError `register-roaming`
 */
export function refuseRoaming(request: SipRequest, allowed: ReadonlySet<string>): void {
  const networks = request.headers.list('P-Visited-Network-ID').map(nameOf);
  const refused = networks.find((network) => !allowed.has(network));
  if (refused === undefined) return;
  if (request.contacts.some(({ uriText }) => isEmergency(uriText))) return;
  throw new ParleyError('register-roaming', refused);
}

/** A token or a quoted string, before its parameters (RFC 7315 §5.3). */
function nameOf(value: string): string {
  const end = value.startsWith('"') ? skipQuoted(value, 0) : value.search(/[;\s]|$/);
  return unquote(end < 0 ? value : value.slice(0, end)).toLowerCase();
}
