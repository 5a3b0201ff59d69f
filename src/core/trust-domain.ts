import type { Headers } from '../sip/message/headers.js';
import type { User } from './sender.js';

/** Header fields that only nodes of the trust domain may set or see (3GPP TS 24.229 §4.4, RFC 7315, RFC 5502, RFC 6050). */
const internal = [
  'P-Access-Network-Info',
  'P-Asserted-Service',
  'P-Charging-Function-Addresses',
  'P-Charging-Vector',
  'P-Private-Network-Indication',
  'P-Profile-Key',
  'P-Served-User',
  'P-User-Database',
  'P-Visited-Network-ID',
];

const ACCESS = 'P-Access-Network-Info';
const NETWORK_PROVIDED = /;\s*network-provided\s*(?:[;=]|$)/i;

/** Asserts what the network knows of a sender outside the trust domain, in place of what it says itself (RFC 3325 §5). */
export function assertIdentity(headers: Headers, sender: User): void {
  distrust(headers);
  headers.set('P-Asserted-Identity', assertedIdentities(sender).join(', '));
}

/**
 * Takes off everything that only the trust domain may say. What a device says of its own access stays, for the user's application servers;
 * that the network has provided it, a device cannot say (RFC 7315 §4.4, §5.4, §6.4).
 */
export function distrust(headers: Headers): void {
  headers.remove('P-Asserted-Identity');
  headers.remove('P-Preferred-Identity');
  const access = headers.list(ACCESS).filter((value) => !NETWORK_PROVIDED.test(value));
  for (const name of internal) headers.remove(name);
  if (access.length > 0) headers.append(ACCESS, access.join(', '));
}

/** One SIP and one tel URI at most (RFC 3325 §9.1), the asserted one first. */
function assertedIdentities({ aor, set }: User): string[] {
  const scheme = aor.slice(0, 4);
  const other = set.find((candidate) => !candidate.startsWith(scheme));
  return (other === undefined ? [aor] : [aor, other]).map((identity) => `<${identity}>`);
}

/**
 * Prepares a message for a user or another untrusted peer: nothing of the trust domain is shown, the sender's identity only if
 * it did not ask for privacy (RFC 3325 §5, §7).
 */
export function withholdFromUntrusted(headers: Headers): void {
  for (const name of internal) headers.remove(name);
  if (wantsPrivacy(headers)) headers.remove('P-Asserted-Identity');
}

/** RFC 3323 §4.2, RFC 3325 §9.3. */
export function wantsPrivacy(headers: Headers): boolean {
  const values = headers.lines('Privacy').flatMap((line) => line.toLowerCase().split(/[;,]/));
  return values.some((value) => ['id', 'user', 'header'].includes(value.trim()));
}
