import { defineErrors } from '../base/errors.js';

export const sipErrors = defineErrors({
  'sip-bad-header': { sip: 400, http: 400, text: 'bad header field' },
  'sip-bad-uri': { sip: 400, http: 400, text: 'bad URI' },
  'sip-bad-message': { sip: 400, http: 400, text: 'bad message' },
  'sip-stack-closed': { sip: 503, http: 503, text: 'the SIP stack is closed' },
  'sip-unsupported': { sip: 501, http: 501, text: 'this SIP stack cannot do that' },
  'sip-flow-failed': { sip: 430, http: 503, text: 'flow failed' },
});
