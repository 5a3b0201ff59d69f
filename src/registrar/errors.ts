import { defineErrors } from '../base/errors.js';

export const registrarErrors = defineErrors({
  'register-wrong-domain': { sip: 404, http: 404, text: 'not a domain served here' },
  'register-unknown-identity': { sip: 404, http: 404, text: 'no such identity' },
  'register-not-your-identity': { sip: 403, http: 403, text: 'the identity belongs to somebody else' },
  'register-barred': { sip: 403, http: 403, text: 'the identity is barred' },
  'register-third-party': { sip: 403, http: 403, text: 'registration on behalf of another identity' },
  'register-wildcard': { sip: 400, http: 400, text: 'Contact * must stand alone with Expires 0' },
  'register-too-many-contacts': { sip: 403, http: 409, text: 'too many contacts' },
  'register-several-flows': {
    sip: 400,
    http: 400,
    text: 'only one contact may be registered together with reg-id',
  },
  'register-first-hop': { sip: 439, http: 400, text: 'First Hop Lacks Outbound Support' },
  'register-contact-is-aor': {
    sip: 403,
    http: 403,
    text: 'a contact with an instance may not be the identity itself or its GRUU',
  },
  'register-contact-scheme': { sip: 403, http: 403, text: 'a contact with an instance must be a SIP URI' },
  'register-path-unsupported': { sip: 421, http: 400, text: 'Path without Supported: path' },
  'register-brief': { sip: 423, http: 400, text: 'Interval Too Brief' },
  'register-out-of-order': {
    sip: 500,
    http: 409,
    text: 'CSeq is not higher than the last one of this Call-ID',
  },
  'auth-locked': { sip: 403, http: 403, text: 'too many wrong answers' },
  'subscriber-exists': { sip: 500, http: 409, text: 'there is such a subscriber already' },
  'subscriber-unknown': { sip: 404, http: 404, text: 'no such subscriber' },
  'subscriber-invalid': { sip: 400, http: 400, text: 'not a valid subscriber' },
  'registration-unknown': { sip: 404, http: 404, text: 'no such registration' },
});
