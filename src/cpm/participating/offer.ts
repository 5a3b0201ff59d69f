import { ParleyError } from '../../base/errors.js';
import {
  parseFileSelector,
  parseMsrpOffer,
  parseMsrpSections,
  type MsrpMedia,
  type MsrpOffer,
} from '../../msrp/sdp/index.js';
import { parseMediaType } from '../../sip/message/content.js';
import type { SipRequest, SipResponse } from '../../sip/message/message.js';
import { leafParts, parseMultipart } from '../../sip/message/multipart.js';
import './errors.js';

/** Offers by the body that holds them: both users' functions of one server, and what stands behind them, look at the same one. */
const read = new WeakMap<Uint8Array, MsrpOffer>();

/**
 * The MSRP sections of an INVITE's offer; it is read once, since the octets of a body do not change.
 * @returns undefined for an INVITE without offer, and for an offer of other media.
 * @throws ParleyError `cpm-offer-unacceptable` when there is a section for MSRP that cannot be used, as one without `a=path`.
 */
export function msrpOffer(request: SipRequest): MsrpOffer | undefined {
  const known = read.get(request.body);
  if (known) return known;
  const offer = reading(request, parseMsrpOffer);
  if (offer) read.set(request.body, offer);
  return offer;
}

/**
 * The MSRP sections of a later request's offer that are not refused; none for other media.
 * @throws ParleyError as {@link msrpOffer}.
 */
export function laterMsrpOffers(request: SipRequest): readonly MsrpMedia[] {
  return reading(request, parseMsrpSections) ?? [];
}

function reading<T>(request: SipRequest, parse: (sdp: Uint8Array) => T): T | undefined {
  const sdp = descriptionIn(request);
  if (sdp === undefined || !/^m=message /m.test(Buffer.from(sdp).toString('latin1'))) return undefined;
  try {
    return parse(sdp);
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error;
    throw new ParleyError('cpm-offer-unacceptable', error.message);
  }
}

/** Octets of the message or file that an offer announces (RFC 5547 §6), when it says so. */
export function announcedSize(offer: MsrpMedia | undefined): number | undefined {
  const selector = offer?.file?.selector;
  return selector === undefined ? undefined : parseFileSelector(selector).size;
}

/**
 * The session description in the body of a message, alone or beside the first message of a client of SIMPLE IM, as a view of the body.
 * @throws ParleyError `sip-bad-message`, `sip-bad-header` for a multipart that cannot be read.
 */
export function descriptionIn({ body, headers }: SipRequest | SipResponse): Uint8Array | undefined {
  const contentType = headers.get('Content-Type');
  if (contentType === undefined || body.length === 0) return undefined;
  const { type } = parseMediaType(contentType);
  if (type === 'application/sdp') return body;
  if (!type.startsWith('multipart/')) return undefined;
  return leafParts(parseMultipart(body, contentType)).find(
    (part) => parseMediaType(part.headers.get('Content-Type') ?? 'text/plain').type === 'application/sdp',
  )?.body;
}

/** A body with another session description in the place of its own. @param description as {@link descriptionIn} gave it. */
export function withDescription(body: Uint8Array, description: Uint8Array, other: Uint8Array): Uint8Array {
  if (description === body) return other;
  const start = description.byteOffset - body.byteOffset;
  const before = Buffer.from(body.subarray(0, start)).toString('latin1');
  const head = Math.max(0, before.lastIndexOf('\r\n--'));
  // a part may say how long it is (RFC 2045 §9 leaves such fields to who writes them)
  const own = before.slice(head).replace(/^(Content-Length)([ \t]*:[ \t]*)\d+/im, `$1$2${other.length}`);
  return Buffer.concat([
    Buffer.from(before.slice(0, head) + own, 'latin1'),
    other,
    body.subarray(start + description.length),
  ]);
}
