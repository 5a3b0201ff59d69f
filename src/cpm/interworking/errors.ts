import { defineErrors } from '../../base/errors.js';

export const interworkingErrors = defineErrors({
  'interworking-duplicate': { sip: 500, http: 409, text: 'two interworking functions have one name' },
  'interworking-unable': {
    sip: 488,
    http: 409,
    text: 'the service that serves this address cannot take such a request',
    clause: 'OMA CPM interworking selection',
  },
  'interworking-sender': {
    sip: 403,
    http: 400,
    text: 'not an address that may send into CPM',
    clause: 'OMA CPM non-CPM principals',
  },
});
