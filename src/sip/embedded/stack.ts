import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { createB2bua } from '../b2bua/b2bua.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { DialogEnvironment } from '../dialog/environment.js';
import { acceptSubscribe, resumeSubscription } from '../dialog/notifier.js';
import { MIN_SE_SECONDS } from '../dialog/session-timer.js';
import { UacSubscribe } from '../dialog/subscriber.js';
import { DialogTable } from '../dialog/table.js';
import { UacInvite } from '../dialog/uac-invite.js';
import { acceptInvite, rejectInvite, UasInvite } from '../dialog/uas-invite.js';
import { proxyRequest } from '../proxy/proxy.js';
import { RecordRoutes } from '../proxy/record-route.js';
import { preprocessRoutes } from '../proxy/route.js';
import type {
  B2buaOptions,
  ClientHooks,
  Dialog,
  Handler,
  Listener,
  ProxyOptions,
  ProxyResult,
  RequestOptions,
  SavedSubscription,
  ServerRequest,
  ServerResponse,
  SipStack,
  Source,
  StackAbilities,
  UacOptions,
  UasOptions,
} from '../stack.js';
import { defaultTimers, type ServerTransaction, type TransactionTimers } from '../transaction/layer.js';
import { buildRequest, nextAttempt } from './client-request.js';
import { Authorizations, sendAuthenticated } from './authenticated.js';
import { Dispatcher } from './dispatcher.js';
import './errors.js';
import { InboundRequest, InboundResponse } from './inbound.js';
import { LocalNames } from './local-names.js';
import { NodeSeal, type NodeTrust } from './node-seal.js';
import type { LocalEnd, Wire } from './wire.js';

export interface EmbeddedOptions {
  readonly wire: Wire;
  /** What the wire can do; all when absent. */
  readonly abilities?: StackAbilities;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
  /** The home domain, for the From of requests that name no other. */
  readonly domain: string;
  /** Other domains and names of this server: `host` or `host:port`. */
  readonly aliases?: readonly string[];
  readonly timers?: TransactionTimers;
  /** Signs Record-Route URIs; the same on all nodes of one server, a random one when absent. */
  readonly recordRouteSecret?: string | Uint8Array;
  /** The node that a flow lives on, when it is another one and alive. */
  readonly nodeOfFlow?: (flow: string) => LocalEnd | undefined;
  /** The other nodes of this server; absent when there can be none. */
  readonly nodes?: NodeTrust | undefined;
  /** Option tags that the roles understand as user agents, besides those the stack itself gives. */
  readonly supported?: readonly string[];
  /** The smallest Session-Expires taken in a dialog, in seconds; at least 90 (RFC 4028 §9). */
  readonly minSe?: number;
}

/** Option tags of what the stack's user agents do by themselves. */
const SUPPORTED = ['100rel', 'timer'];

/** How often a draining stack looks whether all is done. */
const DRAIN_STEP_MS = 50;

/** The SIP stack that runs inside this process. */
export function createEmbeddedStack(options: EmbeddedOptions): SipStack {
  return new EmbeddedStack(options);
}

const everything: StackAbilities = {
  name: 'embedded',
  binaryBodies: true,
  maxMessageBytes: 1 << 20,
  flows: true,
};

class EmbeddedStack implements SipStack {
  readonly abilities: StackAbilities;
  readonly #options: EmbeddedOptions;
  readonly #wire: Wire;
  readonly #dispatcher: Dispatcher;
  readonly #environment: DialogEnvironment;
  readonly #from: string;
  #draining = false;
  #closed = false;
  readonly #flowListeners: ((flow: string) => void)[] = [];

  constructor(options: EmbeddedOptions) {
    const { wire, clock, log, trail, domain, aliases = [] } = options;
    this.#options = options;
    this.abilities = options.abilities ?? everything;
    this.#from = `sip:${domain}`;
    this.#wire = wire;
    this.#dispatcher = new Dispatcher(log, trail);
    const recordRoutes = new RecordRoutes(options.recordRouteSecret ?? randomBytes(32));
    this.#environment = {
      wire,
      clock,
      log,
      trail,
      timers: options.timers ?? defaultTimers,
      names: new LocalNames([domain, ...aliases]),
      recordRoutes,
      wayToFlow: (flow, callId) => {
        const end = options.nodeOfFlow?.(flow);
        if (!end) return undefined;
        const { protocol, host, port } = end;
        const hop = { protocol, address: host.replace(/^\[|\]$/g, ''), port };
        return { route: recordRoutes.value(end, false, callId, flow), hop };
      },
      seal: options.nodes && new NodeSeal(options.nodes, clock),
      dispatcher: this.#dispatcher,
      dialogs: new DialogTable(),
      authorizations: new Authorizations(),
      supported: [...SUPPORTED, ...(options.supported ?? []).map((tag) => tag.toLowerCase())],
      minSe: Math.max(MIN_SE_SECONDS, options.minSe ?? MIN_SE_SECONDS),
    };
    wire.transactions.onRequest = (transaction) => this.#onRequest(transaction);
    wire.transactions.onAck = (ack, source) => this.#onAck(ack, source);
    wire.onFlowClosed = (flow) => {
      for (const listener of this.#flowListeners) listener(flow);
    };
  }

  get listeners(): readonly Listener[] {
    return this.#wire.listeners;
  }

  on(method: string, handler: Handler): void {
    this.#dispatcher.set(method, handler);
  }

  isLocal(host: string, port?: number): boolean {
    return this.#environment.names.has(host.toLowerCase(), port);
  }

  async start(): Promise<void> {
    this.#wire.onListeners = () => this.#learnNames();
    await this.#wire.start();
    this.#learnNames();
  }

  #learnNames(): void {
    const { names } = this.#environment;
    names.addListeners(this.#wire.listeners);
    for (const listener of this.#wire.listeners) names.addEnd(this.#wire.localEnd(listener));
  }

  async request(uri: string, options: RequestOptions & ClientHooks): Promise<SipResponse> {
    this.#mustBeOpen();
    let request: SipRequest | undefined;
    const { response } = await sendAuthenticated(
      this.#environment,
      () => (request = request ? nextAttempt(request) : buildRequest(uri, this.#from, options)),
      { flow: options.flow, hooks: options },
      options.auth,
    );
    return response;
  }

  async createUAS(
    request: ServerRequest,
    response: ServerResponse,
    options: UasOptions = {},
  ): Promise<Dialog> {
    const [inbound, answer] = ours(request, response);
    if (inbound.method === 'SUBSCRIBE' || inbound.method === 'REFER')
      return acceptSubscribe(this.#environment, inbound, answer, options);
    if (!answer.invite) throw new ParleyError('sip-unsupported', `a dialog by ${inbound.method}`);
    return acceptInvite(this.#environment, answer.invite, inbound, answer, options);
  }

  rejectInvite(request: ServerRequest, response: ServerResponse): boolean {
    return rejectInvite(this.#environment, ...ours(request, response));
  }

  resumeSubscription(saved: SavedSubscription): Dialog {
    return resumeSubscription(this.#environment, saved);
  }

  async createUAC(uri: string, options: UacOptions): Promise<Dialog> {
    this.#mustBeOpen();
    if (options.method === 'SUBSCRIBE')
      return new UacSubscribe(this.#environment, uri, this.#from, options).run();
    if (options.method === 'INVITE') return new UacInvite(this.#environment, uri, this.#from, options).run();
    throw new ParleyError('sip-unsupported', `a dialog by ${options.method}`);
  }

  async createB2BUA(
    request: ServerRequest,
    response: ServerResponse,
    options: B2buaOptions,
  ): Promise<{ uas: Dialog; uac: Dialog }> {
    const [inbound, answer] = ours(request, response);
    if (!answer.invite) throw new ParleyError('sip-unsupported', `a B2BUA for ${inbound.method}`);
    if (answer.finalStatus !== undefined) throw new ParleyError('sip-already-answered');
    return createB2bua(this.#environment, inbound, answer, answer.invite, options);
  }

  async proxyRequest(
    request: ServerRequest,
    response: ServerResponse,
    options: ProxyOptions,
  ): Promise<ProxyResult> {
    return proxyRequest(this.#environment, ...ours(request, response), options);
  }

  onDialog(listener: (dialog: Dialog) => void): void {
    this.#environment.dialogs.onConfirmed(listener);
  }

  onFlowClosed(listener: (flow: string) => void): void {
    this.#flowListeners.push(listener);
  }

  closeFlow(flow: string): void {
    this.#wire.closeFlow?.(flow);
  }

  trouble(): string | undefined {
    return this.#wire.trouble() ?? (this.#draining ? 'draining' : undefined);
  }

  async drain(ms: number): Promise<void> {
    const { clock } = this.#environment;
    const end = clock.now() + ms;
    if (this.#wire.refrain) await this.#wire.refrain();
    this.#draining = true;
    while (this.#wire.transactions.running > 0 && clock.now() < end)
      await new Promise<void>((resolve) => clock.after(DRAIN_STEP_MS, resolve));
  }

  async close(): Promise<void> {
    this.#draining = true;
    this.#closed = true;
    this.#environment.dialogs.close();
    await this.#wire.close();
  }

  /** @throws ParleyError `sip-stack-closed` */
  #mustBeOpen(): void {
    if (this.#closed) throw new ParleyError('sip-stack-closed');
  }

  #onRequest(transaction: ServerTransaction): void {
    const request = new InboundRequest(transaction.request, transaction.source, transaction);
    const response = new InboundResponse(request);
    try {
      request.fromNode = this.#environment.seal?.take(request) ?? false;
      if (transaction.kind === 'invite') this.#prepareInvite(transaction, request, response);
      if (request.has('Route') || request.uri.includes('maddr')) preprocessRoutes(request, this.#environment);
      const dialog = this.#environment.dialogs.find(request);
      if (dialog) dialog.receive(request, response);
      else if (this.#draining && request.toTag === undefined && !this.#passes(request))
        this.#refuse(request, response);
      else if (!this.#environment.dialogs.expectation(request)?.receiveFirst(request, response))
        this.#dispatcher.dispatch(request, response);
    } catch (error) {
      this.#dispatcher.fail(error, request, response);
    }
  }

  /**
   * While draining: what this server sends to itself belongs to what runs already (a message on its way, a leg of a call), and what
   * another node sends to a device whose connection is here has no other way (RFC 5626 §5.3) while the connection lives.
   */
  #passes({ via, source, fromNode, routeFlow }: InboundRequest): boolean {
    if (fromNode && routeFlow !== undefined) return true;
    return source.address === source.localAddress && this.#environment.names.has(via.host, via.port ?? 5060);
  }

  /** While draining nothing new begins. Clients are told to come back at different times. */
  #refuse(request: InboundRequest, response: InboundResponse): void {
    this.#options.trail.record({
      code: 'sip.refused-draining',
      outcome: 'refused',
      clause: 'RFC 3261 §21.5.4',
      trace: request.callId,
      detail: request.method,
    });
    response.send(503, { headers: { 'Retry-After': 30 + Math.trunc(Math.random() * 31) } });
  }

  #prepareInvite(transaction: ServerTransaction, request: InboundRequest, response: InboundResponse): void {
    transaction.onCancel = (cancel) => {
      request.cancelled(cancel);
      response.send(487);
    };
    if (request.toTag !== undefined) return;
    response.invite = new UasInvite(this.#environment, request, response);
    // past the filter: whoever answers in the end, the tag of this one need not be his
    transaction.onSilence = () => response.sendMessage(response.build(182));
  }

  #onAck(ack: SipRequest, source: Source): void {
    const request = new InboundRequest(ack, source);
    const response = new InboundResponse(request);
    try {
      if (request.has('Route') || request.uri.includes('maddr')) preprocessRoutes(request, this.#environment);
      const dialog = this.#environment.dialogs.find(request);
      if (dialog) dialog.receiveAck(request);
      else if (request.recordRouted) this.#dispatcher.dispatch(request, response);
      else this.#options.log.debug({ callId: ack.callId }, 'an ACK that belongs to nothing here');
    } catch (error) {
      this.#dispatcher.fail(error, request, response);
    }
  }
}

/** @throws ParleyError `sip-foreign-request` for a pair that this stack did not hand out. */
function ours(request: ServerRequest, response: ServerResponse): [InboundRequest, InboundResponse] {
  if (request instanceof InboundRequest && response instanceof InboundResponse) return [request, response];
  throw new ParleyError('sip-foreign-request');
}
