import { defineErrors } from '../base/errors.js';

export const coreErrors = defineErrors({
  'core-unknown-user': { sip: 404, http: 404, text: 'no such user', clause: 'RFC 3261 §16.5' },
  'core-gruu-invalid': { sip: 404, http: 404, text: 'not a valid GRUU', clause: 'RFC 5627 §6.1' },
  'core-not-registered': { sip: 480, http: 404, text: 'no device is registered', clause: 'RFC 3261 §16.5' },
  'core-device-not-registered': {
    sip: 480,
    http: 404,
    text: 'that device is not registered',
    clause: 'RFC 5627 §6.1',
  },
  'core-no-device-matches': {
    sip: 480,
    http: 404,
    text: 'no registered device has what the caller asks for',
    clause: 'RFC 3841 §7.2.4',
  },
  'core-foreign-gruu': {
    sip: 403,
    http: 403,
    text: 'the GRUU in Contact belongs to somebody else',
    clause: 'RFC 5627 §6.1',
  },
  'core-from-not-yours': {
    sip: 403,
    http: 403,
    text: 'From names an identity of somebody else',
    clause: 'RFC 3325 §5',
  },
  'core-unknown-sender': {
    sip: 403,
    http: 403,
    text: 'not a registered user of this domain',
    clause: '3GPP TS 24.229 §5.4.3.2',
  },
  'core-not-a-peer': {
    sip: 403,
    http: 403,
    text: 'only nodes of the core are served here',
    clause: '3GPP TS 24.229 §5.7.1.1',
  },
  'profile-invalid': {
    sip: 500,
    http: 400,
    text: 'not a valid service profile',
    clause: '3GPP TS 29.228 §B.2',
  },
  'profile-malformed': {
    sip: 500,
    http: 400,
    text: 'not a readable user profile',
    clause: '3GPP TS 29.228 annex E',
  },
  'profile-unknown': { sip: 500, http: 404, text: 'no such service profile' },
  'core-handed-on-twice': {
    sip: 500,
    http: 500,
    text: 'a service handed a request on that it no longer had',
  },
});
