import { defineErrors } from '../../base/errors.js';

export const authErrors = defineErrors({
  'digest-malformed': { sip: 400, http: 400, text: 'malformed digest credentials (RFC 7616 §3.4)' },
  'digest-uri': { sip: 400, http: 400, text: 'the digest uri names another resource (RFC 7616 §3.4.6)' },
  'digest-challenge': {
    sip: 401,
    http: 401,
    text: 'no digest challenge that can be answered (RFC 8760 §2.4)',
  },
});
