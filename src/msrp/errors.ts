import { defineErrors, ParleyError } from '../base/errors.js';

export const msrpErrors = defineErrors({
  'msrp-malformed': { sip: 400, http: 400, text: 'the MSRP message cannot be parsed' },
  'msrp-uri-malformed': { sip: 400, http: 400, text: 'the MSRP URI cannot be parsed' },
  'msrp-header-too-large': { sip: 513, http: 431, text: 'the MSRP header section exceeds its limit' },
  'msrp-body-too-large': { sip: 513, http: 413, text: 'the MSRP body exceeds its limit' },
  'msrp-connection-lost': { sip: 480, http: 502, text: 'the MSRP connection ended' },
  'msrp-connect-failed': { sip: 480, http: 502, text: 'no MSRP connection could be made' },
  'msrp-fingerprint-mismatch': {
    sip: 488,
    http: 502,
    text: 'the certificate of the MSRP peer is not the one announced',
  },
  'msrp-port-taken': { sip: 503, http: 503, text: 'another program listens on the MSRP address' },
  'msrp-listen-failed': { sip: 500, http: 500, text: 'the MSRP listener cannot be opened' },
  'msrp-sdp-malformed': { sip: 400, http: 400, text: 'the session description cannot be read' },
  'msrp-sdp-unacceptable': {
    sip: 488,
    http: 422,
    text: 'the session description offers no MSRP that can be used',
  },
  'msrp-timeout': { sip: 408, http: 504, text: 'the MSRP peer took too long' },
  'msrp-limit': { sip: 503, http: 503, text: 'a limit of the MSRP node is reached' },
  'msrp-message-abandoned': { sip: 480, http: 502, text: 'an MSRP message did not become whole' },
  'msrp-session-closed': { sip: 481, http: 409, text: 'the MSRP session has ended' },
  'msrp-internal': { sip: 500, http: 500, text: 'a fault inside the MSRP node' },
  'cpim-malformed': { sip: 400, http: 400, text: 'the CPIM message cannot be parsed' },
  'cpim-too-large': { sip: 513, http: 413, text: 'the CPIM header sections exceed their limit' },
  'cpim-nested-too-deep': { sip: 400, http: 400, text: 'CPIM messages are nested too deep' },
  'imdn-malformed': { sip: 400, http: 400, text: 'the IMDN document cannot be used' },
  'is-composing-malformed': { sip: 400, http: 400, text: 'the isComposing document cannot be used' },
});

/** A failure of this folder, with its code checked by the compiler. */
export function msrpError(
  code: keyof typeof msrpErrors,
  detail?: string,
  options?: ErrorOptions,
): ParleyError {
  return new ParleyError(code, detail, options);
}

/** The octets are not MSRP (RFC 4975 §9). */
export function malformed(detail: string): ParleyError {
  return msrpError('msrp-malformed', detail);
}
