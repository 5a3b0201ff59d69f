import { ParleyError } from '../../base/errors.js';
import { parseReasons } from '../../sip/message/reason.js';
import { SipRequest } from '../../sip/message/message.js';
import type { Dialog, ServerRequest, ServerResponse } from '../../sip/stack.js';
import type { Group } from './group.js';
import { groupHeaders, readParts } from './invitation.js';
import type { MediaSession } from './media.js';
import type { Endpoint, Member } from './member.js';

/** One session of a member: its dialog and its media. */
export interface Leg {
  readonly identity: string;
  readonly endpoint: Endpoint;
  readonly dialog: Dialog;
  readonly media: MediaSession;
}

/** Clients do not come back after this end. */
export const GONE = { Reason: 'SIP;cause=410;text="Gone"' };

/** A subscription has a dialog of its own (RFC 6665 §4.5.2). */
const ALLOW_IN_SESSION = { Allow: 'ACK, BYE, CANCEL, INVITE, OPTIONS, REFER, UPDATE' };

/** What a REFER of a member does; it answers the request. */
export type ReferHandler = (
  identity: string,
  request: ServerRequest,
  response: ServerResponse,
  dialog: Dialog,
) => Promise<void>;

/** What a session of a member needs of its focus. */
export interface LegHost {
  readonly group: () => Group;
  readonly refer: ReferHandler;
  /** Ends the session. */
  readonly hangUp: (reason: string) => void;
}

/** Answers what a member asks inside the dialog of its session. */
export function serve(leg: Leg, { group, refer, hangUp }: LegHost): void {
  /** CSeq of the re-INVITE whose 200 had our offer: its ACK has the answer (RFC 3261 §14.2). */
  let offered: number | undefined;
  leg.dialog.onRequest(async (request, response) => {
    switch (request.method) {
      case 'REFER':
        await refer(leg.identity, request, response, leg.dialog);
        return;
      case 'INVITE':
      case 'UPDATE':
        if (renegotiate(leg, group(), request, response)) offered = request.cseq.number;
        return;
      case 'OPTIONS':
        response.send(200, { headers: groupHeaders(group()) });
        return;
      default:
        response.send(405, { headers: ALLOW_IN_SESSION });
    }
  });
  leg.dialog.onAck((ack) => {
    if (ack.cseq.number !== offered) return;
    offered = undefined;
    try {
      leg.media.accept(readParts(ack).description ?? new Uint8Array(0));
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      hangUp('SIP;cause=488;text="Not Acceptable Here"');
    }
  });
}

/** @returns whether the answer has an offer of ours, since the request has none. */
function renegotiate(leg: Leg, group: Group, request: ServerRequest, response: ServerResponse): boolean {
  const { description, list } = readParts(request);
  if (list) {
    // RFC 5366 §5.1: a list is for the factory only
    response.send(420, { headers: { Unsupported: 'recipient-list-invite' } });
    return false;
  }
  const offers = !description && request.method === 'INVITE';
  if (offers) leg.media.offer();
  else if (description) leg.media.answer(description);
  const body = description || offers ? leg.media.description : undefined;
  response.send(200, {
    headers: { ...groupHeaders(group), ...(body ? { 'Content-Type': 'application/sdp' } : {}) },
    ...(body ? { body } : {}),
  });
  return offers;
}

/** Whether who ended its session has left for good: a BYE that says the call is completed. */
export function leftForGood(cause: SipRequest | string): boolean {
  return (
    cause instanceof SipRequest &&
    parseReasons(cause.headers.lines('Reason')).some(
      ({ protocol, cause: status }) => protocol.toUpperCase() === 'SIP' && status === 200,
    )
  );
}

/** How the end of a session is shown (RFC 4575 §5.7.6): a BYE is a departure, anything else a failure. */
export function endOf(cause: SipRequest | string): NonNullable<Member['disconnection']> {
  return cause instanceof SipRequest
    ? { method: 'departed', reason: 'SIP;cause=200;text="Call completed"' }
    : { method: 'failed', reason: 'SIP;cause=408;text="Request Timeout"' };
}
