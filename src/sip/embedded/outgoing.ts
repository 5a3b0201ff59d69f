import type { Clock } from '../../base/clock.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Source } from '../stack.js';
import type {
  ClientFailure,
  ClientTransaction,
  ClientUser,
  NextHop,
  TransactionTimers,
} from '../transaction/layer.js';
import type { Logger } from '../../base/log.js';
import type { SipUri } from '../message/uri.js';
import type { NodeSeal } from './node-seal.js';
import type { Wire } from './wire.js';

/** Who sent a request: hears its responses, and how it failed when every server of it failed. */
export interface OutgoingUser {
  /**
   * Finishes one attempt's own copy before it goes to `hop` (Contact, Record-Route).
   * @returns the branch, or undefined for a fresh one.
   */
  prepare?(request: SipRequest, hop: NextHop): string | undefined;
  onResponse(response: SipResponse, source: Source): void;
  onFailure(failure: ClientFailure): void;
}

/** What sending needs besides the request. */
export interface Sending {
  readonly wire: Wire;
  readonly clock: Clock;
  readonly timers: TransactionTimers;
  readonly log: Logger;
  /** Present when other nodes of this server run. */
  readonly seal?: NodeSeal | undefined;
  /** The way to a flow that lives on another node: a Route that names it there, and that node. */
  wayToFlow?(flow: string, callId: string): { readonly route: string; readonly hop: NextHop } | undefined;
}

/**
 * Finds where a request goes: to its flow, else to the servers of `uri` (RFC 3263). Calls `found` at once where nothing
 * has to be looked up; with a failure when there is nowhere to send it to.
 */
export function locate(
  sending: Sending,
  request: SipRequest,
  uri: SipUri,
  flow: string | undefined,
  found: (hops: readonly NextHop[] | ClientFailure) => void,
): void {
  const { wire, log } = sending;
  if (flow !== undefined) {
    const hop = wire.hopOfFlow(flow);
    const away = hop ? undefined : sending.wayToFlow?.(flow, request.callId);
    if (away) request.headers.prepend('Route', away.route);
    const next = hop ?? away?.hop;
    found(next ? [next] : 'flow-failed');
    return;
  }
  const hops = wire.resolve(uri, request.uri.startsWith('sips:'));
  if (!(hops instanceof Promise)) {
    found(hops);
    return;
  }
  hops.then(found, (error: unknown) => {
    log.warn({ err: error, uri: uri.toString() }, 'no server found for a URI');
    found('transport');
  });
}

/**
 * A request on its way to the first server that takes it: the next hop is tried when one cannot be reached, does not
 * answer, or answers 503 (RFC 3263 §4.3), each in a transaction of its own.
 */
export class Outgoing implements ClientUser {
  readonly #sending: Sending;
  /** Undefined once nothing is to be sent any more: further 2xx to an INVITE may come for half a minute. */
  #request: SipRequest | undefined;
  readonly #hops: readonly NextHop[];
  readonly #user: OutgoingUser;
  #next = 0;
  #transaction: ClientTransaction | undefined;
  #answered = false;
  #done = false;
  #cancelled = false;

  /** @param request taken over; it must not change afterwards. */
  constructor(sending: Sending, request: SipRequest, hops: readonly NextHop[], user: OutgoingUser) {
    this.#sending = sending;
    this.#request = request;
    this.#hops = hops;
    this.#user = user;
  }

  start(): void {
    this.#attempt();
  }

  /**
   * Cancels an INVITE that has no final response; no other server is tried for it. The transaction sees to it that it ends.
   * @param reason a Reason header field value.
   */
  cancel(reason?: string): void {
    if (this.#done || this.#cancelled) return;
    this.#cancelled = true;
    this.#next = this.#hops.length;
    this.#transaction?.cancel(reason);
  }

  onResponse(response: SipResponse, source: Source): void {
    if (this.#done && (response.status < 200 || response.status >= 300)) return;
    if (response.status === 503 && this.#next < this.#hops.length && !this.#answered) {
      this.#attempt();
      return;
    }
    this.#answered = true;
    if (response.status >= 200) this.#end();
    this.#user.onResponse(response, source);
  }

  onFailure(failure: ClientFailure): void {
    if (this.#done) return;
    if (this.#next < this.#hops.length && !this.#answered) this.#attempt();
    else this.#fail(failure);
  }

  #attempt(): void {
    const hop = this.#hops[this.#next++];
    const whole = this.#request;
    if (!hop || !whole) {
      this.#fail('transport');
      return;
    }
    const request = this.#next < this.#hops.length ? whole.clone() : whole;
    const branch = this.#user.prepare?.(request, hop);
    this.#sending.seal?.put(request, hop);
    this.#transaction = this.#sending.wire.transactions.send(request, hop, this, branch);
  }

  #fail(failure: ClientFailure): void {
    if (this.#done) return;
    this.#end();
    this.#user.onFailure(failure);
  }

  #end(): void {
    this.#done = true;
    this.#request = undefined;
    this.#transaction = undefined;
  }
}
