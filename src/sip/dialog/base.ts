import { ParleyError } from '../../base/errors.js';
import { sendAuthenticated, type Exchange } from '../embedded/authenticated.js';
import { contactFor, contactInAnswer } from '../embedded/contact.js';
import type { InboundRequest, InboundResponse } from '../embedded/inbound.js';
import { locate } from '../embedded/outgoing.js';
import type { HeaderMap } from '../message/headers.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { postprocessRoutes } from '../proxy/route.js';
import {
  LEFT,
  STACK_CLOSED,
  type Credentials,
  type Dialog,
  type Handler,
  type SavedSubscription,
} from '../stack.js';
import type { NextHop } from '../transaction/layer.js';
import type { DialogEnvironment } from './environment.js';
import type { DialogState } from './state.js';
import type { DialogUser } from './table.js';

/** A request to be sent inside a dialog. */
export interface InDialogRequest {
  readonly headers?: HeaderMap | undefined;
  readonly body?: Uint8Array | string | undefined;
}

export interface DialogParts {
  readonly values: DialogState;
  readonly role: 'uac' | 'uas';
  readonly request: SipRequest;
  readonly response: SipResponse | undefined;
  /** Contact as its user gave it; one is made for the hop when absent. */
  readonly contact?: string | undefined;
  readonly auth?: Credentials | undefined;
}

type EndListener = (cause: SipRequest | string) => void;
const nobody: readonly EndListener[] = [];

/** Methods whose requests and 2xx carry a Contact and move the remote target (RFC 3261 §12.2, RFC 3311 §5, RFC 6665 §4). */
const targetRefresh: ReadonlySet<string> = new Set(['INVITE', 'UPDATE', 'SUBSCRIBE', 'NOTIFY', 'REFER']);

/** What dialogs by INVITE and by SUBSCRIBE share: identifier, CSeq order, sending, ending. */
export abstract class BaseDialog implements Dialog, DialogUser {
  readonly values: DialogState;
  readonly role: 'uac' | 'uas';
  readonly request: SipRequest;
  response: SipResponse | undefined;
  state: Dialog['state'] = 'early';
  contact: string | undefined;
  auth: Credentials | undefined;
  protected readonly environment: DialogEnvironment;
  protected handler: Handler | undefined;
  #ackListeners: ((ack: SipRequest) => void)[] | undefined;
  /** Of exactly its length: 100,000 dialogs of subscriptions may live for days. */
  #endListeners = nobody;
  #cause: SipRequest | string | undefined;

  constructor(environment: DialogEnvironment, parts: DialogParts) {
    this.environment = environment;
    this.values = parts.values;
    this.role = parts.role;
    this.request = parts.request;
    this.response = parts.response;
    this.contact = parts.contact;
    this.auth = parts.auth;
    environment.dialogs.add(this.values.key, this);
  }

  get callId(): string {
    return this.values.callId;
  }

  get localTag(): string {
    return this.values.localTag;
  }

  get remoteTag(): string {
    return this.values.remoteTag;
  }

  get localUri(): string {
    return this.values.localUri;
  }

  get remoteUri(): string {
    return this.values.remoteUri;
  }

  get remoteTarget(): string {
    return this.values.remoteTarget;
  }

  get routeSet(): readonly string[] {
    return this.values.routeSet;
  }

  get saved(): SavedSubscription | undefined {
    return undefined;
  }

  abstract modify(body: Uint8Array | string, headers?: HeaderMap): Promise<SipResponse>;
  abstract destroy(headers?: HeaderMap): Promise<void>;
  /** A request in CSeq order whose extensions are known. */
  protected abstract process(request: InboundRequest, response: InboundResponse): void;
  /** The peer does not know the dialog any more: 481, or a 408 that we or somebody on the way gave (RFC 3261 §12.2.1.2). */
  protected abstract lost(request: SipRequest, response: SipResponse): void;

  async send(options: { method: string } & InDialogRequest): Promise<SipResponse> {
    return (await this.exchange(options.method, options)).response;
  }

  onRequest(listener: Handler): void {
    this.handler = listener;
  }

  onAck(listener: (ack: SipRequest) => void): void {
    (this.#ackListeners ??= []).push(listener);
  }

  onEnd(listener: EndListener): void {
    if (this.#cause === undefined) this.#endListeners = this.#endListeners.concat(listener);
    else listener(this.#cause);
  }

  receive(request: InboundRequest, response: InboundResponse): void {
    const { number } = request.cseq;
    const { remoteSequence } = this.values;
    if (remoteSequence !== undefined && number <= remoteSequence) {
      response.send(500, { reason: 'CSeq out of order' });
      return;
    }
    this.values.remoteSequence = number;
    if (rejectUnsupported(this.environment, request, response)) return;
    response.filter = (built) => this.finishResponse(request, response, built);
    this.process(request, response);
  }

  receiveAck(ack: SipRequest): void {
    for (const listener of this.#ackListeners ?? []) this.#tell(listener, ack);
  }

  leave(): void {
    this.end(LEFT);
  }

  close(): void {
    this.end(STACK_CLOSED);
  }

  /** Sends a request of the dialog, answers a challenge to it, and draws the consequences of its final response. */
  protected async exchange(method: string, options: InDialogRequest): Promise<Exchange> {
    if (this.state === 'terminated') throw new ParleyError('sip-no-dialog', this.callId);
    const result = await sendAuthenticated(
      this.environment,
      () => this.build(method, options),
      {
        flow: this.flow,
        prepare: (request, hop) => this.addContact(request, hop),
        onFurtherSuccess: (again) => this.furtherSuccess(again),
      },
      this.auth,
    );
    const { request, response } = result;
    if (response.status >= 200 && response.status < 300 && targetRefresh.has(method))
      this.values.refreshTarget(response);
    if (response.status === 481 || response.status === 408) this.lost(request, response);
    return result;
  }

  protected build(method: string, options: InDialogRequest, sequence?: number): SipRequest {
    return this.values.request(method, { ...options, ...(sequence === undefined ? {} : { sequence }) });
  }

  /** A 2xx to INVITE came again. */
  protected furtherSuccess(_response: SipResponse): void {}

  /** The flow to the peer, while it lives and nothing else leads there. */
  protected get flow(): string | undefined {
    const { flow, routeSet } = this.values;
    if (flow === undefined || routeSet.length > 0) return undefined;
    return this.environment.wire.hopOfFlow(flow) ? flow : undefined;
  }

  protected addContact(request: SipRequest, hop: NextHop): void {
    if (!targetRefresh.has(request.method) || request.has('Contact')) return;
    request.headers.append(
      'Contact',
      this.contact ?? contactFor(request, this.environment.wire.localEnd(hop), this.#user),
    );
  }

  /** Sends without a transaction: the ACK to a 2xx. */
  protected sendStateless(request: SipRequest): void {
    const { wire, log } = this.environment;
    const copy = request.clone();
    const uri = postprocessRoutes(copy);
    locate(this.environment, copy, uri, this.flow, (hops) => {
      const hop = typeof hops === 'string' ? undefined : hops[0];
      if (hop) wire.transactions.sendStateless(copy, hop);
      else log.info({ callId: this.callId }, 'nowhere to send an ACK to');
    });
  }

  /** Adds what responses inside the dialog carry, and sends. */
  protected finishResponse(request: InboundRequest, response: InboundResponse, built: SipResponse): boolean {
    if (built.status >= 200 && built.status < 300 && targetRefresh.has(request.method)) {
      this.values.refreshTarget(request);
      this.addOwnContact(request, built);
    }
    return response.sendMessage(built);
  }

  protected addOwnContact(request: InboundRequest, built: SipResponse): void {
    if (built.has('Contact')) this.contact = built.get('Contact');
    else
      built.headers.append(
        'Contact',
        this.contact ?? contactInAnswer(request, this.#endOf(request), this.#user),
      );
  }

  /** Hands a request to the listener. @returns false when there is none. */
  protected hand(request: InboundRequest, response: InboundResponse): boolean {
    if (!this.handler) return false;
    this.environment.dispatcher.run(this.handler, request, response);
    return true;
  }

  protected end(cause: SipRequest | string): void {
    if (this.state === 'terminated') return;
    this.state = 'terminated';
    this.#cause = cause;
    this.environment.dialogs.remove(this.values.key, this);
    const listeners = this.#endListeners;
    this.#endListeners = nobody;
    for (const listener of listeners) this.#tell(listener, cause);
  }

  /** Lets something go on by itself; a failure of it is only logged. */
  background(work: Promise<unknown>): void {
    work.catch((error: unknown) =>
      this.environment.log.warn({ err: error, callId: this.callId }, 'a request of a dialog failed'),
    );
  }

  /** A listener that throws harms nobody else. */
  #tell<T>(listener: (value: T) => void, value: T): void {
    try {
      listener(value);
    } catch (error) {
      this.environment.log.error({ err: error, callId: this.callId }, 'a listener of a dialog failed');
    }
  }

  get #user(): string | undefined {
    const text = this.localUri;
    const at = text.indexOf('@');
    return at < 0 ? undefined : text.slice(text.indexOf(':') + 1, at);
  }

  #endOf(request: InboundRequest): ReturnType<DialogEnvironment['wire']['localEnd']> {
    const { protocol, address, port, flow } = request.source;
    return this.environment.wire.localEnd({ protocol, address, port, flow });
  }
}

/** Answers 420 to a request that requires what we do not have (RFC 3261 §8.2.2.3). @returns whether it did. */
export function rejectUnsupported(
  environment: DialogEnvironment,
  request: InboundRequest,
  response: InboundResponse,
): boolean {
  if (!request.has('Require')) return false;
  const unsupported = request.headers
    .list('Require')
    .filter((tag) => !environment.supported.includes(tag.toLowerCase()));
  if (unsupported.length === 0) return false;
  environment.trail.record({
    code: 'dialog.extension-not-supported',
    outcome: 'refused',
    clause: 'RFC 3261 §8.2.2.3',
    trace: request.callId,
    detail: unsupported.join(', '),
  });
  response.send(420, { headers: { Unsupported: unsupported.join(', ') } });
  return true;
}
