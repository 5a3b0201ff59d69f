import { ParleyError } from '../../base/errors.js';
import type { Exchange } from '../embedded/authenticated.js';
import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import type { HeaderMap } from '../message/headers.js';
import type { SipMessage, SipRequest, SipResponse } from '../message/message.js';
import type { Handler } from '../stack.js';
import { BaseDialog, type DialogParts, type InDialogRequest } from './base.js';
import type { DialogEnvironment } from './environment.js';
import { answerUnhandled, retryLater, UA_METHODS } from './defaults.js';
import type { ReliableProvisionals } from './reliable.js';
import { Repeated } from './repeated.js';
import { answerTimer, sessionExpiresOf, SessionTimer, type SessionTimerUser } from './session-timer.js';

/** The body of the ACK, for an INVITE that made no offer (RFC 3261 §13.2.2.4). */
export type AckBody = (response: SipResponse) => Promise<InDialogRequest> | InDialogRequest;

/** An INVITE or UPDATE inside the dialog. */
export interface Offer extends InDialogRequest {
  /** Whether a 491 and a 422 are answered by another try; true unless given. */
  readonly tryAgain?: boolean;
}

/** A session description with its Content-Type. */
interface Description {
  readonly body: Uint8Array;
  readonly type: string;
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
  /** The peer's INVITE or UPDATE that we have not answered. */
  #asked: InboundRequest | undefined;
  #askedResponse: InboundResponse | undefined;
  /** Our 2xx that waits for its ACK. */
  #unconfirmed: { readonly sequence: number; readonly repeated: Repeated } | undefined;
  readonly #whenConfirmed: (() => void)[] = [];
  readonly #decided: (() => void)[] = [];
  #ack: SipRequest | undefined;
  /** Our INVITE whose 2xx we have not acknowledged. */
  #unacknowledged: SipRequest | undefined;
  #localDescription: Description | undefined;
  #remoteDescription: Description | undefined;
  #peerAllows = '';

  constructor(environment: DialogEnvironment, parts: DialogParts) {
    super(environment, parts);
    this.timer = new SessionTimer(environment.clock, this);
    if (parts.role === 'uas') this.#heard(parts.request);
    else this.#said(parts.request);
  }

  /** As client: the 2xx to our INVITE came. */
  confirmAsClient(request: SipRequest, response: SipResponse): void {
    this.state = 'confirmed';
    this.response = response;
    this.values.routeSet = response.headers.list('Record-Route').reverse();
    this.values.refreshTarget(response);
    this.#heard(response);
    this.#startTimerAsClient(request, response);
    this.#unacknowledged = request;
  }

  /** As server: sends the 2xx to an INVITE, the first or a later one, until its ACK comes (RFC 3261 §13.3.1.4). */
  confirmAsServer(request: InboundRequest, response: InboundResponse, built: SipResponse): boolean {
    this.#finishSuccess(request, built);
    if (!response.sendMessage(built)) return false;
    if (this.state === 'early') this.response = built;
    this.state = 'confirmed';
    for (const fn of this.#decided.splice(0)) fn();
    const { clock, timers } = this.environment;
    let first = true;
    const repeated = new Repeated(
      clock,
      { first: timers.t1, cap: timers.t2, total: 64 * timers.t1 },
      () => {
        if (!first) response.sendMessage(built);
        first = false;
      },
      () => {
        this.#settleConfirmation();
        this.background(this.#hangUp('no ACK came'));
      },
    );
    this.#unconfirmed = { sequence: request.cseq.number, repeated };
    repeated.start();
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
    if (this.#unconfirmed?.sequence !== ack.cseq.number) return;
    this.#heard(ack);
    super.receiveAck(ack);
    this.#settleConfirmation();
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
    if (this.#unconfirmed) await this.#confirmation();
    const exchange = await this.#offer('INVITE', options);
    const { request, response } = exchange;
    if (response.status >= 300) return response;
    this.#heard(response);
    this.#unacknowledged = request;
    this.sendAck(request, ackBody ? await ackBody(response) : {});
    return response;
  }

  /** UPDATE (RFC 3311 §5.1). */
  async update(options: InDialogRequest): Promise<SipResponse> {
    const { response } = await this.#offer('UPDATE', options);
    if (response.status < 300) this.#heard(response);
    return response;
  }

  /** ACK to a 2xx, with the credentials of its INVITE (RFC 3261 §13.2.2.4). */
  sendAck(invite: SipRequest, options: InDialogRequest): void {
    if (this.#unacknowledged !== invite) return;
    this.#unacknowledged = undefined;
    const headers: Record<string, string[]> = {};
    for (const name of ['Authorization', 'Proxy-Authorization'])
      if (invite.has(name)) headers[name] = invite.headers.lines(name);
    this.#ack = this.build(
      'ACK',
      { ...options, headers: { ...headers, ...options.headers } },
      invite.cseq.number,
    );
    this.#said(this.#ack);
    this.sendStateless(this.#ack);
  }

  async destroy(headers: HeaderMap = {}): Promise<void> {
    if (this.state === 'terminated') return;
    if (this.state === 'early' && this.role === 'uas') {
      this.rejectEarly?.(480);
      this.end('destroyed');
      return;
    }
    if (this.#unconfirmed) await this.#confirmation();
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
    this.#settleConfirmation();
    super.end(cause);
    for (const fn of this.#decided.splice(0)) fn();
  }

  /** re-INVITE and UPDATE of the peer: glare and order (RFC 3261 §14.2, RFC 3311 §5.2), interval (RFC 4028 §9). */
  #onOffer(request: InboundRequest, response: InboundResponse): void {
    const invite = request.method === 'INVITE';
    const offers = invite || request.body.length > 0;
    if (offers && this.#offering) response.send(491);
    else if (offers && (this.#asked ?? (invite && this.#unconfirmed))) response.send(500, retryLater());
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
    const same =
      request.body.length === 0 ||
      (this.#remoteDescription !== undefined &&
        Buffer.compare(request.body, this.#remoteDescription.body) === 0);
    if (!same) response.send(488);
    else if (request.method === 'INVITE' && this.#localDescription) {
      const { body, type } = this.#localDescription;
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
      if (response.status === 491) await this.#afterGlare();
      return this.#offer(method, { ...options, tryAgain: false });
    }
    if (response.status < 300) {
      this.#said(request);
      this.#startTimerAsClient(request, response);
    }
    return exchange;
  }

  /** RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, the other up to 2 s, in steps of 10 ms. */
  #afterGlare(): Promise<void> {
    const steps = this.role === 'uac' ? 210 + Math.random() * 190 : Math.random() * 200;
    return new Promise((resolve) => this.environment.clock.after(Math.trunc(steps) * 10, resolve));
  }

  async #refresh(): Promise<void> {
    if (this.state !== 'confirmed' || this.#offering || this.#asked) return;
    if (/\bUPDATE\b/i.test(this.#peerAllows)) await this.update({});
    else {
      const { body, type } = this.#localDescription ?? {};
      await this.reinvite(body && type ? { body, headers: { 'Content-Type': type } } : {});
    }
  }

  #startTimerAsClient(request: SipRequest, response: SipResponse): void {
    const answered = sessionExpiresOf(response);
    const asked = sessionExpiresOf(request);
    if (answered) this.timer.start(answered.seconds, answered.refresher === 'uas' ? 'peer' : 'we');
    else if (asked) this.timer.start(asked.seconds, 'we');
    else this.timer.stop();
  }

  #finishSuccess(request: InboundRequest, built: SipResponse): void {
    this.values.refreshTarget(request);
    this.addOwnContact(request, built);
    if (!built.has('Allow')) built.headers.append('Allow', UA_METHODS);
    if (!built.has('Supported')) built.headers.append('Supported', this.environment.supported.join(', '));
    this.#heard(request);
    this.#said(built);
    const { seconds, refresher } = this.timer;
    const answer = answerTimer(request, 0, seconds, refresher);
    if (answer.kind !== 'timer') {
      this.timer.stop();
      return;
    }
    built.headers.set('Session-Expires', `${answer.seconds};refresher=${answer.refresher}`);
    if (answer.require && !built.headers.hasToken('Require', 'timer'))
      built.headers.append('Require', 'timer');
    this.timer.start(answer.seconds, answer.refresher === 'uas' ? 'we' : 'peer');
  }

  /** Resolves when our 2xx has its ACK: neither BYE nor INVITE may be sent before (RFC 3261 §14.1, §15). */
  #confirmation(): Promise<void> {
    return new Promise((resolve) => this.#whenConfirmed.push(resolve));
  }

  #settleConfirmation(): void {
    this.#unconfirmed?.repeated.stop();
    this.#unconfirmed = undefined;
    for (const resolve of this.#whenConfirmed.splice(0)) resolve();
  }

  /** Sends BYE; the dialog has ended from then on. */
  async #hangUp(cause: string, headers: HeaderMap = {}): Promise<void> {
    if (this.state === 'terminated') return;
    if (this.#unacknowledged) this.sendAck(this.#unacknowledged, {});
    const bye = this.exchange('BYE', { headers });
    this.end(cause);
    await bye;
  }

  #said(message: SipMessage): void {
    this.#localDescription = descriptionOf(message) ?? this.#localDescription;
  }

  #heard(message: SipMessage): void {
    this.#remoteDescription = descriptionOf(message) ?? this.#remoteDescription;
    if (message.has('Allow')) this.#peerAllows = message.headers.list('Allow').join(',');
  }
}

function descriptionOf(message: SipMessage): Description | undefined {
  const type = message.get('Content-Type');
  return message.body.length > 0 && type !== undefined ? { body: message.body, type } : undefined;
}
