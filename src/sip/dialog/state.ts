import { parseAddress } from '../message/address.js';
import { Headers, type HeaderMap } from '../message/headers.js';
import { SipRequest, type SipMessage, type SipResponse } from '../message/message.js';
import { bodyBytes } from '../embedded/respond.js';

const direct: readonly string[] = [];

/**
 * The values of a dialog (RFC 3261 §12): what every request inside it is built from and checked against. Tags and URIs are read from
 * the addresses when asked for, which is seldom.
 */
export class DialogState {
  readonly callId: string;
  /** From of our requests, with our tag. */
  readonly local: string;
  /** To of our requests, with the peer's tag. */
  readonly remote: string;
  routeSet: readonly string[];
  /** The peer's Contact. */
  remoteTarget: string;
  localSequence: number;
  /** Undefined until the peer has sent a request. */
  remoteSequence: number | undefined;
  /** The way to a peer that sits directly behind one of our flows; used while the route set is empty. */
  readonly flow: string | undefined;

  constructor(values: {
    callId: string;
    local: string;
    remote: string;
    routeSet: readonly string[];
    remoteTarget: string;
    localSequence: number;
    remoteSequence: number | undefined;
    flow?: string | undefined;
  }) {
    this.callId = values.callId;
    this.local = values.local;
    this.remote = values.remote;
    this.routeSet = values.routeSet.length > 0 ? values.routeSet : direct;
    this.remoteTarget = values.remoteTarget;
    this.localSequence = values.localSequence;
    this.remoteSequence = values.remoteSequence;
    this.flow = values.flow;
  }

  /**
   * The dialog of a server (RFC 3261 §12.1.1): the request, and our response to it, which has the To tag.
   * @throws ParleyError when the request has no usable Contact.
   */
  static ofServer(request: SipRequest, response: SipResponse, flow: string | undefined): DialogState {
    return new DialogState({
      callId: request.callId,
      local: response.headers.get('To') ?? '',
      remote: request.headers.get('From') ?? '',
      routeSet: request.headers.list('Record-Route'),
      remoteTarget: contactOf(request) ?? request.from.uriText,
      localSequence: firstSequence(),
      remoteSequence: request.cseq.number,
      flow,
    });
  }

  /** The dialog of a client (RFC 3261 §12.1.2): our request, and the response with a To tag. */
  static ofClient(request: SipRequest, response: SipResponse, flow: string | undefined): DialogState {
    return new DialogState({
      callId: request.callId,
      local: request.headers.get('From') ?? '',
      remote: response.headers.get('To') ?? '',
      routeSet: response.headers.list('Record-Route').reverse(),
      remoteTarget: contactOf(response) ?? request.uri,
      localSequence: request.cseq.number,
      remoteSequence: undefined,
      flow,
    });
  }

  /** The dialog that a NOTIFY makes at the subscriber, before or instead of the 2xx to its SUBSCRIBE (RFC 6665 §4.4.1). */
  static ofNotify(subscribe: SipRequest, notify: SipRequest, flow: string | undefined): DialogState {
    return new DialogState({
      callId: subscribe.callId,
      local: subscribe.headers.get('From') ?? '',
      remote: notify.headers.get('From') ?? '',
      routeSet: notify.headers.list('Record-Route'),
      remoteTarget: contactOf(notify) ?? subscribe.uri,
      localSequence: subscribe.cseq.number,
      remoteSequence: undefined,
      flow,
    });
  }

  get localTag(): string {
    return tagOf(this.local);
  }

  get remoteTag(): string {
    return tagOf(this.remote);
  }

  get localUri(): string {
    return uriOf(this.local);
  }

  get remoteUri(): string {
    return uriOf(this.remote);
  }

  get key(): string {
    return dialogKey(this.callId, this.localTag, this.remoteTag);
  }

  /** Builds a request inside the dialog (RFC 3261 §12.2.1.1). ACK and CANCEL keep the number of their INVITE. */
  request(
    method: string,
    options: {
      headers?: HeaderMap | undefined;
      body?: Uint8Array | string | undefined;
      sequence?: number;
    } = {},
  ): SipRequest {
    const sequence = options.sequence ?? ++this.localSequence;
    const headers = new Headers();
    if (this.routeSet.length > 0) headers.append('Route', this.routeSet);
    headers.append('Max-Forwards', 70);
    headers.append('From', this.local);
    headers.append('To', this.remote);
    headers.append('Call-ID', this.callId);
    headers.append('CSeq', `${sequence} ${method}`);
    if (options.headers) for (const name in options.headers) setUnlessOwn(headers, name, options.headers);
    return new SipRequest(method, this.remoteTarget, headers, bodyBytes(options.body));
  }

  /** Target refresh (RFC 3261 §12.2): the Contact of a request or 2xx becomes the remote target. */
  refreshTarget(message: SipMessage): void {
    this.remoteTarget = contactOf(message) ?? this.remoteTarget;
  }
}

const own: ReadonlySet<string> = new Set(['route', 'from', 'to', 'call-id', 'cseq', 'via', 'content-length']);

function setUnlessOwn(headers: Headers, name: string, map: HeaderMap): void {
  const value = map[name];
  if (value !== undefined && !own.has(name.toLowerCase())) headers.set(name, value);
}

/** Joined, since a template would be kept with its parts, which take twice as much. */
export function dialogKey(callId: string, localTag: string, remoteTag: string): string {
  return [callId, localTag, remoteTag].join('\n');
}

const tagOf = (address: string): string => parseAddress(address, 'dialog').params.get('tag') ?? '';
const uriOf = (address: string): string => parseAddress(address, 'dialog').uriText;

function contactOf(message: SipMessage): string | undefined {
  return message.contacts[0]?.uriText;
}

/** RFC 3261 §8.1.1.5: below 2**31; low, so that it never gets there. */
function firstSequence(): number {
  return Math.trunc(Math.random() * 10_000);
}
