import { SipRequest, type SipResponse } from '../message/message.js';
import type { UasInvite } from '../dialog/uas-invite.js';
import type { SendOptions, ServerRequest, ServerResponse, Source } from '../stack.js';
import type { ServerTransaction } from '../transaction/layer.js';
import { buildResponse } from './respond.js';
import { randomToken } from './tokens.js';

type CancelListener = (cancel: SipRequest) => void;

/** A request that arrived. An ACK to a 2xx has no server transaction. */
export class InboundRequest extends SipRequest implements ServerRequest {
  readonly source: Source;
  readonly transaction: ServerTransaction | undefined;
  ownRoute: string | undefined;
  recordRouted = false;
  fromNode = false;
  /** The flow that our own Route names for what comes after it (RFC 5626 §5.3). */
  routeFlow: string | undefined;
  #cancelListeners: CancelListener[] | undefined;

  constructor(request: SipRequest, source: Source, transaction?: ServerTransaction) {
    super(request.method, request.uri, request.headers, request.body, request.charset);
    this.adopt(request);
    this.source = source;
    this.transaction = transaction;
    this.ownRoute = undefined;
    this.routeFlow = undefined;
  }

  onCancel(listener: CancelListener): void {
    (this.#cancelListeners ??= []).push(listener);
  }

  /** Tells the listeners that the CANCEL came. */
  cancelled(cancel: SipRequest): void {
    for (const listener of this.#cancelListeners ?? []) listener(cancel);
  }
}

/** Takes over a response that is about to be sent: finishes it, sends it, or keeps it for later. */
export type ResponseFilter = (response: SipResponse) => boolean;

/** How an inbound request is answered; one To tag for all its responses (RFC 3261 §8.2.6.2). */
export class InboundResponse implements ServerResponse {
  readonly request: InboundRequest;
  /** The dialog that may come of an INVITE outside dialogs. */
  invite: UasInvite | undefined;
  /** Set by the dialog that the request belongs to or makes. */
  filter: ResponseFilter | undefined;
  #tag: string | undefined;
  #listeners: ((response: SipResponse) => void)[] | undefined;

  constructor(request: InboundRequest) {
    this.request = request;
  }

  get finalStatus(): number | undefined {
    return this.request.transaction?.finalStatus;
  }

  /** Our To tag. */
  get tag(): string {
    return (this.#tag ??= randomToken());
  }

  send(status: number, options?: SendOptions): boolean {
    const response = this.build(status, options);
    if (this.#listeners && status > 100) for (const listener of this.#listeners) listener(response);
    return this.filter ? this.filter(response) : this.sendMessage(response);
  }

  onSend(listener: (response: SipResponse) => void): void {
    (this.#listeners ??= []).unshift(listener);
  }

  build(status: number, options?: SendOptions): SipResponse {
    return buildResponse(this.request, status, this.tag, options);
  }

  /** Sends a complete response past the filter: what a proxy forwards, what a dialog has finished. */
  sendMessage(response: SipResponse): boolean {
    if (response.status >= 200) this.#listeners = undefined;
    return this.request.transaction?.respond(response) ?? false;
  }
}
