import type { Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { needsFlow } from '../embedded/contact.js';
import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import type { SipResponse } from '../message/message.js';
import type { SendOptions, UasOptions } from '../stack.js';
import { rejectUnsupported } from './base.js';
import type { DialogEnvironment } from './environment.js';
import { InviteDialog } from './invite-dialog.js';
import { ReliableProvisionals } from './reliable.js';
import { answerTimer } from './session-timer.js';
import { DialogState } from './state.js';

/** RFC 3261 §13.3.1.1 and, for responses that are known to arrive, RFC 3262 §3. */
const EXTENSION_MS = 60_000;
const RELIABLE_EXTENSION_MS = 150_000;

/**
 * The server's side of an INVITE outside dialogs, from its first response with a tag on: the early dialog, provisional
 * responses (reliable where they carry `Require: 100rel`), and the 2xx until its ACK.
 */
export class UasInvite {
  readonly #environment: DialogEnvironment;
  readonly #request: InboundRequest;
  readonly #response: InboundResponse;
  #dialog: InviteDialog | undefined;
  /** The final response has been sent. */
  #finished = false;
  /** A 2xx is to be sent, and may wait for a PRACK. */
  #accepting = false;
  #extension: Timer | undefined;
  /** Of the session timer that we want, seconds. */
  sessionExpires: number | undefined;

  constructor(environment: DialogEnvironment, request: InboundRequest, response: InboundResponse) {
    this.#environment = environment;
    this.#request = request;
    this.#response = response;
    response.filter = (built) => this.#send(built);
  }

  /** The dialog, early or confirmed, once a response with our tag has gone out. */
  get dialog(): InviteDialog | undefined {
    return this.#dialog;
  }

  /** Somebody else answers, who makes a dialog of his own. */
  handOn(): void {
    this.#extension?.cancel();
    this.#dialog?.abandon('answered by another');
    this.#dialog = undefined;
  }

  #send(built: SipResponse): boolean {
    const { status } = built;
    if (this.#finished) return false;
    if (status === 100) return this.#response.sendMessage(built);
    if (status >= 200) this.#extension?.cancel();
    if (status >= 300) return this.#reject(built);
    const dialog = this.#establish(built);
    if (status >= 200) {
      if (this.#accepting) return false;
      this.#accepting = true;
      const accept = (): boolean => this.#accept(dialog, built);
      if (!dialog.reliable) return accept();
      dialog.reliable.whenSettled(accept);
      return true;
    }
    const reliable = this.#isReliable(built);
    this.#extendAfter(built, reliable ? RELIABLE_EXTENSION_MS : EXTENSION_MS);
    if (!reliable) return this.#response.sendMessage(built);
    dialog.reliable ??= this.#provisionals();
    dialog.reliable.send(built);
    return true;
  }

  /** Proxies give an INVITE up that stays silent for three minutes: the last provisional response is said again (§13.3.1.1). */
  #extendAfter(built: SipResponse, ms: number): void {
    this.#extension?.cancel();
    this.#extension = this.#environment.clock.after(ms, () => {
      if (this.#finished || this.#dialog?.state !== 'early') return;
      const again = built.clone();
      again.headers.remove('RSeq');
      again.headers.remove('Content-Type');
      again.body = new Uint8Array(0);
      this.#send(again);
    });
  }

  #reject(built: SipResponse): boolean {
    this.#finished = true;
    this.#dialog?.abandon(`${built.status} ${built.reason}`);
    return this.#response.sendMessage(built);
  }

  #accept(dialog: InviteDialog, built: SipResponse): boolean {
    if (dialog.state === 'terminated') return false;
    this.#finished = true;
    dialog.reliable?.stop();
    dialog.timer.wanted = this.sessionExpires;
    const sent = dialog.confirmAsServer(this.#request, this.#response, built);
    if (!sent) dialog.abandon('the INVITE could not be answered');
    return sent;
  }

  /** Makes the early dialog with the first response that has a tag (RFC 3261 §12.1.1). */
  #establish(built: SipResponse): InviteDialog {
    if (this.#dialog) return this.#dialog.addContactTo(this.#request, built);
    const flow = needsFlow(this.#request) ? this.#request.source.flow : undefined;
    const dialog = new InviteDialog(this.#environment, {
      values: DialogState.ofServer(this.#request, built, flow),
      role: 'uas',
      request: this.#request,
      response: undefined,
    });
    dialog.rejectEarly = (status) => this.#response.send(status);
    this.#dialog = dialog;
    return dialog.addContactTo(this.#request, built);
  }

  /** RFC 3262 §3: reliable when we ask for it and the client can, and always when the client requires it. */
  #isReliable(built: SipResponse): boolean {
    const { headers } = this.#request;
    const required = headers.hasToken('Require', '100rel');
    const wanted = built.headers.hasToken('Require', '100rel');
    const reliable = required || (wanted && headers.hasToken('Supported', '100rel'));
    if (!reliable) built.headers.remove('Require');
    else if (!wanted) built.headers.append('Require', '100rel');
    return reliable;
  }

  #provisionals(): ReliableProvisionals {
    const { clock, timers } = this.#environment;
    return new ReliableProvisionals(
      clock,
      timers,
      this.#request,
      (response) => this.#response.sendMessage(response),
      () => this.#response.send(504, { reason: 'No PRACK' }),
    );
  }
}

/**
 * Answers an INVITE with a 2xx and becomes its UAS (RFC 3261 §13.3.1.4). Resolves when the 2xx has been sent.
 * @throws ParleyError when the INVITE was refused here instead: `sip-bad-extension`, `sip-merged-request`,
 * `sip-interval-too-small`; `sip-cancelled`, `sip-already-answered`.
 */
export function acceptInvite(
  environment: DialogEnvironment,
  invite: UasInvite,
  request: InboundRequest,
  response: InboundResponse,
  options: UasOptions,
): Promise<InviteDialog> {
  if (response.finalStatus !== undefined)
    throw new ParleyError(response.finalStatus === 487 ? 'sip-cancelled' : 'sip-already-answered');
  if (rejectUnsupported(environment, request, response)) throw new ParleyError('sip-bad-extension');
  if (!environment.dialogs.take(request)) {
    response.send(482);
    throw new ParleyError('sip-merged-request', request.callId);
  }
  const { clock, timers } = environment;
  clock.after(64 * timers.t1, () => environment.dialogs.release(request));
  if (rejectInterval(environment, request, response)) throw new ParleyError('sip-interval-too-small');
  invite.sessionExpires = options.sessionExpires;
  return new Promise((resolve, reject) => {
    response.send(options.status ?? 200, sendOptions(options));
    const { dialog } = invite;
    if (!dialog) reject(new ParleyError('sip-already-answered'));
    else if (dialog.state === 'confirmed') resolve(dialog);
    else
      dialog.onceConfirmedOrEnded(() => {
        if (dialog.state === 'confirmed') resolve(dialog);
        else reject(new ParleyError('sip-cancelled'));
      });
  });
}

/** Refuses an INVITE that {@link acceptInvite} would refuse for what it asks: 420 (RFC 3261 §8.2.2.3) or 422 (RFC 4028 §9). */
export function rejectInvite(
  environment: DialogEnvironment,
  request: InboundRequest,
  response: InboundResponse,
): boolean {
  return rejectUnsupported(environment, request, response) || rejectInterval(environment, request, response);
}

function rejectInterval(
  { minSe }: DialogEnvironment,
  request: InboundRequest,
  response: InboundResponse,
): boolean {
  if (answerTimer(request, minSe).kind !== 'too-small') return false;
  response.send(422, { headers: { 'Min-SE': minSe } });
  return true;
}

export function sendOptions(options: UasOptions): SendOptions {
  return {
    ...(options.headers === undefined ? {} : { headers: options.headers }),
    ...(options.body === undefined ? {} : { body: options.body }),
  };
}
