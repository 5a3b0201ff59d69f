import { ParleyError } from '../../base/errors.js';
import type { InviteDialog } from '../dialog/invite-dialog.js';
import type { InDialogRequest } from '../dialog/base.js';
import type { HeaderMap } from '../message/headers.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Handler, SendOptions, ServerRequest, ServerResponse } from '../stack.js';
import { endToEnd } from './end-to-end.js';

/** Where a leg's requests go: the dialog of the other leg as it is now; undefined while there is none. */
export type OtherLeg = () => InviteDialog | undefined;

/** The final response of one leg as it goes to the other. */
export function crossed(response: SipResponse): SendOptions & { readonly status: number } {
  return {
    status: mapped[response.status] ?? response.status,
    ...(mapped[response.status] === undefined ? { reason: response.reason } : {}),
    headers: endToEnd(response),
    ...(response.body.length > 0 ? { body: response.body } : {}),
  };
}

/**
 * What a failure of the far leg is called on the near one: a 503 would say that this server takes no calls (RFC 3261
 * §21.5.4), a challenge was for our credentials and not the caller's, a flow is none of his business (RFC 5626 §11.5).
 */
const mapped: Record<number, number> = { 401: 502, 407: 502, 430: 480, 503: 500 };

/** Lets the requests of one leg cross to the other, and their responses back. */
export function crossRequests(leg: InviteDialog, other: OtherLeg): void {
  leg.onRequest(crossing(leg, other));
}

function crossing(leg: InviteDialog, other: OtherLeg): Handler {
  return async (request: ServerRequest, response: ServerResponse) => {
    if (request.method === 'UPDATE' && request.body.length === 0) {
      response.send(200); // refreshes the session of its own leg only
      return;
    }
    const to = other();
    if (!to || to.state === 'terminated') throw new ParleyError('sip-no-dialog');
    if (request.method === 'INVITE' && request.body.length === 0)
      await crossOfferless(leg, to, request, response);
    else {
      const answer = await forward(to, request);
      response.send(answer.status, crossed(answer));
    }
  };
}

function forward(to: InviteDialog, request: SipRequest): Promise<SipResponse> {
  const options = { headers: endToEnd(request), body: request.body };
  // a glare is the affair of who sent the request: he tries again, and not we for him
  if (request.method === 'INVITE') return to.reinvite({ ...options, tryAgain: false });
  return to.send({ method: request.method, ...options });
}

/** The offer comes in the 2xx and the answer in the ACK: the far ACK waits for the near one (RFC 3261 §14.2). */
async function crossOfferless(
  leg: InviteDialog,
  to: InviteDialog,
  request: ServerRequest,
  response: ServerResponse,
): Promise<void> {
  const answer = await to.reinvite({ headers: endToEnd(request), tryAgain: false }, (offer) => {
    const acknowledged = nextAck(leg, request.cseq.number);
    response.send(offer.status, crossed(offer));
    return acknowledged;
  });
  if (answer.status >= 300) response.send(answer.status, crossed(answer));
}

/** The body and fields of the ACK to that INVITE; empty when the leg ends before it comes. */
export function nextAck(leg: InviteDialog, sequence: number): Promise<InDialogRequest> {
  return new Promise((resolve) => {
    leg.onAck((ack) => {
      if (ack.cseq.number === sequence) resolve({ headers: endToEnd(ack), body: ack.body });
    });
    leg.onEnd(() => resolve({}));
  });
}

/** Ends the other leg when this one ends, with the Reason of its BYE (RFC 3326). */
export function crossEnd(leg: InviteDialog, other: OtherLeg): void {
  leg.onEnd((cause) => {
    const to = other();
    if (to && to.state !== 'terminated') to.background(to.destroy(byeFields(cause)));
  });
}

function byeFields(cause: SipRequest | string): HeaderMap {
  return typeof cause === 'string' ? {} : endToEnd(cause);
}
