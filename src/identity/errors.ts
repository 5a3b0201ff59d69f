import { defineErrors } from '../base/errors.js';

/** Values that do not name what they should; each code says which rule was broken. */
export const identityErrors = defineErrors({
  'instance-id-brackets': {
    sip: 400,
    http: 400,
    text: 'an instance ID must be a URN between angle brackets (RFC 5626 §4.1)',
  },
  'instance-id-length': { sip: 400, http: 400, text: 'an instance ID is longer than 256 characters' },
  'instance-id-not-a-urn': { sip: 400, http: 400, text: 'an instance ID must be a URN (RFC 5626 §4.1)' },
  'instance-id-imei': { sip: 400, http: 400, text: 'not an IMEI URN (RFC 7254 §3)' },
  'instance-id-meid': {
    sip: 400,
    http: 400,
    text: 'a MEID URN holds 8 and 6 hexadecimal digits joined by a dash (RFC 8464 §4)',
  },
  'instance-id-uuid': {
    sip: 400,
    http: 400,
    text: 'a UUID URN holds 8-4-4-4-12 hexadecimal digits (RFC 4122 §3)',
  },
});
