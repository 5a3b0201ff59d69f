import { defineErrors } from '../base/errors.js';

export const regEventErrors = defineErrors({
  'reg-event-forbidden': { sip: 403, http: 403, text: 'not your registration' },
  'reg-event-not-acceptable': { sip: 406, http: 406, text: 'Accept leaves out application/reginfo+xml' },
  'reg-event-no-contact': { sip: 400, http: 400, text: 'a SUBSCRIBE needs one Contact' },
  'reg-event-too-many': { sip: 503, http: 503, text: 'too many subscriptions' },
  'reginfo-type': { sip: 415, http: 502, text: 'not application/reginfo+xml', clause: 'RFC 3680 §5' },
  'reginfo-malformed': {
    sip: 400,
    http: 502,
    text: 'not a readable reginfo document',
    clause: 'RFC 3680 §5',
  },
  'reginfo-too-large': {
    sip: 413,
    http: 502,
    text: 'a reginfo document beyond the limits',
    clause: 'RFC 3680 §5',
  },
});
