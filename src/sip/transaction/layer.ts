/**
 * What the transaction layer (RFC 3261 §17 with RFC 6026) gives to its user: the embedded stack's proxies,
 * user agents and dialogs.
 */
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Protocol, Source } from '../stack.js';

/** Where a request is sent: an address to connect to, or exactly one flow. */
export interface NextHop {
  readonly protocol: Protocol;
  /** IP address without brackets. */
  readonly address: string;
  readonly port: number;
  /** Name to present and verify over TLS. */
  readonly serverName?: string;
  /** Send over this flow or fail. */
  readonly flow?: string;
}

/** A request being answered. Responses that the state machine does not allow any more are dropped: `false`. */
export interface ServerTransaction {
  readonly request: SipRequest;
  readonly source: Source;
  readonly kind: 'invite' | 'non-invite';
  /** Final status sent so far. */
  readonly finalStatus: number | undefined;
  /** The response is complete: Via, From, To with tag, Call-ID, CSeq included. */
  respond(response: SipResponse): boolean;
  /** INVITE only: a matching CANCEL came (answered 200 by the layer). The user answers the INVITE with 487 or forwards the CANCEL. */
  onCancel: ((cancel: SipRequest) => void) | undefined;
  /** A transport error, or Timer H without ACK. */
  onFailure: ((reason: 'transport' | 'no-ack') => void) | undefined;
  /** INVITE only: nothing above 100 was said for so long that the layer will forget it soon. Called by a layer that does so. */
  onSilence?: (() => void) | undefined;
}

export type ClientFailure = 'timeout' | 'transport' | 'flow-failed';

/** What the user of a client transaction hears. Each response once, retransmissions absorbed; 2xx to INVITE each time another To tag comes, and retransmitted 2xx too (RFC 6026 §8.4). */
export interface ClientUser {
  onResponse(response: SipResponse, source: Source): void;
  onFailure(failure: ClientFailure): void;
}

export interface ClientTransaction {
  /** As sent, with our Via on top. */
  readonly request: SipRequest;
  readonly hop: NextHop;
  readonly state: 'calling' | 'trying' | 'proceeding' | 'completed' | 'accepted' | 'terminated';
  /** Sends CANCEL as soon as a provisional response has come (RFC 3261 §9.1); `reason` is a Reason header field value. */
  cancel(reason?: string): void;
}

export interface TransactionLayer {
  /** New requests other than ACK and CANCEL, each once. */
  onRequest: (transaction: ServerTransaction) => void;
  /** ACK that belongs to no INVITE server transaction awaiting one: the ACK to a 2xx. */
  onAck: (ack: SipRequest, source: Source) => void;
  /** CANCEL without its INVITE is answered 481 by the layer; a response without transaction is dropped and counted. */

  /**
   * Adds our Via with a fresh branch (or `branch`), sends, and runs the client machine.
   * `request` is taken over by the transaction and must not change afterwards.
   */
  send(request: SipRequest, hop: NextHop, user: ClientUser, branch?: string): ClientTransaction;
  /** Sends without a transaction: the ACK to a 2xx. Adds our Via. */
  sendStateless(request: SipRequest, hop: NextHop): void;
  /** Server transactions that still wait for a final response, and client transactions that wait for one. */
  readonly running: number;
}

/** RFC 3261 §17.1.1.1 and table 4, in milliseconds. */
export interface TransactionTimers {
  readonly t1: number;
  readonly t2: number;
  readonly t4: number;
}

export const defaultTimers: TransactionTimers = { t1: 500, t2: 4_000, t4: 5_000 };
