import type { LocalEnd } from '../sip/embedded/wire.js';
import type { Headers } from '../sip/message/headers.js';
import type { SipResponse } from '../sip/message/message.js';
import type { ProxyResult, ServerRequest, ServerResponse } from '../sip/stack.js';

/** Whose turn it is in the chain: the caller's services first, then the callee's (3GPP TS 24.229 §5.4.3.2, §5.4.3.3). */
export type SessionCase = 'originating' | 'terminating-registered' | 'terminating-unregistered';

/** The registered device that sent a request, as the local registrar or the documents of another core know it. */
export interface SendingDevice {
  /** Instance ID, a URN; undefined for a device of the local registrar that sent none. */
  readonly instance: string | undefined;
  readonly instanceKey: string | undefined;
  /** For the identity that it registered; undefined where it has none. */
  readonly publicGruu: string | undefined;
  /** The `gr` values that stand for it, whichever identity they are for. */
  readonly grs: readonly string[];
}

/** What decides whether a service gets a request. */
export interface ServiceSubject {
  readonly request: ServerRequest;
  readonly sessionCase: SessionCase;
  /** The user served: the asserted caller, or the called identity; canonical. */
  readonly servedUser: string;
  /** Key of the served user's registration set. */
  readonly set: string;
  /** Whether the served user has a device registered. */
  readonly registered: boolean;
  /** The device of the served user that sent the request, when it is known (originating only). */
  readonly device?: SendingDevice | undefined;
}

/** A request on its way through the services of one user. */
export interface ServiceCall extends ServiceSubject {
  readonly response: ServerResponse;
  /**
   * Route values, topmost first, that bring a request which the service makes itself (the second leg of a B2BUA) to what comes
   * after it in the chain: the original dialog identifier (3GPP TS 24.229 §5.4.3.2). What such a request asserts is believed.
   */
  readonly onward: readonly string[];
  /** Shows the services before this one a response that it forwards itself, on another way than `next`. */
  show(response: SipResponse): void;
}

export interface NextOptions {
  /** Changes each copy of the request before it is sent. */
  edit?(headers: Headers): void;
  /** Sees every response before it is judged and may change the header fields of its copy. */
  onResponse?(response: SipResponse): void;
  /**
   * Decides what becomes of the final response: true when the service answers the request itself (a stored message: 202).
   * Without it every final response goes back to the caller. A 2xx to INVITE and what follows a CANCEL cannot be taken over.
   */
  takesOver?(result: ProxyResult): boolean | Promise<boolean>;
}

/** Hands the request to what comes after the service and gives what became of it. Called at most once. */
export type Next = (options?: NextOptions) => Promise<ProxyResult>;

/** A body of its own for one device. */
export interface DeviceBody {
  readonly body: Uint8Array;
  /** That device sent a response which begins a dialog with this tag. */
  answered(toTag: string): void;
}

/**
 * A service that the core puts into a request's way, as middleware is in a Node server. It ends the request with
 * `call.response`, or hands it on with `next`, or makes a second leg over `call.onward`. What it throws as ParleyError is
 * answered with the error's SIP status.
 */
export interface Service {
  /** Stable name for triggers, the decision trail and metrics. */
  readonly name: string;
  /** Event packages of which it is the notifier, lower case (RFC 6665 §7.2). */
  readonly packages?: readonly string[];
  /** Default trigger, for users without filter criteria: which requests the service wants. Without it, none but those it {@link serves}. */
  matches?(call: ServiceSubject): boolean;
  /**
   * Whether the service answers for the core itself: then no criterion is held against the request, in no session case, so that no
   * application server stands before it, unless one of the user's criteria names the service.
   */
  precedes?(call: ServiceSubject): boolean;
  /**
   * Whether the Request-URI is a public service identity of this service (3GPP TS 23.228 §5.4.12), such as a conference factory:
   * such a request comes as `terminating-registered` with that identity as served user; `next` sends it out of the domain by its
   * topmost Route, else by its Request-URI.
   */
  serves?(request: ServerRequest): boolean;
  /** The same for a Request-URI that belongs to no user here: the service knows where such users are (interworking). */
  servesStranger?(request: ServerRequest): boolean | Promise<boolean>;
  handle(call: ServiceCall, next: Next): Promise<void>;
  /**
   * What one of the devices that an INVITE is forked to gets in place of its body, since it cannot use what suits the others: a
   * session description names one transport. Undefined for the body as it is.
   * @param contact of the device.
   */
  bodyFor?(request: ServerRequest, contact: string): DeviceBody | undefined;
  /**
   * Judges a request inside a dialog before it goes past the services; undefined where there is nothing to judge. Rejects with a
   * ParleyError, whose SIP status is the answer, to refuse it.
   */
  judgeDialogRequest?(request: ServerRequest): Promise<void> | undefined;
  /** Learns of each request inside a dialog that went past the services, and what became of it. */
  dialogRequest?(request: ServerRequest, result: ProxyResult): void;
}

/** Where services are put: the core in this process, or the application server behind somebody else's. */
export interface ServiceHost {
  /** Puts a service into the way of requests, after those that are there. Services are added before the stack starts. */
  use(service: Service): void;
  /** Event packages of which a service is the notifier. */
  packages(): readonly string[];
  /**
   * Route values for a request that a service starts itself for a user, such as the delivery of a deferred message: it passes
   * the services that come after it, as if it had been triggered.
   * @param at the node that it goes on at; this one unless given.
   */
  onward(
    service: Service,
    sessionCase: SessionCase,
    user: { servedUser: string; set: string },
    at?: LocalEnd,
  ): readonly string[];
  /** The same for a request that begins all services of a user, as if the user's device, or its caller, had sent it. */
  entrance(sessionCase: SessionCase, user: { servedUser: string; set: string }): readonly string[];
}
