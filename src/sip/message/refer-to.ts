import { parseAddress, type Address } from './address.js';
import { parseUriHeaders, type UriHeader } from './uri-headers.js';

/** A Refer-To value taken apart (RFC 3515 §2.1). */
export interface ReferTo {
  readonly address: Address;
  /** What the referee is asked to send: the URI's `method` parameter, else INVITE for SIP URIs. */
  readonly method: string;
  /** Where the new request goes: the URI without `method` and header fields. */
  readonly target: string;
  /** Header fields for the new request. Ask `isHonoured` before taking one. */
  readonly headers: readonly UriHeader[];
}

/** @throws ParleyError `sip-bad-header`, `sip-bad-uri` */
export function parseReferTo(text: string): ReferTo {
  const address = parseAddress(text, 'Refer-To');
  const { uri } = address;
  if (!uri.isSip) return { address, method: 'INVITE', target: address.uriText, headers: [] };
  const target = uri.clone();
  target.params.delete('method');
  target.headers = undefined;
  return {
    address,
    method: uri.param('method') ?? 'INVITE',
    target: target.toString(),
    headers: uri.headers === undefined ? [] : parseUriHeaders(uri.headers),
  };
}
