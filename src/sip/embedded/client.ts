import type { Timer } from '../../base/clock.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { postprocessRoutes } from '../proxy/route.js';
import type { ClientHooks } from '../stack.js';
import type { ClientFailure, NextHop } from '../transaction/layer.js';
import { locate, Outgoing, type OutgoingUser, type Sending } from './outgoing.js';
import { buildResponse } from './respond.js';
import { randomToken } from './tokens.js';

/** How a request is sent and who hears of it. */
export interface Send {
  /** Send over exactly this flow. */
  readonly flow?: string | undefined;
  readonly hooks?: ClientHooks | undefined;
  /** Finishes the copy for one hop: Contact. */
  prepare?(request: SipRequest, hop: NextHop): void;
  /** True when the request is not to be tried again after a challenge: it was cancelled. */
  stopped?(): boolean;
  /** Gets each 2xx to an INVITE after the first: other branches of a fork, and retransmissions. */
  onFurtherSuccess?(response: SipResponse): void;
}

/** As Timer C of proxies: more than the three minutes of RFC 3261 §13.3.1.1. */
const SILENCE_MS = 181_000;

const statusOf = { timeout: 408, transport: 503, 'flow-failed': 430 } as const;

/**
 * Sends a request and gives its first final response. A timeout counts as 408, a transport error as 503
 * (RFC 3261 §8.1.3.1), a flow that is gone as 430 (RFC 5626 §5.3).
 * @param request taken over; complete but for Via.
 */
export function sendRequest(sending: Sending, request: SipRequest, send: Send): Promise<SipResponse> {
  return new Promise((resolve) => new Run(sending, request, send, resolve).start());
}

class Run implements OutgoingUser {
  readonly #sending: Sending;
  readonly #request: SipRequest;
  readonly #send: Send;
  readonly #resolve: (response: SipResponse) => void;
  #outgoing: Outgoing | undefined;
  #cancelled = false;
  #settled = false;
  #patience: Timer | undefined;

  constructor(sending: Sending, request: SipRequest, send: Send, resolve: (response: SipResponse) => void) {
    this.#sending = sending;
    this.#request = request;
    this.#send = send;
    this.#resolve = resolve;
  }

  start(): void {
    this.#send.hooks?.onStarted?.((reason) => this.#cancel(reason), this.#request);
    const uri = postprocessRoutes(this.#request);
    locate(this.#sending, this.#request, uri, this.#send.flow, (hops) => this.#run(hops));
  }

  prepare(request: SipRequest, hop: NextHop): undefined {
    this.#send.prepare?.(request, hop);
  }

  onResponse(response: SipResponse): void {
    if (response.status < 200) {
      if (response.status > 100) this.#waitFor();
      this.#send.hooks?.onProvisional?.(response);
    } else if (this.#settled) this.#send.onFurtherSuccess?.(response);
    else this.#settle(response);
  }

  onFailure(failure: ClientFailure): void {
    this.#settle(buildResponse(this.#request, statusOf[failure], randomToken()));
  }

  #run(hops: readonly NextHop[] | ClientFailure): void {
    if (this.#cancelled) this.#settle(buildResponse(this.#request, 487, randomToken()));
    else if (typeof hops === 'string') this.onFailure(hops);
    else {
      this.#outgoing = new Outgoing(this.#sending, this.#request, hops, this);
      this.#waitFor();
      this.#outgoing.start();
    }
  }

  /** An INVITE that has rung stays so for ever if its final response is lost (RFC 3261 §17.1.1.2): a server that lives says so every minute. */
  #waitFor(): void {
    if (this.#request.method !== 'INVITE') return;
    this.#patience?.cancel();
    this.#patience = this.#sending.clock.after(SILENCE_MS, () => this.#cancel(undefined));
  }

  #cancel(reason: string | undefined): void {
    this.#cancelled = true;
    this.#outgoing?.cancel(reason);
  }

  #settle(response: SipResponse): void {
    this.#settled = true;
    this.#patience?.cancel();
    this.#resolve(response);
  }
}
