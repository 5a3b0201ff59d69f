import { backOff } from '../../base/back-off.js';
import type { Timer } from '../../base/clock.js';
import { sendAuthenticated } from '../embedded/authenticated.js';
import { buildRequest, nextAttempt } from '../embedded/client-request.js';
import { contactFor } from '../embedded/contact.js';
import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import { FinalResponseError } from '../final-response-error.js';
import type { HeaderMap } from '../message/headers.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { deltaSeconds, retryAfterSeconds } from '../message/times.js';
import type { UacOptions } from '../stack.js';
import { BaseDialog, type DialogParts } from './base.js';
import { answerUnhandled } from './defaults.js';
import type { DialogEnvironment } from './environment.js';
import { DialogState } from './state.js';
import { endsSubscription, subscriptionState } from './subscription-state.js';
import type { Expectation } from './table.js';

/** A dialog by SUBSCRIBE on the subscriber's side (RFC 6665 §4.1): refreshes itself until it is destroyed or ended. */
export class SubscriberDialog extends BaseDialog {
  #refreshTimer: Timer | undefined;
  #timerN: Timer | undefined;
  /** When the time that was granted is over. */
  #endTimer: Timer | undefined;
  /** Seconds that are asked for. */
  #expires: number | undefined;
  /** Refreshes that were refused one after the other. */
  #refused = 0;
  /** NOTIFYs that came before their listener could be set: before the 2xx to our SUBSCRIBE. */
  #held: (() => void)[] | undefined = [];
  #unsubscribed = false;

  constructor(environment: DialogEnvironment, parts: DialogParts) {
    super(environment, parts);
    this.state = 'confirmed';
    this.#expires = this.request.number('Expires');
    this.#startTimerN();
  }

  /** The 2xx to the SUBSCRIBE that made this dialog; its user gets the dialog now and sets his listener. */
  accepted(response: SipResponse): void {
    this.response = response;
    this.#schedule(response.number('Expires') ?? this.#expires);
    const held = this.#held ?? [];
    this.#held = undefined;
    this.environment.clock.after(0, () => {
      for (const deliver of held) deliver();
    });
  }

  async modify(body: Uint8Array | string, headers: HeaderMap = {}): Promise<SipResponse> {
    return this.#subscribe({ body, headers });
  }

  /** SUBSCRIBE with Expires 0; the last NOTIFY, or Timer N, ends the dialog (RFC 6665 §4.1.2.3). */
  async destroy(headers: HeaderMap = {}): Promise<void> {
    if (this.state === 'terminated' || this.#unsubscribed) return;
    this.#unsubscribed = true;
    this.#refreshTimer?.cancel();
    this.#endTimer?.cancel();
    await this.#subscribe({ headers: { ...headers, Expires: 0 } });
  }

  protected process(request: InboundRequest, response: InboundResponse): void {
    if (request.method !== 'NOTIFY') {
      if (!this.hand(request, response)) answerUnhandled(request, response);
    } else if (this.#held) this.#held.push(() => this.#onNotify(request, response));
    else this.#onNotify(request, response);
  }

  protected lost(request: SipRequest, response: SipResponse): void {
    this.end(`${response.status} to ${request.method}`);
  }

  protected override end(cause: SipRequest | string): void {
    this.#refreshTimer?.cancel();
    this.#timerN?.cancel();
    this.#endTimer?.cancel();
    super.end(cause);
  }

  /** RFC 6665 §4.1.3. */
  #onNotify(request: InboundRequest, response: InboundResponse): void {
    const state = subscriptionState(request);
    if (!state) {
      response.send(400, { reason: 'No Subscription-State' });
      return;
    }
    this.#timerN?.cancel();
    this.values.refreshTarget(request);
    if (state.state !== 'terminated')
      this.#schedule(state.expires ?? (this.#refreshTimer ? undefined : this.#expires));
    if (!this.hand(request, response)) response.send(200);
    if (state.state === 'terminated') this.end(request);
  }

  /** Refreshes before the subscription expires: at nine tenths, and never later than 64·T1 before the end. */
  #schedule(seconds: number | undefined): void {
    // one that asks once has no time: its NOTIFY ends it, or Timer N (RFC 6665 §4.4.3)
    if (seconds === undefined || seconds === 0 || this.#unsubscribed) return;
    this.#refreshTimer?.cancel();
    this.#endTimer?.cancel();
    this.#refused = 0;
    const { clock, timers } = this.environment;
    const ms = seconds * 1_000;
    const wait = Math.max(ms / 2, Math.min(ms * 0.9, ms - 64 * timers.t1));
    this.#refreshTimer = clock.after(wait, () => this.background(this.#refresh()));
    this.#endTimer = clock.after(ms, () => this.end('timeout'));
  }

  /** A refresh that is refused leaves the subscription as it is until its time is over (RFC 6665 §4.1.2.2): it is tried again. */
  async #refresh(): Promise<void> {
    const response = await this.#subscribe({});
    if (response.status < 300 || this.state === 'terminated' || this.#unsubscribed) return;
    const longer = response.status === 423 ? deltaSeconds(response.get('Min-Expires') ?? '') : undefined;
    const isTooShort = longer !== undefined && longer > (this.#expires ?? 0);
    if (isTooShort) this.#expires = longer;
    const asked = (retryAfterSeconds(response.get('Retry-After') ?? '') ?? 0) * 1_000;
    // between refreshes that a notifier refuses without ending the subscription
    const wait = isTooShort && this.#refused === 0 ? 0 : Math.max(asked, backOff(this.#refused));
    this.#refused++;
    this.#refreshTimer = this.environment.clock.after(wait, () => this.background(this.#refresh()));
  }

  async #subscribe(options: { headers?: HeaderMap; body?: Uint8Array | string }): Promise<SipResponse> {
    this.#startTimerN();
    const headers: Record<string, HeaderMap[string]> = {};
    for (const name of ['Event', 'Accept'])
      if (this.request.has(name)) headers[name] = this.request.headers.lines(name);
    headers.Expires = this.#expires;
    const response = await this.send({
      method: 'SUBSCRIBE',
      ...options,
      headers: { ...headers, ...options.headers },
    });
    if (response.status < 300) this.#schedule(response.number('Expires') ?? this.#expires);
    else if (endsSubscription(response.status)) this.end(`${response.status} to SUBSCRIBE`);
    else if (this.#unsubscribed) this.end('destroyed');
    else this.#timerN?.cancel();
    return response;
  }

  /** RFC 6665 §4.1.2.4: a subscription that no NOTIFY confirms within 64·T1 is over. */
  #startTimerN(): void {
    this.#timerN?.cancel();
    const { clock, timers } = this.environment;
    this.#timerN = clock.after(64 * timers.t1, () =>
      this.end(this.#unsubscribed ? 'destroyed' : 'no NOTIFY came'),
    );
  }
}

/** Dialogs of one SUBSCRIBE: a little more than Max-Breadth lets it be forked (RFC 5393 §5.3.3). */
const MAX_FORKS = 64;

/** A SUBSCRIBE on its way: makes one dialog for every notifier that answers it (RFC 6665 §4.1.4, §4.4.1). */
export class UacSubscribe implements Expectation {
  readonly #environment: DialogEnvironment;
  readonly #options: UacOptions;
  readonly #dialogs = new Map<string, SubscriberDialog>();
  #request: SipRequest;
  #open = true;

  constructor(environment: DialogEnvironment, uri: string, from: string, options: UacOptions) {
    this.#environment = environment;
    this.#options = options;
    const { method, headers, body, route } = options;
    this.#request = buildRequest(uri, from, { method, headers, body, route });
  }

  /** Gives the dialog with the notifier whose 2xx came. @throws FinalResponseError on another final response. */
  async run(): Promise<SubscriberDialog> {
    const { callId, fromTag = '' } = this.#request;
    const { dialogs, clock, timers } = this.#environment;
    dialogs.expect(callId, fromTag, this);
    let first = true;
    const { response } = await sendAuthenticated(
      this.#environment,
      () => {
        if (!first) this.#request = nextAttempt(this.#request);
        first = false;
        return this.#request;
      },
      {
        flow: this.#options.flow,
        hooks: this.#options,
        prepare: (copy, hop) => {
          if (!copy.has('Contact'))
            copy.headers.append(
              'Contact',
              contactFor(copy, this.#environment.wire.localEnd(hop), copy.from.uri.user),
            );
        },
      },
      this.#options.auth,
    );
    clock.after(64 * timers.t1, () => this.#close());
    if (response.status >= 300) {
      this.#close();
      throw new FinalResponseError(response);
    }
    const tag = response.toTag ?? '';
    const dialog =
      this.#dialogs.get(tag) ??
      this.#add(tag, DialogState.ofClient(this.#request, response, this.#options.flow));
    dialog.accepted(response);
    return dialog;
  }

  /** A NOTIFY that comes before the 2xx, or from another notifier of a forked SUBSCRIBE. */
  receiveFirst(request: InboundRequest, response: InboundResponse): boolean {
    const tag = request.fromTag;
    if (!this.#open || request.method !== 'NOTIFY' || tag === undefined || this.#dialogs.has(tag))
      return false;
    if (this.#dialogs.size >= MAX_FORKS) return false;
    const dialog = this.#add(tag, DialogState.ofNotify(this.#request, request, this.#options.flow));
    dialog.receive(request, response);
    this.#options.onEarlyDialog?.(dialog);
    return true;
  }

  #add(tag: string, values: DialogState): SubscriberDialog {
    const dialog = new SubscriberDialog(this.#environment, {
      values,
      role: 'uac',
      request: this.#request,
      response: undefined,
      contact: this.#request.get('Contact'),
      auth: this.#options.auth,
    });
    this.#dialogs.set(tag, dialog);
    return dialog;
  }

  #close(): void {
    this.#open = false;
    this.#environment.dialogs.unexpect(this.#request.callId, this.#request.fromTag ?? '');
  }
}
