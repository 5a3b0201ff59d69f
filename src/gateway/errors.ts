import { defineErrors } from '../base/errors.js';

export const gatewayErrors = defineErrors({
  'gateway-address-invalid': { sip: 400, http: 400, text: 'not an address that can be mapped' },
  'gateway-address-conflict': { sip: 409, http: 409, text: 'the address is mapped to another one' },
  'gateway-address-unknown': { sip: 404, http: 404, text: 'no such mapping' },
  'gateway-instance-conflict': { sip: 409, http: 409, text: 'the Instance ID belongs to another client' },
  'gateway-device-unknown': { sip: 404, http: 404, text: 'no such device of an IMPS user' },
  'gateway-phone-away': { sip: 480, http: 409, text: 'the IMPS phone has no session' },
  'gateway-content': { sip: 415, http: 415, text: 'the phone cannot take this content' },
  'gateway-charset': { sip: 415, http: 415, text: 'the text does not decode in its character set' },
  'gateway-session-refused': { sip: 488, http: 409, text: 'the phone takes messages, but no sessions' },
  'gateway-session-elsewhere': { sip: 480, http: 409, text: 'another device of the user takes the session' },
  'gateway-session-anonymous': {
    sip: 433,
    http: 403,
    text: 'a session with a phone needs an identity',
    clause: 'RFC 5079',
  },
  'gateway-session-limit': { sip: 486, http: 409, text: 'the phone has as many sessions as allowed' },
  'gateway-session-over': { sip: 481, http: 409, text: 'the session is over' },
  'gateway-row-invalid': { sip: 400, http: 400, text: 'a row of an import is not complete' },
  'gateway-hops': { sip: 483, http: 409, text: 'the message took too many hops', clause: 'RFC 7332 §3' },
  'gateway-loop': { sip: 482, http: 409, text: 'the message goes in a circle', clause: 'RFC 3261 §16.3' },
  'gateway-invitation-declined': { sip: 603, http: 409, text: 'the user of the phone declines' },
  'gateway-roster': {
    sip: 400,
    http: 400,
    text: 'not a conference state that can be read',
    clause: 'RFC 4575 §5',
  },
  'gateway-method': { sip: 405, http: 405, text: 'the gateway has no such method for phones' },
});
