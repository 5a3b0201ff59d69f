import { isIP, isIPv6 } from 'node:net';
import { msrpError } from './errors.js';

/** An MSRP URI (RFC 4975 §6, §9), taken apart once; `text` is as it came. */
export interface MsrpUri {
  readonly text: string;
  /** True for `msrps`: the next hop is reached over TLS. */
  readonly secure: boolean;
  readonly user: string | undefined;
  /** Host in the form used for comparison: lower case, IPv6 shortened and without brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** Absent when the URI names a device, as a relay's does (RFC 4976 §5.1). */
  readonly sessionId: string | undefined;
  /** `tcp` (RFC 4975) or `ws` (RFC 7977), in lower case. */
  readonly transport: string;
}

/** More URIs than any chain of relays needs; a longer list is refused. */
const MAX_PATH_URIS = 16;
const MAX_URI_LENGTH = 1024;

const pattern =
  /^(msrps?):\/\/(?:([A-Za-z0-9._~!$&'()*+,;=:%-]+)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+=%-]+)(?::([0-9]{1,5}))?(?:\/([A-Za-z0-9._~+=/-]+))?;([A-Za-z0-9]+)((?:;[^\s;]+)*)$/i;

/**
 * @param text one URI, without spaces.
 * @throws ParleyError `msrp-uri-malformed`.
 */
export function parseMsrpUri(text: string): MsrpUri {
  const found = text.length <= MAX_URI_LENGTH ? pattern.exec(text) : null;
  if (!found) throw msrpError('msrp-uri-malformed', text.slice(0, 64));
  const [, scheme, user, authority, digits, sessionId, transport] = found;
  const port = digits === undefined ? undefined : Number(digits);
  const host = normalHost(authority!, text);
  if (port !== undefined && (port === 0 || port > 65535))
    throw msrpError('msrp-uri-malformed', `port ${port}`);
  if (port === undefined && isIP(host) !== 0)
    throw msrpError('msrp-uri-malformed', 'a numeric address without a port');
  if (user?.includes(':')) throw msrpError('msrp-uri-malformed', 'a password in the user part');
  return {
    text,
    secure: scheme!.toLowerCase() === 'msrps',
    user,
    host,
    port,
    sessionId,
    transport: transport!.toLowerCase(),
  };
}

/**
 * The list in To-Path, From-Path, Use-Path and `a=path`, leftmost first.
 * @throws ParleyError `msrp-uri-malformed`.
 */
export function parseMsrpPath(text: string): readonly MsrpUri[] {
  const parts = text.trim().split(/ +/);
  if (parts.length > MAX_PATH_URIS) throw msrpError('msrp-uri-malformed', 'too many URIs in the path');
  return parts.map(parseMsrpUri);
}

/** Builds a URI of our own. `host` may be an IPv6 address without brackets. */
export function makeMsrpUri(parts: {
  secure?: boolean;
  host: string;
  port: number;
  sessionId?: string;
  transport?: string;
}): MsrpUri {
  const host = isIPv6(parts.host) ? `[${parts.host}]` : parts.host;
  const session = parts.sessionId === undefined ? '' : `/${parts.sessionId}`;
  return parseMsrpUri(
    `msrp${parts.secure ? 's' : ''}://${host}:${parts.port}${session};${parts.transport ?? 'tcp'}`,
  );
}

/** Whether two URIs are the same to MSRP (RFC 4975 §6.1): user part and URI parameters do not count. */
export function sameMsrpUri(a: MsrpUri, b: MsrpUri): boolean {
  return (
    a.secure === b.secure &&
    a.host === b.host &&
    a.port === b.port &&
    a.sessionId === b.sessionId &&
    a.transport === b.transport
  );
}

function normalHost(authority: string, text: string): string {
  if (authority.startsWith('[')) {
    const address = authority.slice(1, -1);
    if (!isIPv6(address)) throw msrpError('msrp-uri-malformed', text.slice(0, 64));
    // the URL parser writes the one form of RFC 5952
    return new URL(`http://[${address}]`).hostname.slice(1, -1);
  }
  const decoded = authority.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9._~-]/.test(character) ? character : escape;
  });
  return decoded.toLowerCase();
}
