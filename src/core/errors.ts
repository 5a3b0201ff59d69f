import { defineErrors } from '../base/errors.js';

export const coreErrors = defineErrors({
  'core-unknown-user': { sip: 404, http: 404, text: 'no such user' },
  'core-gruu-invalid': { sip: 404, http: 404, text: 'not a valid GRUU' },
  'core-not-registered': { sip: 480, http: 404, text: 'no device is registered' },
  'core-device-not-registered': { sip: 480, http: 404, text: 'that device is not registered' },
  'core-no-device-matches': {
    sip: 480,
    http: 404,
    text: 'no registered device has what the caller asks for',
  },
  'core-foreign-gruu': { sip: 403, http: 403, text: 'the GRUU in Contact belongs to somebody else' },
  'core-from-not-yours': { sip: 403, http: 403, text: 'From names an identity of somebody else' },
  'core-unknown-sender': { sip: 403, http: 403, text: 'not a registered user of this domain' },
  'core-foreign-domain': { sip: 403, http: 403, text: 'requests to other domains are not forwarded' },
  'core-handed-on-twice': {
    sip: 500,
    http: 500,
    text: 'a service handed a request on that it no longer had',
  },
});
