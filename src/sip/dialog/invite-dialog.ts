import { ParleyError } from '../../base/errors.js';
import type { Exchange } from '../embedded/authenticated.js';
import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import type { HeaderMap } from '../message/headers.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Handler } from '../stack.js';
import { Confirmation } from './confirmation.js';
import { Descriptions } from './descriptions.js';
import { BaseDialog, type DialogParts, type InDialogRequest } from './base.js';
import type { DialogEnvironment } from './environment.js';
import { answerUnhandled, credentialsOf, glareDelay, retryLater, UA_METHODS } from './defaults.js';
import type { ReliableProvisionals } from './reliable.js';
import { answerTimer, SessionTimer, type SessionTimerUser } from './session-timer.js';

/** The body of the ACK, for an INVITE that made no offer (RFC 3261 §13.2.2.4). */
export type AckBody = (response: SipResponse) => Promise<InDialogRequest> | InDialogRequest;

/** An INVITE or UPDATE inside the dialog. */
export interface Offer extends InDialogRequest {
  /** Whether a 491 and a 422 are answered by another try; true unless given. */
  readonly tryAgain?: boolean;
}

/** A dialog made by INVITE (RFC 3261 §12 to §15, RFC 3311, RFC 4028). */
export class InviteDialog extends BaseDialog implements SessionTimerUser {
  readonly timer: SessionTimer;
  /** Set on the server's side while it sends provisional responses reliably. */
  reliable: ReliableProvisionals | undefined;
  /** Takes over the PRACKs that acknowledge something; they are answered 200 or by the listener without it. */
  onPrack: Handler | undefined;
  /** Ends an INVITE that has made an early dialog only. */
  rejectEarly: ((status: number) => void) | undefined;
  /** We have sent an INVITE, or an UPDATE with an offer, that has no final response. */
  #offering = false;
  #refreshing = false;
  /** The peer's INVITE or UPDATE that we have not answered. */
  #asked: InboundRequest | undefined;
  #askedResponse: InboundResponse | undefined;
  readonly #confirmation: Confirmation;
  readonly #descriptions = new Descriptions();
  readonly #decided: (() => void)[] = [];
  #ack: SipRequest | undefined;
  /** Our INVITE whose 2xx we have not acknowledged. */
  #unacknowledged: SipRequest | undefined;

  constructor(environment: DialogEnvironment, parts: DialogParts) {
    super(environment, parts);
    this.timer = new SessionTimer(environment.clock, this);
    this.#confirmation = new Confirmation(environment.clock, environment.timers);
    if (parts.role === 'uas') this.#descriptions.heard(parts.request);
    else this.#descriptions.said(parts.request);
  }

  /** As client: the 2xx to our INVITE came. */
  confirmAsClient(request: SipRequest, response: SipResponse): void {
    this.state = 'confirmed';
    this.response = response;
    this.values.routeSet = response.headers.list('Record-Route').reverse();
    this.values.refreshTarget(response);
    this.#descriptions.heard(response);
    this.timer.startAsClient(request, response);
    this.#unacknowledged = request;
    this.environment.dialogs.confirmed(this);
  }

  /** As server: sends the 2xx to an INVITE, the first or a later one, until its ACK comes (RFC 3261 §13.3.1.4). */
  confirmAsServer(request: InboundRequest, response: InboundResponse, built: SipResponse): boolean {
    this.#finishSuccess(request, built);
    if (!response.sendMessage(built)) return false;
    const isFirst = this.state === 'early';
    if (isFirst) this.response = built;
    this.state = 'confirmed';
    for (const fn of this.#decided.splice(0)) fn();
    if (isFirst) this.environment.dialogs.confirmed(this);
    this.#confirmation.start(
      request.cseq.number,
      () => response.sendMessage(built),
      () => this.background(this.#hangUp('no ACK came')),
    );
    return true;
  }

  /** Calls `fn` when the dialog is confirmed, or has ended without. */
  onceConfirmedOrEnded(fn: () => void): void {
    this.#decided.push(fn);
  }

  /** Our Contact in a response that makes the dialog (RFC 3261 §12.1.1). */
  addContactTo(request: InboundRequest, built: SipResponse): this {
    this.addOwnContact(request, built);
    return this;
  }

  override receiveAck(ack: SipRequest): void {
    if (!this.#confirmation.isFor(ack.cseq.number)) return;
    this.#descriptions.heard(ack);
    super.receiveAck(ack);
    this.#confirmation.settle();
  }

  async modify(body: Uint8Array | string, headers: HeaderMap = {}): Promise<SipResponse> {
    return this.reinvite({ headers, body });
  }

  override async send(options: { method: string } & InDialogRequest): Promise<SipResponse> {
    if (options.method === 'INVITE') return this.reinvite(options);
    if (options.method === 'UPDATE') return this.update(options);
    return super.send(options);
  }

  /** re-INVITE; a 491 is tried again once, after the time of RFC 3261 §14.1, and a 422 with the interval asked for. */
  async reinvite(options: Offer, ackBody?: AckBody): Promise<SipResponse> {
    if (this.#confirmation.pending) await this.#confirmation.settled();
    const exchange = await this.#offer('INVITE', options);
    const { request, response } = exchange;
    if (response.status >= 300) return response;
    this.#descriptions.heard(response);
    this.#unacknowledged = request;
    this.sendAck(request, ackBody ? await ackBody(response) : {});
    return response;
  }

  /** UPDATE (RFC 3311 §5.1). */
  async update(options: InDialogRequest): Promise<SipResponse> {
    const { response } = await this.#offer('UPDATE', options);
    if (response.status < 300) this.#descriptions.heard(response);
    return response;
  }

  /** ACK to a 2xx, with the credentials of its INVITE (RFC 3261 §13.2.2.4). */
  sendAck(invite: SipRequest, options: InDialogRequest): void {
    if (this.#unacknowledged !== invite) return;
    this.#unacknowledged = undefined;
    const headers = { ...credentialsOf(invite), ...options.headers };
    this.#ack = this.build('ACK', { ...options, headers }, invite.cseq.number);
    this.#descriptions.said(this.#ack);
    this.sendStateless(this.#ack);
  }

  async destroy(headers: HeaderMap = {}): Promise<void> {
    if (this.state === 'terminated') return;
    if (this.state === 'early' && this.role === 'uas') {
      this.rejectEarly?.(480);
      this.end('destroyed');
      return;
    }
    if (this.#confirmation.pending) await this.#confirmation.settled();
    await this.#hangUp('destroyed', headers);
  }

  /** The INVITE got a final response other than 2xx, or was cancelled, or another branch answered it. */
  abandon(cause: SipRequest | string): void {
    this.end(cause);
  }

  refreshSession(): void {
    this.background(this.#refresh());
  }

  sessionExpired(): void {
    this.background(this.#hangUp('session expired', { Reason: 'SIP;cause=408;text="Session expired"' }));
  }

  protected process(request: InboundRequest, response: InboundResponse): void {
    switch (request.method) {
      case 'BYE':
        response.sendMessage(response.build(200));
        this.#askedResponse?.send(487);
        if (this.state === 'early') this.rejectEarly?.(487);
        this.end(request);
        return;
      case 'INVITE':
      case 'UPDATE':
        this.#onOffer(request, response);
        return;
      case 'PRACK':
        this.#onPrack(request, response);
        return;
      default:
        if (!this.hand(request, response)) answerUnhandled(request, response);
    }
  }

  protected lost(request: SipRequest, response: SipResponse): void {
    if (this.state === 'early') return;
    const cause = `${response.status} to ${request.method}`;
    if (request.method === 'BYE') this.end(cause);
    else this.background(this.#hangUp(cause));
  }

  /** The ACK to our INVITE was lost: its 2xx came again. */
  acknowledgeAgain(response: SipResponse): void {
    if (this.#ack?.cseq.number === response.cseq.number) this.sendStateless(this.#ack);
  }

  protected override furtherSuccess(response: SipResponse): void {
    this.acknowledgeAgain(response);
  }

  protected override finishResponse(
    request: InboundRequest,
    response: InboundResponse,
    built: SipResponse,
  ): boolean {
    const { status } = built;
    if (status >= 200 && this.#asked === request) this.#asked = this.#askedResponse = undefined;
    if (request.method === 'INVITE' && status >= 200 && status < 300)
      return this.confirmAsServer(request, response, built);
    if (request.method === 'UPDATE' && status >= 200 && status < 300) this.#finishSuccess(request, built);
    return response.sendMessage(built);
  }

  protected override end(cause: SipRequest | string): void {
    this.timer.stop();
    this.reliable?.stop();
    this.#confirmation.settle();
    super.end(cause);
    for (const fn of this.#decided.splice(0)) fn();
  }

  /** re-INVITE and UPDATE of the peer: glare and order (RFC 3261 §14.2, RFC 3311 §5.2), interval (RFC 4028 §9). */
  #onOffer(request: InboundRequest, response: InboundResponse): void {
    const invite = request.method === 'INVITE';
    const offers = invite || request.body.length > 0;
    if (offers && this.#offering) response.send(491);
    else if (offers && (this.#asked !== undefined || (invite && this.#confirmation.pending)))
      response.send(500, retryLater());
    else if (answerTimer(request, this.environment.minSe).kind === 'too-small')
      response.send(422, { headers: { 'Min-SE': this.environment.minSe } });
    else {
      if (offers) [this.#asked, this.#askedResponse] = [request, response];
      this.timer.noteMinSe(request);
      if (!this.hand(request, response)) this.#answerOffer(request, response);
    }
  }

  /** Without a listener only a refresh that changes nothing is accepted. */
  #answerOffer(request: InboundRequest, response: InboundResponse): void {
    if (!this.#descriptions.isUnchanged(request)) response.send(488);
    else if (request.method === 'INVITE' && this.#descriptions.local) {
      const { body, type } = this.#descriptions.local;
      response.send(200, { body, headers: { 'Content-Type': type } });
    } else response.send(200);
  }

  #onPrack(request: InboundRequest, response: InboundResponse): void {
    if (!this.reliable?.acknowledge(request)) response.send(481);
    else if (this.onPrack) this.environment.dispatcher.run(this.onPrack, request, response);
    else if (request.body.length === 0 || !this.hand(request, response)) response.send(200);
  }

  async #offer(method: 'INVITE' | 'UPDATE', options: Offer): Promise<Exchange> {
    const offers = method === 'INVITE' || (options.body?.length ?? 0) > 0;
    if (offers && (this.#offering || this.#asked)) throw new ParleyError('sip-request-pending', this.callId);
    if (offers) this.#offering = true;
    const headers = {
      Supported: this.environment.supported.join(', '),
      Allow: UA_METHODS,
      ...this.timer.refreshHeaders(),
      ...options.headers,
    };
    let exchange: Exchange;
    try {
      exchange = await this.exchange(method, { ...options, headers });
    } finally {
      if (offers) this.#offering = false;
    }
    const { request, response } = exchange;
    if (response.status === 422) this.timer.noteMinSe(response);
    if (options.tryAgain !== false && (response.status === 422 || response.status === 491)) {
      if (response.status === 491)
        await new Promise<void>((resolve) => this.environment.clock.after(glareDelay(this.role), resolve));
      return this.#offer(method, { ...options, tryAgain: false });
    }
    if (response.status < 300) {
      this.#descriptions.said(request);
      this.timer.startAsClient(request, response);
    }
    return exchange;
  }

  /** By UPDATE where the peer allows it, else by a re-INVITE with the same description (RFC 4028 §7.4). */
  async #refresh(): Promise<void> {
    if (this.state !== 'confirmed' || this.#refreshing || this.#offering || this.#asked) return;
    this.#refreshing = true;
    const { body, type } = this.#descriptions.local ?? {};
    const same = body && type ? { body, headers: { 'Content-Type': type } } : {};
    try {
      await (this.#descriptions.peerAllows('UPDATE') ? this.update({}) : this.reinvite(same));
    } finally {
      this.#refreshing = false;
    }
  }

  #finishSuccess(request: InboundRequest, built: SipResponse): void {
    this.values.refreshTarget(request);
    this.addOwnContact(request, built);
    if (!built.has('Allow')) built.headers.append('Allow', UA_METHODS);
    if (!built.has('Supported')) built.headers.append('Supported', this.environment.supported.join(', '));
    this.#descriptions.heard(request);
    this.#descriptions.said(built);
    this.timer.startAsServer(request, built);
  }

  /** Sends BYE; the dialog has ended from then on. */
  async #hangUp(cause: string, headers: HeaderMap = {}): Promise<void> {
    if (this.state === 'terminated') return;
    if (this.#unacknowledged) this.sendAck(this.#unacknowledged, {});
    const bye = this.exchange('BYE', { headers });
    this.end(cause);
    await bye;
  }
}
