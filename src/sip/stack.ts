/**
 * The port behind which SIP happens. Roles are written once against it; `embedded` (in-process) and `drachtio`
 * (a drachtio-server) fill it. The words are drachtio-srf's wherever the thing is the same.
 */
import type { HeaderMap, Headers } from './message/headers.js';
import type { SipRequest, SipResponse } from './message/message.js';

export type Protocol = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';

/**
 * Where a message came from. `flow` names the way back to exactly that peer: a connection, or the pair of
 * addresses over UDP. It can be stored with a binding and is opaque outside the stack (RFC 5626 §5.2);
 * a flow over UDP outlives a restart, one over a connection dies with it.
 */
export interface Source {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly flow: string;
}

/** A request that arrived and waits for its answer. */
export interface ServerRequest extends SipRequest {
  readonly source: Source;
  /** Our own topmost Route that the stack has already taken off (RFC 3261 §16.4), as URI text: its user part carries marks such as `orig`. */
  readonly ownRoute: string | undefined;
  /** True when that Route is one that this stack once put into Record-Route for this Call-ID: the request belongs to a dialog that passed here. */
  readonly recordRouted: boolean;
  /** True when another node of this server sent the request and vouches for what it says of its sender. */
  readonly fromNode: boolean;
  /** The flow that such a Route names for what comes after it (RFC 5626 §5.3). */
  readonly routeFlow: string | undefined;
  /** Calls `listener` when the peer CANCELs this INVITE before its final response; the 487 is sent by the stack. */
  onCancel(listener: (cancel: SipRequest) => void): void;
}

export interface SendOptions {
  readonly headers?: HeaderMap;
  readonly body?: Uint8Array | string;
  /** Reason phrase; the usual one when absent. */
  readonly reason?: string;
}

/** How a request is answered. */
export interface ServerResponse {
  /** Our To tag, the same in all responses. */
  readonly tag: string;
  /** The status of the final response, once sent. */
  readonly finalStatus: number | undefined;
  /**
   * Sends a response: Via, From, To (with a tag), Call-ID, CSeq and Record-Route are copied from the request.
   * Several provisional ones may precede the final one; what comes after that is dropped and false is given back.
   * A provisional response to INVITE with `Require: 100rel` is sent until its PRACK comes, where the client can do that (RFC 3262).
   */
  send(status: number, options?: SendOptions): boolean;
  /**
   * Shows each response that this process makes itself, other than 100, before it is sent; its header fields may be changed. Those
   * that a proxy forwards are shown to its own `onResponse`. The listener that was set last hears first.
   */
  onSend(listener: (response: SipResponse) => void): void;
}

export type Handler = (request: ServerRequest, response: ServerResponse) => void | Promise<void>;

/** Credentials to answer a challenge with. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** A request to be sent by us as a client, outside dialogs. */
export interface RequestOptions {
  readonly method: string;
  readonly headers?: HeaderMap;
  readonly body?: Uint8Array | string;
  /** Route header field values in order, topmost first; the request goes where the topmost says. */
  readonly route?: readonly string[];
  /** Send over exactly this flow; when it is gone the request fails with 430 (RFC 5626 §5.3). */
  readonly flow?: string;
  readonly auth?: Credentials;
}

/** Hooks while a client request runs. */
export interface ClientHooks {
  onProvisional?(response: SipResponse): void;
  /** Gives a function that sends CANCEL (INVITE only), with optional Reason header field value. */
  onStarted?(cancel: (reason?: string) => void, request: SipRequest): void;
}

/** One place a proxied request goes to. */
export interface ProxyTarget {
  /** The new Request-URI. */
  readonly uri: string;
  /** Route values put on top, in order: the Path of a binding (RFC 3327 §5.3). */
  readonly route?: readonly string[];
  /** Send over exactly this flow, else answer the branch with 430 (RFC 5626 §5.3). */
  readonly flow?: string;
  /** Aborted, the target counts as one that did not answer (408) unless it has a final response; an INVITE is cancelled. */
  readonly givenUp?: AbortSignal;
  /** The body of the copy for this target, in place of the request's. */
  readonly body?: Uint8Array | undefined;
  /** Changes the copy for this target before it is sent. */
  edit?(headers: Headers): void;
  /** Tried in turn when this target answers 430 or 408 or cannot be reached: the other flows of one instance (RFC 5626 §7). */
  readonly alternatives?: readonly ProxyTarget[];
}

export interface ProxyOptions {
  /** Groups are tried in order, the targets of one group at once (RFC 3261 §16.6). */
  readonly groups: readonly (readonly ProxyTarget[])[];
  readonly recordRoute?: boolean;
  /** Milliseconds of Timer C (RFC 3261 §16.6 step 11); at least 180,000. */
  readonly timerC?: number;
  /** Reason value for the CANCEL of the other branches after a 2xx; RFC 3326 "Call completed elsewhere" by default. */
  readonly cancelReason?: string;
  /** Sees every response before it is judged and may change the header fields of its copy. */
  onResponse?(response: SipResponse, target: ProxyTarget): void;
  /**
   * Asked with the best final response before it goes upstream: true withholds it, and the caller of `proxyRequest` answers the
   * request itself. Not asked for a 2xx to INVITE, whose dialog exists already, nor after a CANCEL. A rejection withholds nothing.
   */
  takesOver?(result: ProxyResult): boolean | Promise<boolean>;
}

/** What became of a proxied request. */
export interface ProxyResult {
  readonly status: number;
  /** The target whose response was forwarded, or withheld. */
  readonly target: ProxyTarget | undefined;
  readonly response: SipResponse | undefined;
}

export interface UasOptions {
  /** SDP or another body for the 2xx. */
  readonly body?: Uint8Array | string;
  readonly headers?: HeaderMap;
  /** 200 unless given, 202 to a REFER. */
  readonly status?: number;
  /**
   * Session-Expires to ask for in the 2xx to an INVITE that asks for none, in seconds (RFC 4028 §9); a client that cannot do session timers is
   * refreshed by us alone. None when absent.
   */
  readonly sessionExpires?: number | undefined;
  /** Of a REFER: seconds of the subscription that it implies (RFC 3515 §2.4.4). */
  readonly expires?: number;
  /** Of a SUBSCRIBE or REFER: the 2xx waits for it. What it rejects with is thrown, and no dialog is made. */
  beforeAnswer?(saved: SavedSubscription): Promise<void>;
}

/**
 * A dialog by SUBSCRIBE on the notifier's side as plain data: another process, or this server after a restart, goes on with it
 * ({@link SipStack.resumeSubscription}).
 */
export interface SavedSubscription {
  readonly callId: string;
  /** From of our requests, with our tag. */
  readonly local: string;
  /** To of our requests, with the peer's tag. */
  readonly remote: string;
  readonly routeSet: readonly string[];
  /** The peer's Contact. */
  readonly remoteTarget: string;
  /** Our Contact, when the dialog's user gave one. */
  readonly contact?: string | undefined;
  /** Event of the SUBSCRIBE. */
  readonly event: string;
  /** The way to a peer directly behind one of our flows. */
  readonly flow?: string | undefined;
  /** CSeq of our last request, or a higher number. */
  readonly localSequence: number;
  /** CSeq of the peer's last request. */
  readonly remoteSequence: number;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface UacOptions extends RequestOptions, ClientHooks {
  /** Session-Expires to ask for, in seconds (RFC 4028); none when absent. */
  readonly sessionExpires?: number;
  /** Gets each early dialog (RFC 3261 §12.1.2), before the provisional response that made it is told. */
  onEarlyDialog?(dialog: Dialog): void;
  /** Gives the body of the ACK when the INVITE had no offer and the 2xx makes one (RFC 3261 §13.2.1). */
  ackBody?(
    response: SipResponse,
  ):
    | { headers?: HeaderMap; body?: Uint8Array | string }
    | Promise<{ headers?: HeaderMap; body?: Uint8Array | string }>;
}

export type DialogEvent = 'ack' | 'destroy' | 'modify' | 'refresh' | 'request';

/** A dialog created by INVITE or SUBSCRIBE (RFC 3261 §12, RFC 6665 §4). */
export interface Dialog {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  readonly localUri: string;
  readonly remoteUri: string;
  /** The peer's Contact. */
  readonly remoteTarget: string;
  readonly routeSet: readonly string[];
  /** Who made it. */
  readonly role: 'uac' | 'uas';
  readonly state: 'early' | 'confirmed' | 'terminated';
  /** The request and response that made it; a notifier's dialog keeps the Event of its SUBSCRIBE alone. */
  readonly request: SipRequest;
  readonly response: SipResponse | undefined;
  /** Of a notifier's dialog, as it is now; of others undefined. */
  readonly saved: SavedSubscription | undefined;
  /** Sends a request inside the dialog and gives its final response. */
  send(options: { method: string; headers?: HeaderMap; body?: Uint8Array | string }): Promise<SipResponse>;
  /** re-INVITE with a new body; the ACK is sent by the stack. */
  modify(body: Uint8Array | string, headers?: HeaderMap): Promise<SipResponse>;
  /** BYE, or SUBSCRIBE with Expires 0, or NOTIFY terminated, as the dialog's kind and role ask. */
  destroy(headers?: HeaderMap): Promise<void>;
  /** Ends it here without a word to the peer: somebody else goes on with it. `onEnd` gets {@link LEFT}. */
  leave(): void;
  /**
   * Gets the requests of the peer inside the dialog other than ACK, BYE and an empty PRACK: re-INVITE, UPDATE, INFO, MESSAGE, NOTIFY, REFER...
   * The last listener set counts. Without one, a refresh that changes nothing, OPTIONS and an INFO without package get 200, an offer 488,
   * the others 501: nothing is accepted that nobody reads.
   */
  onRequest(listener: Handler): void;
  onAck(listener: (ack: SipRequest) => void): void;
  /** Called once, when the dialog has ended by either side or by a failure; `cause` is the request that ended it, or the reason in words. */
  onEnd(listener: (cause: SipRequest | string) => void): void;
}

/** Causes after which a dialog lives on for its peer: {@link Dialog.leave}, and the end of the stack. */
export const LEFT = 'left';
export const STACK_CLOSED = 'stack closed';

export interface B2buaOptions {
  /** Where the second leg goes. */
  readonly uri: string;
  readonly route?: readonly string[];
  readonly flow?: string;
  /** Changes the second leg's INVITE before it is sent; body and end-to-end header fields are already copied. */
  editRequest?(request: SipRequest): void;
  /** Changes a response on its way to the first leg. */
  editResponse?(response: SipResponse): void;
  /** Whether the caller of `createB2BUA` answers the first leg itself in place of a final response other than 2xx. */
  takesOver?(response: SipResponse): Promise<boolean>;
  /**
   * Changes a request inside a dialog before it crosses; a promise, if it gives one, is awaited. What it rejects with refuses the
   * request.
   */
  beforeCrossing?(request: SipRequest): Promise<void> | undefined;
  /**
   * Gives the body under which a message crosses, initial and in-dialog requests, ACK and PRACK included, and their responses;
   * a message without one is shown too. What it throws refuses the request that crosses. Called after the other edits.
   */
  crossBody?(message: SipRequest | SipResponse, toward: 'uas' | 'uac'): Uint8Array;
}

export interface Listener {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

/** Things a stack may be unable to do; asked at start, so that refusals are clean and documented. */
export interface StackAbilities {
  readonly name: string;
  /** Bodies may hold any octet. */
  readonly binaryBodies: boolean;
  /** Largest message that can be sent, in octets. */
  readonly maxMessageBytes: number;
  /** The largest header field with all its values, in octets, where that is limited. */
  readonly maxFieldBytes?: number;
  /** Requests can be sent over one chosen flow. */
  readonly flows: boolean;
}

export interface SipStack {
  readonly abilities: StackAbilities;
  /**
   * Handles requests of a method (all methods: `*`) outside dialogs the stack knows, requests of proxied dialogs and the ACK to a
   * 2xx of those included; an ACK can be forwarded and not be answered. The last one set for a method counts.
   */
  on(method: string, handler: Handler): void;
  /** Bound listeners, after start. */
  readonly listeners: readonly Listener[];
  /** True when that host and port are this server: its listeners, its domains, its configured aliases. */
  isLocal(host: string, port?: number): boolean;
  start(): Promise<void>;

  /** Sends a request and gives its final response; a timeout gives 408 and an unreachable peer 503, as RFC 3261 §8.1.3.1 says. */
  request(uri: string, options: RequestOptions & ClientHooks): Promise<SipResponse>;
  /**
   * Answers an INVITE, SUBSCRIBE or REFER with a 2xx and becomes the dialog's UAS. Resolves when the 2xx has been sent.
   * Rejects when the request was cancelled, or has been refused instead: 420 (Require), 422 (Session-Expires), 482 (merged).
   */
  createUAS(request: ServerRequest, response: ServerResponse, options?: UasOptions): Promise<Dialog>;
  /** Refuses an INVITE that {@link createUAS} would refuse with 420 or 422, before anything is done for it. @returns whether it did. */
  rejectInvite(request: ServerRequest, response: ServerResponse): boolean;
  /** Sends an INVITE or SUBSCRIBE and becomes the dialog's UAC. Rejects with {@link FinalResponseError} on a final response that is not 2xx. */
  createUAC(uri: string, options: UacOptions): Promise<Dialog>;
  /** Goes on with a notifier's dialog of another process, which sends nothing in it any more. */
  resumeSubscription(saved: SavedSubscription): Dialog;
  /** Joins the caller's leg to a second one; ends, re-INVITEs and in-dialog requests cross over. */
  createB2BUA(
    request: ServerRequest,
    response: ServerResponse,
    options: B2buaOptions,
  ): Promise<{ uas: Dialog; uac: Dialog }>;
  /** Forwards a request statefully (RFC 3261 §16) and sends the best response upstream. */
  proxyRequest(request: ServerRequest, response: ServerResponse, options: ProxyOptions): Promise<ProxyResult>;

  /** Called with each dialog by INVITE one of whose user agents is in this process, when its 2xx was sent or came. */
  onDialog(listener: (dialog: Dialog) => void): void;
  /** Called when a connection has gone, with its flow: bindings over it are dead (RFC 5626 §7). */
  onFlowClosed(listener: (flow: string) => void): void;
  /** Ends the connection of a flow, where the stack has it: what is queued is sent before. */
  closeFlow(flow: string): void;
  /** Undefined when the stack can send and receive, else why not, for `/readyz`. */
  trouble(): string | undefined;
  /** No new dialogs or transactions from outside (503 with Retry-After); resolves when the running ones are done or after `ms`. */
  drain(ms: number): Promise<void>;
  close(): Promise<void>;
}
