import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { ProxyEnvironment } from '../proxy/environment.js';
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
  ServerRequest,
  ServerResponse,
  SipStack,
  Source,
  StackAbilities,
  UacOptions,
  UasOptions,
} from '../stack.js';
import { defaultTimers, type ServerTransaction, type TransactionTimers } from '../transaction/layer.js';
import { buildRequest } from './client-request.js';
import { sendRequest } from './client.js';
import { Dispatcher } from './dispatcher.js';
import './errors.js';
import { InboundRequest, InboundResponse } from './inbound.js';
import { LocalNames } from './local-names.js';
import type { Wire } from './wire.js';

export interface EmbeddedOptions {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
  /** The home domain, for the From of requests that name no other. */
  readonly domain: string;
  /** Other domains and names of this server: `host` or `host:port`. */
  readonly aliases?: readonly string[];
  readonly timers?: TransactionTimers;
  /** Signs Record-Route URIs; the same on all nodes of one server, a random one when absent. */
  readonly recordRouteSecret?: string;
}

/** The SIP stack that runs inside this process. */
export function createEmbeddedStack(options: EmbeddedOptions): SipStack {
  return new EmbeddedStack(options);
}

class EmbeddedStack implements SipStack {
  readonly abilities: StackAbilities = {
    name: 'embedded',
    binaryBodies: true,
    maxMessageBytes: 1 << 20,
    flows: true,
  };
  readonly #options: EmbeddedOptions;
  readonly #wire: Wire;
  readonly #dispatcher: Dispatcher;
  readonly #environment: ProxyEnvironment;
  readonly #flowListeners: ((flow: string) => void)[] = [];

  constructor(options: EmbeddedOptions) {
    const { wire, clock, log, trail, domain, aliases = [] } = options;
    this.#options = options;
    this.#wire = wire;
    this.#dispatcher = new Dispatcher(log, trail);
    this.#environment = {
      wire,
      clock,
      log,
      trail,
      timers: options.timers ?? defaultTimers,
      names: new LocalNames([domain, ...aliases]),
      recordRoutes: new RecordRoutes(options.recordRouteSecret ?? randomBytes(32)),
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
    await this.#wire.start();
    this.#environment.names.addListeners(this.#wire.listeners);
  }

  request(uri: string, options: RequestOptions & ClientHooks): Promise<SipResponse> {
    const request = buildRequest(uri, `sip:${this.#options.domain}`, options);
    return sendRequest(this.#environment, request, { flow: options.flow, hooks: options });
  }

  createUAS(_request: ServerRequest, _response: ServerResponse, _options?: UasOptions): Promise<Dialog> {
    return Promise.reject(new ParleyError('sip-unsupported', 'createUAS'));
  }

  createUAC(_uri: string, _options: UacOptions): Promise<Dialog> {
    return Promise.reject(new ParleyError('sip-unsupported', 'createUAC'));
  }

  createB2BUA(
    _request: ServerRequest,
    _response: ServerResponse,
    _options: B2buaOptions,
  ): Promise<{ uas: Dialog; uac: Dialog }> {
    return Promise.reject(new ParleyError('sip-unsupported', 'createB2BUA'));
  }

  async proxyRequest(
    request: ServerRequest,
    response: ServerResponse,
    options: ProxyOptions,
  ): Promise<ProxyResult> {
    if (!(request instanceof InboundRequest && response instanceof InboundResponse))
      throw new ParleyError('sip-foreign-request');
    return proxyRequest(this.#environment, request, response, options);
  }

  onFlowClosed(listener: (flow: string) => void): void {
    this.#flowListeners.push(listener);
  }

  trouble(): string | undefined {
    return this.#wire.trouble();
  }

  async drain(_ms: number): Promise<void> {}

  async close(): Promise<void> {
    await this.#wire.close();
  }

  #onRequest(transaction: ServerTransaction): void {
    const request = new InboundRequest(transaction.request, transaction.source, transaction);
    const response = new InboundResponse(request);
    if (transaction.kind === 'invite')
      transaction.onCancel = (cancel) => {
        request.cancelled(cancel);
        response.send(487);
      };
    try {
      if (request.has('Route') || request.uri.includes('maddr')) preprocessRoutes(request, this.#environment);
      this.#dispatcher.dispatch(request, response);
    } catch (error) {
      this.#dispatcher.fail(error, request, response);
    }
  }

  #onAck(ack: SipRequest, source: Source): void {
    const request = new InboundRequest(ack, source);
    const response = new InboundResponse(request);
    try {
      if (request.has('Route') || request.uri.includes('maddr')) preprocessRoutes(request, this.#environment);
      if (request.recordRouted) this.#dispatcher.dispatch(request, response);
      else this.#options.log.debug({ callId: ack.callId }, 'an ACK that belongs to nothing here');
    } catch (error) {
      this.#dispatcher.fail(error, request, response);
    }
  }
}
