import { afterDigestScheme, quoted, readParameters } from './parameters.js';

/** Value of WWW-Authenticate or Proxy-Authenticate (RFC 7616 §3.3), all values unquoted. */
export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  /** Absent means MD5. */
  readonly algorithm?: string | undefined;
  /** Offered qualities of protection, in the order of the field; empty for a challenge of before RFC 2617. */
  readonly qop: readonly string[];
  readonly opaque?: string | undefined;
  /** True when the credentials were right and only the nonce was not. */
  readonly stale?: boolean | undefined;
  /** Cipher and integrity key in hex, for the P-CSCF alone (3GPP TS 24.229 §7.2A.1). */
  readonly ck?: string | undefined;
  readonly ik?: string | undefined;
}

/** Value of Authentication-Info or Proxy-Authentication-Info (RFC 7616 §3.5). */
export interface AuthenticationInfo {
  readonly nextNonce?: string | undefined;
  readonly qop?: string | undefined;
  readonly rspauth?: string | undefined;
  readonly cnonce?: string | undefined;
  readonly nc?: string | undefined;
}

/** Writes a challenge as a field value, quoting as RFC 7616 §3.3 demands. */
export function writeChallenge(challenge: DigestChallenge): string {
  const { algorithm, qop, opaque, stale, ck, ik } = challenge;
  let text = `Digest realm=${quoted(challenge.realm)}, nonce=${quoted(challenge.nonce)}`;
  if (algorithm !== undefined) text += `, algorithm=${algorithm}`;
  if (qop.length > 0) text += `, qop="${qop.join(',')}"`;
  if (opaque !== undefined) text += `, opaque=${quoted(opaque)}`;
  if (stale === true) text += ', stale=true';
  if (ck !== undefined) text += `, ck="${ck}"`;
  if (ik !== undefined) text += `, ik="${ik}"`;
  return text;
}

/**
 * Reads the value of WWW-Authenticate or Proxy-Authenticate.
 * @returns undefined for a scheme other than Digest.
 * @throws ParleyError `digest-malformed`.
 */
export function parseChallenge(value: string): DigestChallenge | undefined {
  const start = afterDigestScheme(value);
  if (start === undefined) return undefined;
  const params = collect(value, start);
  return {
    realm: params.get('realm') ?? '',
    nonce: params.get('nonce') ?? '',
    algorithm: params.get('algorithm'),
    qop: (params.get('qop') ?? '').split(/[\s,]+/).filter((token) => token !== ''),
    opaque: params.get('opaque'),
    stale: params.get('stale')?.toLowerCase() === 'true',
    ck: params.get('ck'),
    ik: params.get('ik'),
  };
}

/** Writes the value of Authentication-Info. */
export function writeAuthenticationInfo(info: AuthenticationInfo): string {
  const parts: string[] = [];
  if (info.nextNonce !== undefined) parts.push(`nextnonce=${quoted(info.nextNonce)}`);
  if (info.qop !== undefined) parts.push(`qop=${info.qop}`);
  if (info.rspauth !== undefined) parts.push(`rspauth="${info.rspauth}"`);
  if (info.cnonce !== undefined) parts.push(`cnonce=${quoted(info.cnonce)}`);
  if (info.nc !== undefined) parts.push(`nc=${info.nc}`);
  return parts.join(', ');
}

/**
 * Reads the value of Authentication-Info.
 * @throws ParleyError `digest-malformed`.
 */
export function parseAuthenticationInfo(value: string): AuthenticationInfo {
  const params = collect(value, 0);
  return {
    nextNonce: params.get('nextnonce'),
    qop: params.get('qop'),
    rspauth: params.get('rspauth')?.toLowerCase(),
    cnonce: params.get('cnonce'),
    nc: params.get('nc'),
  };
}

function collect(value: string, start: number): Map<string, string> {
  const params = new Map<string, string>();
  readParameters(value, start, params, (target, name, text) => target.set(name, text));
  return params;
}
