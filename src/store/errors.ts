import { defineErrors, ParleyError } from '../base/errors.js';

/** What callers of a store may meet. Those with 500 are a fault of the configuration or of the caller. */
export const storeErrors = defineErrors({
  'store-unavailable': { sip: 503, http: 503, text: 'the store cannot commit', retryAfter: 5 },
  'store-url-invalid': { sip: 500, http: 500, text: 'the store URL is not valid' },
  'store-in-use': { sip: 500, http: 500, text: 'another process uses the data folder' },
  'store-broken': { sip: 500, http: 500, text: 'the data folder cannot be used' },
  'store-key-invalid': { sip: 500, http: 500, text: 'a key is 1 to 1024 octets of well-formed UTF-8' },
  'store-record-too-large': { sip: 513, http: 413, text: 'a record is at most 8 MiB' },
});

/** @param detail what exactly; holds no secret. */
export function storeError(code: keyof typeof storeErrors, detail?: string, cause?: unknown): ParleyError {
  return new ParleyError(code, detail, { cause });
}
