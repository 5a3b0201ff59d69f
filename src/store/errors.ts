import { defineErrors } from '../base/errors.js';

export const storeErrors = defineErrors({
  'store-unavailable': { sip: 503, http: 503, text: 'the store cannot commit' },
});
