import { ParleyError } from '../base/errors.js';
import type { UserId } from '../imps/index.js';
import { parseEvent } from '../sip/message/event.js';
import type { ServerRequest, ServerResponse } from '../sip/stack.js';
import { shortReason } from '../sip/message/reason-phrases.js';
import type { Phone, Phones } from './devices/phones.js';
import './errors.js';
import type { FocusInvitations } from './groups/focus-invitations.js';
import { acceptOf } from './messages/content.js';
import type { ToPhone } from './messages/to-phone.js';
import type { Presence } from './presence/presence.js';
import type { Admission } from './sessions/admission.js';
import { DIALOG_METHODS } from './sessions/open-session.js';
import type { Sessions } from './sessions/sessions.js';

export interface PhoneRequestsOptions {
  readonly phones: Phones;
  readonly toPhone: ToPhone;
  readonly presence: Presence;
  setOf(aor: string): Promise<string | undefined>;
  identityOf(user: UserId): Promise<string | undefined>;
  readonly admission: Admission;
  readonly sessions: Sessions;
  readonly invitations: FocusInvitations;
}

/** Requests for the contact of a phone, outside dialogs. */
export class PhoneRequests {
  readonly #options: PhoneRequestsOptions;

  constructor(options: PhoneRequestsOptions) {
    this.#options = options;
  }

  /** @throws ParleyError `gateway-session-over`, `gateway-phone-away`, `gateway-method`, and what those whom it asks throw */
  async handle(request: ServerRequest, response: ServerResponse): Promise<void> {
    if (request.toTag !== undefined) throw new ParleyError('gateway-session-over');
    const phone = await this.#options.phones.at(request.requestUri.user);
    switch (request.method) {
      case 'MESSAGE':
        await this.#message(request, response, phone);
        return;
      case 'INVITE':
        await this.#invited(request, response, phone);
        return;
      case 'SUBSCRIBE':
        await this.#watched(request, response, phone);
        return;
      case 'OPTIONS':
        response.send(200, {
          headers: {
            Accept: 'message/cpim, text/plain, application/sdp',
            Allow: `MESSAGE, SUBSCRIBE, ${DIALOG_METHODS}`,
            'Allow-Events': 'presence',
          },
        });
        return;
      default:
        throw new ParleyError('gateway-method', request.method);
    }
  }

  async #message(request: ServerRequest, response: ServerResponse, phone: Phone): Promise<void> {
    try {
      response.send(await this.#options.toPhone.message(request, phone));
    } catch (error) {
      if (!(error instanceof ParleyError) || error.sip !== 415) throw error;
      const headers = { Accept: acceptOf(phone.session.capabilities) };
      response.send(415, { reason: shortReason(error.message), headers });
    }
  }

  /** Where another core has the user, the phone is where its presence is to be had (RFC 3856 §5.2). */
  async #watched(request: ServerRequest, response: ServerResponse, { session }: Phone): Promise<void> {
    const event = request.get('Event');
    if (event === undefined || parseEvent(event).type !== 'presence') {
      response.send(489, { headers: { 'Allow-Events': 'presence' } });
      return;
    }
    const entity = await this.#options.identityOf(session.user);
    const set = entity === undefined ? undefined : await this.#options.setOf(entity);
    if (entity === undefined || set === undefined) throw new ParleyError('gateway-phone-away');
    await this.#options.presence.subscribed(request, response, { set, entity });
  }

  async #invited(request: ServerRequest, response: ServerResponse, phone: Phone): Promise<void> {
    const { admission, sessions, invitations } = this.#options;
    const kind = await admission.admit(request, phone);
    if (kind === 'group') await invitations.invited(request, response, phone);
    else await sessions.invited(request, response, phone, kind);
  }
}
