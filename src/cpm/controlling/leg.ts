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

/** Answers a request of a participant inside its dialog. */
export async function answerInDialog(
  leg: Leg,
  group: Group,
  request: ServerRequest,
  response: ServerResponse,
  onRefer: ReferHandler,
): Promise<void> {
  switch (request.method) {
    case 'REFER':
      await onRefer(leg.identity, request, response, leg.dialog);
      return;
    case 'INVITE':
    case 'UPDATE':
      renegotiate(leg, group, request, response);
      return;
    case 'OPTIONS':
      response.send(200, { headers: groupHeaders(group) });
      return;
    default:
      response.send(405, { headers: ALLOW_IN_SESSION });
  }
}

function renegotiate(leg: Leg, group: Group, request: ServerRequest, response: ServerResponse): void {
  const { description, list } = readParts(request);
  if (list) {
    // RFC 5366 §4.2: a list is for the factory only
    response.send(420, { headers: { Unsupported: 'recipient-list-invite' } });
    return;
  }
  if (description) leg.media.answer(description);
  const body = description || request.method === 'INVITE' ? leg.media.description : undefined;
  response.send(200, {
    headers: { ...groupHeaders(group), ...(body ? { 'Content-Type': 'application/sdp' } : {}) },
    ...(body ? { body } : {}),
  });
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
