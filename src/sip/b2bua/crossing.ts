import { ParleyError } from '../../base/errors.js';
import type { InviteDialog } from '../dialog/invite-dialog.js';
import type { InDialogRequest } from '../dialog/base.js';
import type { HeaderMap } from '../message/headers.js';
import { SipResponse, type SipRequest } from '../message/message.js';
import type { B2buaOptions, Handler, SendOptions, ServerRequest, ServerResponse } from '../stack.js';
import { endToEnd } from './end-to-end.js';

/** Where a leg's requests go: the dialog of the other leg as it is now; undefined while there is none. */
export type OtherLeg = () => InviteDialog | undefined;

/** The body under which a message goes to a leg. */
export type CrossBody = NonNullable<B2buaOptions['crossBody']>;

/** The final response of one leg as it goes to the other. @param body under which it goes. */
export function crossed(
  response: SipResponse,
  body: Uint8Array = response.body,
): SendOptions & { readonly status: number } {
  return {
    status: mapped[response.status] ?? response.status,
    ...(mapped[response.status] === undefined ? { reason: response.reason } : {}),
    headers: endToEnd(response),
    ...(body.length > 0 ? { body } : {}),
  };
}

/**
 * What a failure of the far leg is called on the near one: a 503 would say that this server takes no calls (RFC 3261
 * §21.5.4), a challenge was for our credentials and not the caller's, a flow is none of his business (RFC 5626 §11.5).
 */
const mapped: Record<number, number> = { 401: 502, 407: 502, 430: 480, 503: 500 };

/** How the messages of one leg become those of the other. */
export interface Crossing {
  readonly body: CrossBody;
  readonly before: B2buaOptions['beforeCrossing'];
}

/** Lets the requests of one leg cross to the other, and their responses back. @param end which leg the requests come from. */
export function crossRequests(leg: InviteDialog, other: OtherLeg, end: 'uas' | 'uac', how: Crossing): void {
  leg.onRequest(crossing(leg, other, end, how));
}

function crossing(
  leg: InviteDialog,
  other: OtherLeg,
  end: 'uas' | 'uac',
  { body, before }: Crossing,
): Handler {
  const far = end === 'uas' ? 'uac' : 'uas';
  return async (request: ServerRequest, response: ServerResponse) => {
    if (request.method === 'UPDATE' && request.body.length === 0) {
      response.send(200); // refreshes the session of its own leg only
      return;
    }
    const changed = before?.(request);
    if (changed) await changed;
    const to = other();
    if (!to || to.state === 'terminated') throw new ParleyError('sip-no-dialog');
    const asked = body(request, far);
    if (request.method === 'INVITE' && request.body.length === 0)
      await crossOfferless(leg, to, request, response, (message) =>
        body(message, message instanceof SipResponse ? end : far),
      );
    else {
      const answer = await forward(to, request, asked);
      response.send(answer.status, crossed(answer, body(answer, end)));
    }
  };
}

function forward(to: InviteDialog, request: SipRequest, body: Uint8Array): Promise<SipResponse> {
  const options = { headers: endToEnd(request), body };
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
  body: (message: SipRequest | SipResponse) => Uint8Array,
): Promise<void> {
  const answer = await to.reinvite({ headers: endToEnd(request), tryAgain: false }, (offer) => {
    const acknowledged = nextAck(leg, request.cseq.number, body);
    response.send(offer.status, crossed(offer, body(offer)));
    return acknowledged;
  });
  if (answer.status >= 300) response.send(answer.status, crossed(answer));
}

/** The body and fields of the ACK to that INVITE; empty when the leg ends before it comes. @param body under which it goes on. */
export function nextAck(
  leg: InviteDialog,
  sequence: number,
  body: (ack: SipRequest) => Uint8Array,
): Promise<InDialogRequest> {
  return new Promise((resolve) => {
    leg.onAck((ack) => {
      if (ack.cseq.number === sequence) resolve({ headers: endToEnd(ack), body: body(ack) });
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
