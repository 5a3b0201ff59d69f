import { ParleyError } from '../../base/errors.js';
import type { Timer } from '../../base/clock.js';
import type { Exchange } from '../embedded/authenticated.js';
import { needsFlow } from '../embedded/contact.js';
import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import { Headers, type HeaderMap } from '../message/headers.js';
import { SipRequest, type SipResponse } from '../message/message.js';
import type { SavedSubscription, UasOptions } from '../stack.js';
import { BaseDialog, rejectUnsupported, type InDialogRequest } from './base.js';
import { answerUnhandled } from './defaults.js';
import type { DialogEnvironment } from './environment.js';
import { DialogState } from './state.js';
import { endsSubscription } from './subscription-state.js';
import { sendOptions } from './uas-invite.js';

/** Seconds of a SUBSCRIBE without Expires whose event package gives no default. */
const DEFAULT_EXPIRES = 3_600;
/** Seconds in which what a REFER asked for is done, unless its user says otherwise: Timer C (RFC 3261 §16.6 step 11). */
const REFER_EXPIRES = 180;

/**
 * A dialog by SUBSCRIBE on the notifier's side (RFC 6665 §4.2). Its user sends NOTIFYs; Event and Subscription-State are
 * added where he gives none. The dialog ends with a NOTIFY that says `terminated`, and by itself when it expires.
 */
export class NotifierDialog extends BaseDialog {
  #expiry: Timer | undefined;
  #expiresAt = 0;

  override get saved(): SavedSubscription {
    const { callId, local, remote, routeSet, remoteTarget, localSequence, flow } = this.values;
    const remoteSequence = this.values.remoteSequence ?? 0;
    return {
      ...{ callId, local, remote, routeSet, remoteTarget, flow, localSequence, remoteSequence },
      contact: this.contact,
      event: this.request.get('Event') ?? '',
      expiresAt: this.#expiresAt,
    };
  }

  /** Seconds that the subscription has left. */
  get #remaining(): number {
    return Math.max(0, Math.round((this.#expiresAt - this.environment.clock.now()) / 1_000));
  }

  /** A SUBSCRIBE was accepted for that many seconds. */
  extend(seconds: number): void {
    const { clock } = this.environment;
    this.#expiry?.cancel();
    this.#expiresAt = clock.now() + seconds * 1_000;
    // Expires 0 fetches: the user's NOTIFY answers it and ends the dialog, and if he sends none, the timer does
    this.#expiry = clock.after(Math.max(1_000, seconds * 1_000), () => this.background(this.#expire()));
  }

  /** Sends the 2xx to the SUBSCRIBE that makes the dialog. */
  accept(request: InboundRequest, response: InboundResponse, built: SipResponse): void {
    this.addOwnContact(request, built);
    response.sendMessage(built);
  }

  async modify(body: Uint8Array | string, headers: HeaderMap = {}): Promise<SipResponse> {
    return this.send({ method: 'NOTIFY', body, headers });
  }

  /** A last NOTIFY with `terminated`. */
  async destroy(headers: HeaderMap = {}): Promise<void> {
    if (this.state === 'terminated') return;
    await this.send({
      method: 'NOTIFY',
      headers: { 'Subscription-State': 'terminated;reason=noresource', ...headers },
    });
  }

  protected override async exchange(method: string, options: InDialogRequest): Promise<Exchange> {
    if (method !== 'NOTIFY') return super.exchange(method, options);
    const headers: Record<string, HeaderMap[string]> = {
      Event: this.request.get('Event'),
      'Subscription-State':
        this.#remaining > 0 ? `active;expires=${this.#remaining}` : 'terminated;reason=timeout',
      ...options.headers,
    };
    const sent = super.exchange(method, { ...options, headers });
    const text = String(headers['Subscription-State']);
    if (/^\s*terminated/i.test(text)) this.end(text);
    const exchange = await sent;
    if (endsSubscription(exchange.response.status)) this.end(`${exchange.response.status} to NOTIFY`);
    return exchange;
  }

  protected process(request: InboundRequest, response: InboundResponse): void {
    if (this.hand(request, response)) return;
    if (request.method === 'SUBSCRIBE') response.send(200);
    else answerUnhandled(request, response);
  }

  protected override finishResponse(
    request: InboundRequest,
    response: InboundResponse,
    built: SipResponse,
  ): boolean {
    if (request.method === 'SUBSCRIBE' && built.status >= 200 && built.status < 300) {
      const asked = request.number('Expires') ?? DEFAULT_EXPIRES;
      if (!built.has('Expires')) built.headers.append('Expires', asked);
      this.extend(built.number('Expires') ?? asked);
    }
    return super.finishResponse(request, response, built);
  }

  protected lost(request: SipRequest, response: SipResponse): void {
    this.end(`${response.status} to ${request.method}`);
  }

  protected override end(cause: SipRequest | string): void {
    this.#expiry?.cancel();
    super.end(cause);
  }

  /** A subscription that is not refreshed ends with a NOTIFY that says so (RFC 6665 §4.2.2). */
  async #expire(): Promise<void> {
    await this.send({ method: 'NOTIFY', headers: { 'Subscription-State': 'terminated;reason=timeout' } });
  }
}

/**
 * Accepts a SUBSCRIBE, or a REFER with the subscription that it implies (RFC 3515 §2.4.4), and becomes its notifier. The user sends the first NOTIFY at once (RFC 6665 §4.2.1.2).
 * @throws ParleyError when the request was refused here instead: `sip-bad-extension`; `sip-already-answered`.
 */
export async function acceptSubscribe(
  environment: DialogEnvironment,
  request: InboundRequest,
  response: InboundResponse,
  options: UasOptions,
): Promise<NotifierDialog> {
  if (response.finalStatus !== undefined) throw new ParleyError('sip-already-answered');
  if (rejectUnsupported(environment, request, response)) throw new ParleyError('sip-bad-extension');
  const refer = request.method === 'REFER';
  const asked = refer ? (options.expires ?? REFER_EXPIRES) : (request.number('Expires') ?? DEFAULT_EXPIRES);
  const built = response.build(options.status ?? (refer ? 202 : 200), sendOptions(options));
  if (!refer && !built.has('Expires')) built.headers.append('Expires', asked);
  const dialog = new NotifierDialog(environment, {
    values: detachedState(
      DialogState.ofServer(request, built, needsFlow(request) ? request.source.flow : undefined),
    ),
    role: 'uas',
    request: ofPackage(refer ? 'refer' : detached(request.get('Event') ?? '')),
    response: undefined,
    contact: built.get('Contact'),
  });
  dialog.state = 'confirmed';
  dialog.extend(built.number('Expires') ?? asked);
  try {
    await options.beforeAnswer?.(dialog.saved);
  } catch (error) {
    dialog.leave();
    throw error;
  }
  dialog.accept(request, response, built);
  return dialog;
}

function detachedState(values: DialogState): DialogState {
  const { callId, local, remote, routeSet, remoteTarget, flow } = values;
  return new DialogState({
    callId: detached(callId),
    local: detached(local),
    remote: detached(remote),
    routeSet: routeSet.map(detached),
    remoteTarget: detached(remoteTarget),
    localSequence: values.localSequence,
    remoteSequence: values.remoteSequence,
    flow: flow && detached(flow),
  });
}

/** Goes on with a dialog of another process. */
export function resumeSubscription(environment: DialogEnvironment, saved: SavedSubscription): NotifierDialog {
  const { contact, event, expiresAt } = saved;
  const values = new DialogState(saved);
  const request = ofPackage(event);
  const dialog = new NotifierDialog(environment, {
    values,
    role: 'uas',
    request,
    response: undefined,
    contact,
  });
  dialog.state = 'confirmed';
  dialog.extend(Math.max(0, (expiresAt - environment.clock.now()) / 1_000));
  return dialog;
}

/** Dialogs of the same package share what they keep of their SUBSCRIBE: 100,000 of them may live for days. */
const shared = new Map<string, SipRequest>();
const MAX_SHARED = 64;

function ofPackage(event: string): SipRequest {
  const known = shared.get(event);
  if (known) return known;
  const headers = new Headers();
  headers.append('Event', event);
  const request = new SipRequest('SUBSCRIBE', '', headers);
  if (shared.size < MAX_SHARED) shared.set(event, request);
  return request;
}

/** A copy that does not keep the message alive which the text is a part of. */
const detached = (text: string): string => Buffer.from(text).toString();
