import { defineErrors } from '../../base/errors.js';

export const policyErrors = defineErrors({
  'policy-invalid': { sip: 500, http: 400, text: 'not a valid policy' },
  'policy-user-unknown': { sip: 404, http: 404, text: 'no such user' },
});
