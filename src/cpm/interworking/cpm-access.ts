import { randomUUID } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import type { SessionCase } from '../../core/service.js';
import { cpmServices, type CpmService } from '../../identity/cpm-services.js';
import { referenceValue } from '../../identity/feature-tags.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import type { SipResponse } from '../../sip/message/message.js';
import type { ClientHooks, Dialog, SipStack } from '../../sip/stack.js';
import './errors.js';
import type { ConversationIds } from './function.js';

/** A request of a principal outside CPM, on its way into CPM. */
export interface IntoCpm extends ConversationIds {
  /** Who sends: a user here by `sip:` or `tel:` address, or a URI of its own kind (`wv:bob@example.com`). */
  readonly from: string;
  /** User, or GRUU of one device. */
  readonly to: string;
  /** GRUU of the sending device, for Contact, where it has one. */
  readonly device?: string | undefined;
  /** The Non-CPM Communication Service Identifier. */
  readonly service: string;
  readonly body: Uint8Array | string;
  readonly contentType: string;
  readonly headers?: HeaderMap | undefined;
}

export interface CpmAccessOptions {
  readonly stack: SipStack;
  readonly serviceHeader: string;
  /** Key of the registration set of a user here, undefined for anybody else. */
  setOf(aor: string): Promise<string | undefined>;
  /** Route values to the services of a user from their start. */
  entrance(sessionCase: SessionCase, user: { servedUser: string; set: string }): readonly string[];
}

/** The way from an interworking function into CPM: its messages and invitations pass the services of sender and recipient. */
export class CpmAccess {
  readonly #options: CpmAccessOptions;

  constructor(options: CpmAccessOptions) {
    this.#options = options;
  }

  /** A standalone message in pager mode. @returns the final response. @throws ParleyError `interworking-sender` */
  async message(message: IntoCpm): Promise<SipResponse> {
    return this.#options.stack.request(message.to, {
      ...(await this.#request(message, cpmServices.message)),
      method: 'MESSAGE',
    });
  }

  /**
   * A session, or another invitation; the dialog's media are the caller's.
   * @throws FinalResponseError when it is refused, ParleyError `interworking-sender`
   */
  async invite(
    invitation: IntoCpm & ClientHooks & { readonly asked?: CpmService | undefined },
  ): Promise<Dialog> {
    const { asked = cpmServices.session, device } = invitation;
    const built = await this.#request(invitation, asked);
    return this.#options.stack.createUAC(invitation.to, {
      ...built,
      method: 'INVITE',
      headers: {
        ...built.headers,
        ...(device === undefined
          ? {}
          : { Contact: `<${device}>;+g.3gpp.icsi-ref="${referenceValue([asked])}"` }),
      },
      onProvisional: (response) => invitation.onProvisional?.(response),
      onStarted: (cancel, request) => invitation.onStarted?.(cancel, request),
    });
  }

  async #request(
    sent: IntoCpm,
    asked: CpmService,
  ): Promise<{ headers: HeaderMap; body: Uint8Array | string; route: readonly string[] }> {
    const { from, to, service, contributionId = randomUUID(), conversationId, inReplyTo } = sent;
    const options = this.#options;
    if (!/^[a-z][a-z0-9+.-]*:[^\s<>"]+$/i.test(from)) throw new ParleyError('interworking-sender', from);
    const set = /^(?:sip|tel):/i.test(from) ? await options.setOf(from) : undefined;
    return {
      headers: {
        ...sent.headers,
        From: `<${from}>`,
        To: `<${to}>`,
        'P-Asserted-Identity': `<${from}>`,
        'P-Asserted-Service': asked,
        'Accept-Contact': `*;+g.3gpp.icsi-ref="${referenceValue([asked])}"`,
        'Contribution-ID': contributionId,
        'Conversation-ID': conversationId,
        'InReplyTo-Contribution-ID': inReplyTo,
        'Content-Type': sent.contentType,
        [options.serviceHeader]: service,
      },
      body: sent.body,
      // a stranger has no services here: the recipient's begin at once
      route: set
        ? options.entrance('originating', { servedUser: from, set })
        : options.entrance('terminating-registered', { servedUser: to, set: to }),
    };
  }
}
