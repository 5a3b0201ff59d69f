import { defineErrors } from '../base/errors.js';

/** Values that do not name what they should; each code says which rule was broken. */
export const identityErrors = defineErrors({
  'instance-id-brackets': {
    sip: 400,
    http: 400,
    text: 'an instance ID must be a URN between angle brackets (RFC 5626 §4.1)',
    clause: 'RFC 5626 §4.1',
  },
  'instance-id-length': { sip: 400, http: 400, text: 'an instance ID is longer than 256 characters' },
  'instance-id-not-a-urn': {
    sip: 400,
    http: 400,
    text: 'an instance ID must be a URN (RFC 5626 §4.1)',
    clause: 'RFC 5626 §4.1',
  },
  'instance-id-imei': { sip: 400, http: 400, text: 'not an IMEI URN (RFC 7254 §3)', clause: 'RFC 7254 §3' },
  'instance-id-meid': {
    sip: 400,
    http: 400,
    text: 'a MEID URN holds 8 and 6 hexadecimal digits joined by a dash (RFC 8464 §4)',
    clause: 'RFC 8464 §4',
  },
  'instance-id-uuid': {
    sip: 400,
    http: 400,
    text: 'a UUID URN holds 8-4-4-4-12 hexadecimal digits (RFC 4122 §3)',
    clause: 'RFC 4122 §3',
  },
  'aor-scheme': {
    sip: 404,
    http: 400,
    text: 'an address of record is a sip, sips or tel URI (RFC 3261 §10.3)',
    clause: 'RFC 3261 §10.3',
  },
  'aor-wildcard': {
    sip: 404,
    http: 400,
    text: 'not a wildcarded identity such as sip:pbx!.*!@ims.test',
    clause: '3GPP TS 23.003 §13.5',
  },
  'aor-length': { sip: 400, http: 400, text: 'an address of record is longer than 512 characters' },
  'aor-user': {
    sip: 400,
    http: 400,
    text: 'the user part is missing or holds characters that must be escaped (RFC 3261 §25.1)',
  },
  'aor-host': {
    sip: 400,
    http: 400,
    text: 'the host part is not a host name or IP address (RFC 3261 §25.1)',
  },
  'aor-phone-number': {
    sip: 400,
    http: 400,
    text: 'not a global number, nor a local one with phone-context (RFC 3966 §3)',
    clause: 'RFC 3966 §3',
  },
  'gruu-of-tel': {
    sip: 403,
    http: 400,
    text: 'a GRUU is a SIP URI; a tel address of record has none (RFC 5627 §3.1)',
    clause: 'RFC 5627 §3.1',
  },
  'gruu-key': { sip: 500, http: 500, text: 'temporary GRUUs need a key of 16 octets' },
  'gruu-index': { sip: 500, http: 500, text: 'the index of a temporary GRUU has 47 bits' },
  'gruu-name-space': {
    sip: 500,
    http: 500,
    text: 'the name space for hiding hardware identities must be a UUID',
  },
});
