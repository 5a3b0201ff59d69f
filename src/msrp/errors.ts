import { defineErrors, ParleyError } from '../base/errors.js';

export const msrpErrors = defineErrors({
  'msrp-malformed': { sip: 400, http: 400, text: 'the MSRP message cannot be parsed' },
  'msrp-uri-malformed': { sip: 400, http: 400, text: 'the MSRP URI cannot be parsed' },
  'msrp-header-too-large': { sip: 513, http: 431, text: 'the MSRP header section exceeds its limit' },
  'msrp-body-too-large': { sip: 513, http: 413, text: 'the MSRP body exceeds its limit' },
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
