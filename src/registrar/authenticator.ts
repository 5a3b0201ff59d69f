import type { ParleyError } from '../base/errors.js';
import type { Soon } from '../base/soon.js';
import type { HeaderMap } from '../sip/message/headers.js';
import type { ServerRequest } from '../sip/stack.js';

/** What is known of the sender of a request after looking at its credentials. */
export type Authentication =
  | {
      readonly kind: 'authenticated';
      readonly privateId: string;
      /** For the final response: Authentication-Info. */
      readonly headers?: HeaderMap;
    }
  | { readonly kind: 'challenge'; readonly status: 401 | 407; readonly headers: HeaderMap }
  | { readonly kind: 'refused'; readonly error: ParleyError };

/** Decides who sent a request. Answers take the same path and time whether or not the user exists. */
export interface Authenticator {
  /** @param role `registrar` challenges with 401, `proxy` with 407 (RFC 3261 §22.2, §22.3). */
  authenticate(request: ServerRequest, role: 'registrar' | 'proxy'): Soon<Authentication>;
}

/** Believes everybody: for load tests on loopback (`auth: none`). The private identity is derived as 3GPP TS 23.003 §13.4 does the reverse. */
export const openAuthenticator: Authenticator = {
  authenticate(request, role) {
    const { uri } = role === 'registrar' ? request.to : request.from;
    const privateId = uri.isSip ? `${uri.user ?? ''}@${uri.host}` : (uri.opaque ?? '');
    return { kind: 'authenticated', privateId };
  },
};
