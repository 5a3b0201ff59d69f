import { defineErrors } from '../../base/errors.js';

export const authErrors = defineErrors({
  'digest-malformed': { sip: 400, http: 400, text: 'malformed digest credentials (RFC 7616 §3.4)' },
  'digest-uri': { sip: 400, http: 400, text: 'the digest uri names another resource (RFC 7616 §3.4.6)' },
  'digest-challenge': {
    sip: 401,
    http: 401,
    text: 'no digest challenge that can be answered (RFC 8760 §2.4)',
  },
  'aka-key': { sip: 500, http: 400, text: 'K, OP and OPc have 16 octets (3GPP TS 35.206 §2.3)' },
  'aka-sqn': { sip: 500, http: 400, text: 'a sequence number has 48 bits (3GPP TS 33.102 §6.3.7)' },
  'aka-nonce': { sip: 400, http: 400, text: 'an AKA nonce holds RAND and AUTN (RFC 3310 §3.2)' },
  'aka-algorithm': { sip: 500, http: 500, text: 'not an algorithm of AKA' },
});
