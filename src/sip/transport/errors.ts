import { defineErrors } from '../../base/errors.js';

export const transportErrors = defineErrors({
  'sip-listener-bad': { sip: 500, http: 400, text: 'not a SIP listener' },
  'sip-port-taken': { sip: 503, http: 503, text: 'the address is taken' },
  'sip-listen-failed': { sip: 503, http: 503, text: 'cannot listen' },
  'sip-no-transport': { sip: 503, http: 503, text: 'no way to send there' },
  'sip-connection-failed': { sip: 503, http: 503, text: 'the connection failed' },
  'sip-connection-limit': { sip: 503, http: 503, text: 'too many connections' },
  'sip-send-queue-full': { sip: 503, http: 503, text: 'the peer reads too slowly' },
});
