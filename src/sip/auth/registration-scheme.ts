import { digestAlgorithm } from './algorithm.js';
import type { DigestCredentials } from './credentials.js';

/**
 * How a REGISTER is to be authenticated:
 * - `trusted`: a trusted node has done it already; nothing is checked;
 * - `protected`: it came through the security associations of an earlier AKA; it may pass without a challenge;
 * - `aka`: IMS AKA, answered or not;
 * - `digest`: SIP digest, answered or not.
 */
export type RegistrationScheme = 'trusted' | 'protected' | 'aka' | 'digest';

/**
 * Chooses the scheme by what the edge proxy and the device put into Authorization (3GPP TS 24.229 §5.4.1.2, TS 33.203 annexes N, O).
 * @param fromTrustedEdge whether `integrity-protected` may be believed; from anyone else it is taken as absent.
 * @param provisioned the scheme of a subscriber who sends no hint.
 */
export function registrationScheme(
  credentials: DigestCredentials | undefined,
  fromTrustedEdge: boolean,
  provisioned: 'aka' | 'digest',
): RegistrationScheme {
  if (!credentials) return provisioned;
  const hint = fromTrustedEdge ? credentials.integrityProtected : undefined;
  switch (hint) {
    case 'auth-done':
    case 'tls-yes':
      return 'trusted';
    case 'yes':
      return credentials.response === '' ? 'protected' : 'aka';
    case 'no':
    case 'tls-connected':
      return 'aka';
    case 'tls-pending':
    case 'ip-assoc-pending':
    case 'ip-assoc-yes':
      return 'digest';
    default:
      if (credentials.algorithm === undefined) return provisioned;
      return digestAlgorithm(credentials.algorithm)?.aka === undefined ? 'digest' : 'aka';
  }
}
