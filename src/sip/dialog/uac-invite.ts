import { sendAuthenticated } from '../embedded/authenticated.js';
import { buildRequest, nextAttempt } from '../embedded/client-request.js';
import { contactFor } from '../embedded/contact.js';
import { buildResponse } from '../embedded/respond.js';
import { FinalResponseError } from '../final-response-error.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { UacOptions } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';
import { UA_METHODS } from './defaults.js';
import type { DialogEnvironment } from './environment.js';
import type { InDialogRequest } from './base.js';
import { InviteDialog } from './invite-dialog.js';
import { ReliableReceiver } from './reliable.js';
import { MIN_SE_SECONDS, minSeOf } from './session-timer.js';
import { DialogState } from './state.js';

/** Sends the PRACK to one reliable provisional response and gives its final response. */
export type SendPrack = (options: InDialogRequest) => Promise<SipResponse>;

/** What the stack's own B2BUA adds to the port's options. */
export interface InviteOptions extends Omit<UacOptions, 'onEarlyDialog'> {
  onEarlyDialog?(dialog: InviteDialog): void;
  /** Feature parameters for our Contact, each with its semicolon. */
  readonly contactFeatures?: string;
  editRequest?(request: SipRequest): void;
  /** Takes a reliable provisional response over, in place of `onProvisional` and of an empty PRACK. */
  onReliable?(response: SipResponse, prack: SendPrack): Promise<unknown>;
  /** Gets the 2xx before it is acknowledged, and gives the body of the ACK. */
  onSuccess?(response: SipResponse, dialog: InviteDialog): Promise<InDialogRequest> | InDialogRequest;
}

interface Early {
  readonly dialog: InviteDialog;
  readonly receiver: ReliableReceiver;
}

/** Attempts of one INVITE: the first, one with credentials, one with a longer session interval. */
const MAX_ATTEMPTS = 3;
/** Early dialogs of one INVITE: a little more than Max-Breadth lets it be forked (RFC 5393 §5.3.3). */
const MAX_FORKS = 64;

/** The client's side of an INVITE that is to make a dialog: provisional responses, forks, ACK (RFC 3261 §13.2). */
export class UacInvite {
  readonly #environment: DialogEnvironment;
  readonly #uri: string;
  readonly #from: string;
  readonly #options: InviteOptions;
  readonly #early = new Map<string, Early>();
  #request: SipRequest;
  #cancelled = false;
  #minSe: number | undefined;

  /** @param from the From URI when the options give none. */
  constructor(environment: DialogEnvironment, uri: string, from: string, options: InviteOptions) {
    this.#environment = environment;
    this.#uri = uri;
    this.#from = from;
    this.#options = options;
    this.#request = this.#build();
  }

  /** @throws FinalResponseError on a final response that is not 2xx; with 487 when a 2xx crossed our CANCEL. */
  async run(): Promise<InviteDialog> {
    let response: SipResponse;
    for (let attempt = 1; ; attempt++) {
      response = await this.#attempt();
      if (response.status !== 422 || attempt === MAX_ATTEMPTS || this.#cancelled) break;
      this.#minSe = Math.max(this.#minSe ?? MIN_SE_SECONDS, minSeOf(response));
      this.#nextRequest();
    }
    if (response.status >= 300) {
      this.#abandonOthers(undefined, `${response.status} ${response.reason}`);
      throw new FinalResponseError(response);
    }
    return this.#succeed(response);
  }

  async #attempt(): Promise<SipResponse> {
    let first = true;
    const { response } = await sendAuthenticated(
      this.#environment,
      () => {
        if (!first) this.#nextRequest();
        first = false;
        return this.#request;
      },
      {
        flow: this.#options.flow,
        prepare: (copy, hop) => this.#prepare(copy, hop),
        hooks: {
          onProvisional: (provisional) => this.#onProvisional(provisional),
          onStarted: (cancel, request) =>
            this.#options.onStarted?.((reason) => {
              this.#cancelled = true;
              cancel(reason);
            }, request),
        },
        onFurtherSuccess: (further) => this.#onFurtherSuccess(further),
        stopped: () => this.#cancelled,
      },
      this.#options.auth,
    );
    return response;
  }

  #build(): SipRequest {
    const { headers, body, route, sessionExpires } = this.#options;
    const request = buildRequest(this.#uri, this.#from, { method: 'INVITE', headers, body, route });
    const supported = this.#environment.supported.filter(
      (tag) => !request.headers.hasToken('Supported', tag),
    );
    if (supported.length > 0) request.headers.append('Supported', supported.join(', '));
    if (!request.has('Allow')) request.headers.append('Allow', UA_METHODS);
    if (sessionExpires !== undefined) request.headers.set('Session-Expires', sessionExpires);
    this.#options.editRequest?.(request);
    return request;
  }

  /** The same INVITE once more, with the longer session interval where one was asked for (RFC 4028 §7.3). */
  #nextRequest(): void {
    this.#request = nextAttempt(this.#request);
    if (this.#minSe === undefined) return;
    this.#request.headers.set('Min-SE', this.#minSe);
    this.#request.headers.set('Session-Expires', Math.max(this.#options.sessionExpires ?? 0, this.#minSe));
  }

  #prepare(request: SipRequest, hop: NextHop): void {
    if (request.has('Contact')) return;
    const { user } = request.from.uri;
    const contact = contactFor(request, this.#environment.wire.localEnd(hop), user);
    request.headers.append('Contact', contact + (this.#options.contactFeatures ?? ''));
  }

  #onProvisional(response: SipResponse): void {
    const { toTag } = response;
    if (toTag !== undefined && this.#early.size >= MAX_FORKS && !this.#early.has(toTag)) return;
    if (response.status > 100 && toTag !== undefined && !this.#cancelled) {
      const { dialog, receiver } = this.#earlyOf(response, toTag);
      const rack = receiver.accept(response);
      if (rack !== undefined && this.#onReliable(dialog, response, rack)) return;
      // a reliable response that is not new, or not yet in order, is as if it had not come
      if (rack === undefined && response.headers.hasToken('Require', '100rel')) return;
    }
    this.#options.onProvisional?.(response);
  }

  /** @returns whether it was taken over by the user. */
  #onReliable(dialog: InviteDialog, response: SipResponse, rack: string): boolean {
    const prack: SendPrack = (options) =>
      dialog.send({ method: 'PRACK', ...options, headers: { ...options.headers, RAck: rack } });
    dialog.background(this.#options.onReliable?.(response, prack) ?? prack({}));
    return this.#options.onReliable !== undefined;
  }

  #earlyOf(response: SipResponse, tag: string): Early {
    const known = this.#early.get(tag);
    if (known) return known;
    const early = { dialog: this.#dialogOf(response), receiver: new ReliableReceiver() };
    this.#early.set(tag, early);
    this.#options.onEarlyDialog?.(early.dialog);
    return early;
  }

  #dialogOf(response: SipResponse): InviteDialog {
    return new InviteDialog(this.#environment, {
      values: DialogState.ofClient(this.#request, response, this.#options.flow),
      role: 'uac',
      request: this.#request,
      response: undefined,
      contact: this.#request.get('Contact'),
      auth: this.#options.auth,
    });
  }

  async #succeed(response: SipResponse): Promise<InviteDialog> {
    const dialog = this.#early.get(response.toTag ?? '')?.dialog ?? this.#dialogOf(response);
    dialog.confirmAsClient(this.#request, response);
    this.#abandonOthersLater(dialog);
    if (this.#cancelled) {
      this.#dismiss(dialog);
      throw new FinalResponseError(buildResponse(this.#request, 487, dialog.remoteTag));
    }
    const body = await (this.#options.onSuccess?.(response, dialog) ?? this.#options.ackBody?.(response));
    dialog.sendAck(this.#request, body ?? {});
    return dialog;
  }

  /** A 2xx again: acknowledged again; one of another branch of a fork: acknowledged and ended (RFC 3261 §13.2.2.4). */
  #onFurtherSuccess(response: SipResponse): void {
    const known = this.#early.get(response.toTag ?? '')?.dialog;
    if (known && known.state !== 'early') {
      known.acknowledgeAgain(response);
      return;
    }
    const dialog = known ?? this.#dialogOf(response);
    this.#early.set(dialog.remoteTag, { dialog, receiver: new ReliableReceiver() });
    dialog.confirmAsClient(this.#request, response);
    this.#dismiss(dialog);
  }

  #dismiss(dialog: InviteDialog): void {
    dialog.sendAck(this.#request, {});
    dialog.background(dialog.destroy());
  }

  /** RFC 3261 §13.2.2.4: early dialogs that nobody confirms within 64·T1 after the first 2xx are over. */
  #abandonOthersLater(dialog: InviteDialog): void {
    const { clock, timers } = this.#environment;
    if (this.#early.size > (this.#early.has(dialog.remoteTag) ? 1 : 0))
      clock.after(64 * timers.t1, () => this.#abandonOthers(dialog, 'answered elsewhere'));
    this.#early.set(dialog.remoteTag, { dialog, receiver: new ReliableReceiver() });
  }

  #abandonOthers(dialog: InviteDialog | undefined, cause: string): void {
    for (const early of this.#early.values())
      if (early.dialog !== dialog && early.dialog.state === 'early') early.dialog.abandon(cause);
  }
}
