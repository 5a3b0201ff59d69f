import { defineErrors, ParleyError } from '../base/errors.js';

/** Failures of the IMPS part that are no CSP status of their own: what arrives cannot be read, or cannot be written. */
export const impsErrors = defineErrors({
  'imps-xml-malformed': { sip: 400, http: 400, text: 'the XML document is not a CSP message' },
  'imps-wbxml-malformed': { sip: 400, http: 400, text: 'the WBXML document is malformed' },
  'imps-message-malformed': { sip: 400, http: 400, text: 'the CSP message lacks a part of its envelope' },
  'imps-text-malformed': { sip: 400, http: 400, text: 'the plain text message is malformed' },
  'imps-too-large': { sip: 413, http: 413, text: 'the CSP message is over a size limit' },
  'imps-charset-unsupported': { sip: 415, http: 415, text: 'the character set is not supported' },
  'imps-content-type': { sip: 415, http: 415, text: 'the content type is not one of CSP' },
  'imps-port-taken': { sip: 503, http: 503, text: 'another program listens on the IMPS address' },
  'imps-refused': { sip: 403, http: 403, text: 'refused with a CSP status' },
});

/** @param detail what exactly; no secrets, nothing of a message's content */
export const impsError = (
  code: keyof typeof impsErrors,
  detail?: string,
  options?: ErrorOptions,
): ParleyError => new ParleyError(code, detail, options);
