import { preferences } from '../../core/cpm-invitation.js';
import { SIP_INSTANCE } from '../../identity/feature-tags.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { UserPolicy } from './user-policy.js';

/**
 * Aims a request for a user at the device that the user chose, as a caller would (RFC 3841 §7.2.4: `require` and `explicit` leave
 * out all others). A request that names a device already stays as it is.
 */
export function aimAtChosenDevice(request: SipRequest, { deliverTo }: Pick<UserPolicy, 'deliverTo'>): void {
  if (deliverTo === undefined || namesDevice(request)) return;
  request.headers.append('Accept-Contact', `*;+sip.instance="<${deliverTo}>";require;explicit`);
}

/** Whether a request is for one device: by its GRUU, or by what the caller asks of it. */
export function namesDevice(request: SipRequest): boolean {
  if (request.requestUri.isSip && request.requestUri.params.has('gr')) return true;
  return preferences(request, 'Accept-Contact').some(({ terms }) =>
    terms.some(({ tag }) => tag === SIP_INSTANCE),
  );
}
