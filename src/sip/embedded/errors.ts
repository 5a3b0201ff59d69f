import { defineErrors } from '../../base/errors.js';

export const embeddedErrors = defineErrors({
  'sip-foreign-request': { sip: 500, http: 500, text: 'the request is not one of this SIP stack' },
  'sip-already-answered': { sip: 500, http: 500, text: 'the request has its final response' },
  'sip-cancelled': { sip: 487, http: 503, text: 'the request was cancelled' },
  'sip-too-many-hops': { sip: 483, http: 500, text: 'too many hops' },
  'sip-bad-extension': { sip: 420, http: 501, text: 'extension not supported' },
  'sip-interval-too-small': { sip: 422, http: 400, text: 'session interval too small' },
  'sip-merged-request': { sip: 482, http: 500, text: 'merged request' },
  'sip-no-dialog': { sip: 481, http: 404, text: 'the dialog has ended' },
  'sip-request-pending': { sip: 491, http: 409, text: 'another request of the dialog is pending' },
});
