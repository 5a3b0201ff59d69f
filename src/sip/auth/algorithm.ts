import { hash } from 'node:crypto';

/** Hash functions of digest (RFC 8760 §2.1). Credentials are kept per hash function. */
export type HashName = 'MD5' | 'SHA-256' | 'SHA-512-256';

/** What an `algorithm` parameter asks for. */
export interface DigestAlgorithm {
  /** As written on the wire. */
  readonly token: string;
  readonly hash: HashName;
  /** `-sess`: A1 holds nonce and cnonce as well (RFC 7616 §3.4.2). */
  readonly session: boolean;
  /** Version of AKA that makes the password (RFC 3310, RFC 4169), undefined for one that the user knows. */
  readonly aka: 1 | 2 | undefined;
}

const algorithms: readonly DigestAlgorithm[] = [
  { token: 'MD5', hash: 'MD5', session: false, aka: undefined },
  { token: 'MD5-sess', hash: 'MD5', session: true, aka: undefined },
  { token: 'SHA-256', hash: 'SHA-256', session: false, aka: undefined },
  { token: 'SHA-256-sess', hash: 'SHA-256', session: true, aka: undefined },
  { token: 'SHA-512-256', hash: 'SHA-512-256', session: false, aka: undefined },
  { token: 'SHA-512-256-sess', hash: 'SHA-512-256', session: true, aka: undefined },
  { token: 'AKAv1-MD5', hash: 'MD5', session: false, aka: 1 },
  { token: 'AKAv2-MD5', hash: 'MD5', session: false, aka: 2 },
  { token: 'AKAv2-SHA-256', hash: 'SHA-256', session: false, aka: 2 },
];
const byToken = new Map(algorithms.map((algorithm) => [algorithm.token.toLowerCase(), algorithm]));

/**
 * Looks an `algorithm` parameter up.
 * @param token as received; absent means MD5 (RFC 7616 §3.3).
 * @returns undefined for an algorithm that is not known here.
 */
export function digestAlgorithm(token: string | undefined): DigestAlgorithm | undefined {
  return byToken.get(token === undefined ? 'md5' : token.toLowerCase());
}

const nodeNames: Record<HashName, string> = { MD5: 'md5', 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' };

/** H(data) in lower-case hex; strings are hashed as UTF-8. */
export function digestHash(name: HashName, data: string | Uint8Array): string {
  return hash(nodeNames[name], data);
}

/**
 * H(A1) of an algorithm without `-sess`: all that a verifier needs to keep of a password.
 * @param password octets for AKAv1, whose password is RES itself (RFC 3310 §3.3).
 */
export function digestHa1(
  name: HashName,
  username: string,
  realm: string,
  password: string | Uint8Array,
): string {
  if (typeof password === 'string') return digestHash(name, `${username}:${realm}:${password}`);
  return digestHash(name, Buffer.concat([Buffer.from(`${username}:${realm}:`), password]));
}
