import { ParleyError } from '../../base/errors.js';
import { readParts } from '../../cpm/controlling/invitation.js';
import type { UserId } from '../../imps/index.js';
import type { Dialog, ServerRequest, ServerResponse } from '../../sip/stack.js';
import type { InvitationKind } from './admission.js';
import type { PhoneMedia } from './phone-media.js';

/** The user at the other end. */
export interface Peer {
  readonly uri: string;
  /** As phones see it. */
  readonly wv: UserId;
  /** Key of its registration set, else its address: the same for all its identities. */
  readonly key: string;
}

/** What every 2xx of the gateway in a dialog says it takes. */
export const DIALOG_METHODS = 'ACK, BYE, CANCEL, INVITE, OPTIONS, UPDATE';

/** A CPM 1-1 session whose end, for a phone, is here: a dialog, and the MSRP session that it describes. */
export class OpenSession {
  /** Call-ID and our tag. */
  readonly id: string;
  readonly kind: InvitationKind;
  /** Session-ID of the phone's IMPS session. */
  readonly phone: string;
  readonly peer: Peer;
  readonly dialog: Dialog;
  /** Milliseconds since the epoch of the last message, either way. */
  lastAt: number;
  /** Contribution-ID of its invitation, by which a group may take its place. */
  readonly contributionId: string | undefined;
  readonly #media: PhoneMedia;

  constructor(options: {
    readonly kind: InvitationKind;
    readonly dialog: Dialog;
    readonly media: PhoneMedia;
    readonly phone: string;
    readonly peer: Peer;
    readonly now: number;
  }) {
    const { kind, dialog, media, phone, peer, now } = options;
    this.kind = kind;
    this.id = `${dialog.callId}\t${dialog.localTag}`;
    this.dialog = dialog;
    this.#media = media;
    this.contributionId = dialog.request.get('Contribution-ID');
    this.phone = phone;
    this.peer = peer;
    this.lastAt = now;
    dialog.onRequest((request, response) => answerInDialog(media, request, response));
  }

  /** Sends message/cpim. @returns the status of the peer's answer (RFC 4975 §10), 481 when the session is over */
  async send(octets: Uint8Array, now: number): Promise<number> {
    this.lastAt = now;
    return this.#media.send(octets);
  }

  /** Ends it from our side. @param reason value of Reason (RFC 3326) */
  async end(reason: string): Promise<void> {
    await this.dialog.destroy({ Reason: reason });
  }

  /** The dialog is over. */
  close(): void {
    this.#media.close();
  }
}

/** Answers a request of the other side inside a dialog of a phone. @throws ParleyError `gateway-method`, `msrp-sdp-*` */
export function answerInDialog(media: PhoneMedia, request: ServerRequest, response: ServerResponse): void {
  switch (request.method) {
    case 'INVITE':
    case 'UPDATE':
      renegotiate(media, request, response);
      return;
    case 'OPTIONS':
      response.send(200, { headers: { Allow: DIALOG_METHODS } });
      return;
    default:
      throw new ParleyError('gateway-method', request.method);
  }
}

function renegotiate({ negotiation }: PhoneMedia, request: ServerRequest, response: ServerResponse): void {
  const { description } = readParts(request);
  if (description) negotiation.answer(description);
  const body = description || request.method === 'INVITE' ? negotiation.description : undefined;
  response.send(200, {
    headers: { Allow: DIALOG_METHODS, ...(body ? { 'Content-Type': 'application/sdp' } : {}) },
    ...(body ? { body } : {}),
  });
}
