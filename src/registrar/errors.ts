import { defineErrors } from '../base/errors.js';

export const registrarErrors = defineErrors({
  'register-wrong-domain': {
    sip: 404,
    http: 404,
    text: 'not a domain served here',
    clause: 'RFC 3261 §10.3 item 1',
  },
  'register-unknown-identity': {
    sip: 404,
    http: 404,
    text: 'no such identity',
    clause: 'RFC 3261 §10.3 item 5',
  },
  'register-not-your-identity': {
    sip: 403,
    http: 403,
    text: 'the identity belongs to somebody else',
    clause: 'RFC 3261 §10.3 item 4',
  },
  'register-barred': {
    sip: 403,
    http: 403,
    text: 'the identity is barred, and no other registers with it',
    clause: '3GPP TS 23.228 §4.3.3.4',
  },
  'register-third-party': {
    sip: 403,
    http: 403,
    text: 'registration on behalf of another identity',
    clause: 'RFC 3261 §10.3 item 4',
  },
  'register-wildcard': {
    sip: 400,
    http: 400,
    text: 'Contact * must stand alone with Expires 0',
    clause: 'RFC 3261 §10.3 item 6',
  },
  'register-too-many-contacts': {
    sip: 403,
    http: 409,
    text: 'too many contacts',
    clause: 'RFC 3261 §10.3 item 7',
  },
  'register-several-flows': {
    sip: 400,
    http: 400,
    text: 'only one contact may be registered together with reg-id',
    clause: 'RFC 5626 §4.2.1',
  },
  'register-first-hop': {
    sip: 439,
    http: 400,
    text: 'First Hop Lacks Outbound Support',
    clause: 'RFC 5626 §6',
  },
  'register-contact-is-aor': {
    sip: 403,
    http: 403,
    text: 'a contact with an instance may not be the identity itself or its GRUU',
    clause: 'RFC 5627 §5.1',
  },
  'register-contact-scheme': {
    sip: 403,
    http: 403,
    text: 'a contact with an instance must be a SIP URI',
    clause: 'RFC 5627 §5.1',
  },
  'register-brief': { sip: 423, http: 400, text: 'Interval Too Brief', clause: 'RFC 3261 §10.3 item 7' },
  'register-out-of-order': {
    sip: 500,
    http: 409,
    text: 'CSeq is not higher than the last one of this Call-ID',
    clause: 'RFC 3261 §10.3 item 7',
  },
  'auth-locked': { sip: 403, http: 403, text: 'too many wrong answers', clause: 'RFC 3261 §26.3.2' },
  'auth-no-keys': {
    sip: 403,
    http: 403,
    text: 'the subscriber has no keys for AKA',
    clause: 'RFC 3310 §3.2',
  },
  'subscriber-exists': { sip: 500, http: 409, text: 'there is such a subscriber already' },
  'subscriber-unknown': { sip: 404, http: 404, text: 'no such subscriber' },
  'subscriber-invalid': { sip: 400, http: 400, text: 'not a valid subscriber' },
  'registration-elsewhere': { sip: 403, http: 409, text: 'the registrar is that of another core' },
  'registration-unknown': { sip: 404, http: 404, text: 'no such registration' },
});
