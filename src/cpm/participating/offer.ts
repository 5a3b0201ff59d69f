import { ParleyError } from '../../base/errors.js';
import { parseFileSelector, parseMsrpMedia, type MsrpMedia } from '../../msrp/sdp/index.js';
import { parseMediaType } from '../../sip/message/content.js';
import type { SipRequest } from '../../sip/message/message.js';
import { leafParts, parseMultipart } from '../../sip/message/multipart.js';
import './errors.js';

/**
 * The MSRP section of an INVITE's offer.
 * @returns undefined for an INVITE without offer, and for an offer of other media.
 * @throws ParleyError `cpm-offer-unacceptable` when there is a section for MSRP that cannot be used, as one without `a=path`.
 */
export function msrpOffer(request: SipRequest): MsrpMedia | undefined {
  const sdp = sdpOf(request);
  if (sdp === undefined || !/^m=message /m.test(Buffer.from(sdp).toString('latin1'))) return undefined;
  try {
    return parseMsrpMedia(sdp);
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

function sdpOf(request: SipRequest): Uint8Array | undefined {
  const contentType = request.get('Content-Type');
  if (contentType === undefined || request.body.length === 0) return undefined;
  const { type } = parseMediaType(contentType);
  if (type === 'application/sdp') return request.body;
  if (!type.startsWith('multipart/')) return undefined;
  return leafParts(parseMultipart(request.body, contentType)).find(
    ({ headers }) => parseMediaType(headers.get('Content-Type') ?? 'text/plain').type === 'application/sdp',
  )?.body;
}
