import { ParleyError } from '../../base/errors.js';
import { FinalResponseError } from '../final-response-error.js';
import type { DialogEnvironment } from '../dialog/environment.js';
import type { InviteDialog } from '../dialog/invite-dialog.js';
import { sessionExpiresOf } from '../dialog/session-timer.js';
import { UacInvite, type SendPrack } from '../dialog/uac-invite.js';
import type { UasInvite } from '../dialog/uas-invite.js';
import { contactInAnswer } from '../embedded/contact.js';
import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import type { SipResponse } from '../message/message.js';
import type { B2buaOptions, SendOptions } from '../stack.js';
import { type CrossBody, type Crossing, crossed, crossEnd, crossRequests, nextAck } from './crossing.js';
import { contactFeatures, endToEnd, untagged } from './end-to-end.js';

/**
 * Joins the caller's leg to a second one: everything end-to-end crosses, dialogs, routes, credentials and session timers
 * stay on their legs. Resolves when the call is set up.
 * @throws FinalResponseError when the second leg fails, after the caller has got his answer.
 */
export function createB2bua(
  environment: DialogEnvironment,
  request: InboundRequest,
  response: InboundResponse,
  invite: UasInvite,
  options: B2buaOptions,
): Promise<{ uas: InviteDialog; uac: InviteDialog }> {
  return new B2bua(environment, request, response, invite, options).run();
}

class B2bua {
  readonly #environment: DialogEnvironment;
  readonly #request: InboundRequest;
  readonly #response: InboundResponse;
  readonly #invite: UasInvite;
  readonly #options: B2buaOptions;
  readonly #cross: CrossBody;
  readonly #crossing: Crossing;
  /** PRACKs of the second leg that wait for those of the first, in the order of their provisional responses. */
  readonly #pracks: SendPrack[] = [];
  /** The newest early dialog of the second leg, then the confirmed one. */
  #far: InviteDialog | undefined;
  #joined: InviteDialog | undefined;
  #cancel: (reason?: string) => void = () => {};

  constructor(
    environment: DialogEnvironment,
    request: InboundRequest,
    response: InboundResponse,
    invite: UasInvite,
    options: B2buaOptions,
  ) {
    this.#environment = environment;
    this.#request = request;
    this.#response = response;
    this.#invite = invite;
    this.#options = options;
    this.#cross = (message, toward) => options.crossBody?.(message, toward) ?? message.body;
    this.#crossing = { body: this.#cross, before: (inside) => options.beforeCrossing?.(inside) };
  }

  async run(): Promise<{ uas: InviteDialog; uac: InviteDialog }> {
    const left = this.#request.number('Max-Forwards', 255) ?? 71;
    if (left === 0) throw new ParleyError('sip-too-many-hops');
    this.#response.send(100);
    this.#request.onCancel((cancel) => this.#cancel(cancel.headers.lines('Reason').join(', ') || undefined));
    try {
      const uac = await this.#callee(left - 1).run();
      const uas = this.#invite.dialog;
      if (!uas || uas.state === 'terminated') {
        uac.background(uac.destroy());
        throw new ParleyError('sip-cancelled');
      }
      return { uas, uac };
    } catch (error) {
      if (error instanceof FinalResponseError) await this.#refused(error.response);
      throw error;
    }
  }

  async #refused(final: SipResponse): Promise<void> {
    if ((await this.#options.takesOver?.(final)) === true) this.#invite.handOn();
    else this.#answer(final);
  }

  #callee(maxForwards: number): UacInvite {
    const { uri, route, flow } = this.#options;
    const request = this.#request;
    const asked = sessionExpiresOf(request);
    const delayed = request.body.length === 0;
    return new UacInvite(this.#environment, uri, request.from.uriText, {
      method: 'INVITE',
      headers: {
        ...endToEnd(request),
        From: untagged(request, 'from'),
        To: untagged(request, 'to'),
        'Max-Forwards': maxForwards,
      },
      body: this.#cross(request, 'uac'),
      contactFeatures: contactFeatures(request),
      ...(route === undefined ? {} : { route }),
      ...(flow === undefined ? {} : { flow }),
      ...(asked === undefined ? {} : { sessionExpires: asked.seconds }),
      editRequest: (built) => this.#options.editRequest?.(built),
      onStarted: (cancel) => (this.#cancel = cancel),
      onEarlyDialog: (dialog) => this.#join(dialog),
      onProvisional: (provisional) => this.#ring(provisional),
      onReliable: (provisional, prack) => this.#ringReliably(provisional, prack),
      onSuccess: (success, dialog) => {
        this.#join(dialog);
        this.#answer(success);
        const uas = this.#invite.dialog;
        if (!delayed || !uas) return {};
        return nextAck(uas, request.cseq.number, (ack) => this.#cross(ack, 'uac'));
      },
    });
  }

  /** The two dialogs talk to each other from the first provisional response on. */
  #join(far: InviteDialog): void {
    if (far !== this.#far) {
      this.#far = far;
      crossRequests(far, () => this.#invite.dialog, 'uac', this.#crossing);
    }
    if (far.state === 'confirmed') crossEnd(far, () => this.#invite.dialog);
  }

  /** The caller's dialog is there once a response with our tag has gone out. */
  #joinNear(): void {
    const near = this.#invite.dialog;
    if (!near || near === this.#joined) return;
    this.#joined = near;
    crossRequests(near, () => this.#far, 'uas', this.#crossing);
    crossEnd(near, () => (this.#far?.state === 'confirmed' ? this.#far : undefined));
    near.onEnd(() => this.#cancel()); // does nothing to an INVITE that has its answer
    near.onPrack = (prack, response) => {
      const send = this.#pracks.shift();
      if (!send) {
        response.send(200);
        return;
      }
      return send({ headers: endToEnd(prack), body: this.#cross(prack, 'uac') }).then((answer) => {
        response.send(answer.status, crossed(answer, this.#cross(answer, 'uas')));
      });
    };
  }

  #ring(provisional: SipResponse): void {
    if (provisional.status === 100 || this.#response.finalStatus !== undefined) return;
    this.#response.send(provisional.status, this.#near(provisional));
    this.#joinNear();
  }

  /** A reliable response stays reliable where the caller can do that; the PRACK then comes from him (RFC 3262). */
  #ringReliably(provisional: SipResponse, prack: SendPrack): Promise<unknown> {
    const able =
      this.#request.headers.hasToken('Supported', '100rel') ||
      this.#request.headers.hasToken('Require', '100rel');
    if (!able) {
      this.#ring(provisional);
      return prack({});
    }
    this.#pracks.push(prack);
    const near = this.#near(provisional);
    this.#response.send(provisional.status, { ...near, headers: { ...near.headers, Require: '100rel' } });
    this.#joinNear();
    return Promise.resolve();
  }

  #answer(final: SipResponse): void {
    if (this.#response.finalStatus !== undefined) return;
    const near = this.#near(final);
    this.#response.send(near.status, near);
    this.#joinNear();
  }

  /** A response of the second leg as the first one gets it. */
  #near(response: SipResponse): SendOptions & { readonly status: number } {
    const copy = response.clone();
    this.#options.editResponse?.(copy);
    const result = crossed(copy, this.#cross(copy, 'uas'));
    const contact = copy.status >= 300 ? copy.get('Contact') : this.#contact(copy);
    return {
      ...result,
      headers: { ...result.headers, ...(contact === undefined ? {} : { Contact: contact }) },
    };
  }

  /** Our own Contact towards the caller, with the features of the callee's. */
  #contact(response: SipResponse): string {
    const { protocol, address, port, flow } = this.#request.source;
    const end = this.#environment.wire.localEnd({ protocol, address, port, flow });
    return contactInAnswer(this.#request, end, this.#request.to.uri.user) + contactFeatures(response);
  }
}
