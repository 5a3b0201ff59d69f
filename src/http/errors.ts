import { defineErrors } from '../base/errors.js';

export const httpErrors = defineErrors({
  'http-port-taken': { sip: 503, http: 503, text: 'the address is taken' },
  'http-unauthorized': { sip: 401, http: 401, text: 'a bearer token is needed' },
  'http-wrong-host': { sip: 403, http: 403, text: 'the Host header field does not name this server' },
  'http-bad-request': { sip: 400, http: 400, text: 'the request does not fit the API' },
  'imps-user-invalid': { sip: 400, http: 400, text: 'not a User-ID' },
  'imps-user-exists': { sip: 409, http: 409, text: 'there is such an IMPS user' },
  'imps-user-unknown': { sip: 404, http: 404, text: 'no such IMPS user' },
  'imps-session-unknown': { sip: 404, http: 404, text: 'no such IMPS session' },
  'http-not-found': { sip: 404, http: 404, text: 'no such resource' },
});
