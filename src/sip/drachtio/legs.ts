import type { SipMessage } from '../message/message.js';
import type { AdminLink } from './admin-link.js';

/** A dialog that the server keeps: what requests inside it are sent by. */
export interface Leg {
  readonly link: AdminLink;
  /** `<Call-ID>;from-tag=<tag of the From of the request that made it>`. */
  readonly dialog: string;
  /** Of the request that made it. */
  readonly method: string;
  /** Requests that wait for the ACK of the 2xx: one sent before it makes the server drop both. Undefined once it has gone out. */
  beforeAck?: (() => void)[] | undefined;
}

/** The callee's side of a relayed request that makes a dialog. */
export interface FarSide {
  /** Our From tag towards the callee: the server tells dialogs apart by Call-ID and From tag only. */
  readonly tag: string;
  /** CSeq number towards the callee: by Call-ID and that alone the server knows a 2xx that it has seen before. */
  readonly cseq: number;
  /** The callee's tag and Contact, once it has answered. */
  toTag: string | undefined;
  contact: string | undefined;
  /** Our own Record-Route values of the request as it was forwarded, topmost first. */
  readonly marks: readonly string[];
  readonly relay: Relay;
}

/** A request making a dialog that was forwarded: the server has one dialog with the caller and one with each callee. */
export interface Relay {
  readonly link: AdminLink;
  readonly callId: string;
  readonly callerTag: string;
  readonly callerContact: string | undefined;
  /** The To tag that the caller knows: the first that went to it, whichever callee has answered in the end. */
  nearTag: string | undefined;
  readonly sides: FarSide[];
  /** The side whose response went to the caller last. */
  current: FarSide | undefined;
}

/** Calls remembered at most; the oldest go first. Those that end are taken out long before. */
const MAX_CALLS = 200_000;

interface Call {
  readonly legs: Map<string, Leg>;
  readonly relays: Relay[];
}

/**
 * The dialogs that drachtio-servers keep for us, by Call-ID. A server changes tags, route set and remote target of a
 * request inside a dialog to those of its own bookkeeping, so that a relayed dialog needs both of its sides here.
 */
export class Legs {
  readonly #calls = new Map<string, Call>();

  get size(): number {
    return this.#calls.size;
  }

  has(callId: string): boolean {
    return this.#calls.has(callId);
  }

  /** Notes the dialog that requests with those tags (ours, theirs) belong to. */
  add(callId: string, localTag: string, remoteTag: string, leg: Leg): void {
    this.#call(callId).legs.set(`${localTag}\n${remoteTag}`, leg);
  }

  /** The dialog that a request of ours belongs to. */
  find(request: SipMessage): Leg | undefined {
    const call = this.#calls.get(request.callId);
    return call?.legs.get(`${request.fromTag ?? ''}\n${request.toTag ?? ''}`);
  }

  addRelay(relay: Relay): void {
    this.#call(relay.callId).relays.push(relay);
  }

  /** The relay of requests with that From tag. */
  relay(callId: string, callerTag: string): Relay | undefined {
    return this.#calls.get(callId)?.relays.find((relay) => relay.callerTag === callerTag);
  }

  /** The side of a relay that we present ourselves to a callee by. */
  side(callId: string, tag: string): FarSide | undefined {
    for (const { sides } of this.#calls.get(callId)?.relays ?? [])
      for (const side of sides) if (side.tag === tag) return side;
    return undefined;
  }

  end(callId: string): void {
    this.#calls.delete(callId);
  }

  /** One callee of a relay is out; a call of its caller with another goes on. */
  endSide(side: FarSide): void {
    const { callId, callerTag, sides } = side.relay;
    if (sides.every((one) => one === side || one.toTag === undefined)) {
      this.end(callId);
      return;
    }
    sides.splice(sides.indexOf(side), 1);
    this.#calls.get(callId)?.legs.delete(`${callerTag}\n${side.toTag ?? ''}`);
  }

  /** A request of ours that makes a dialog was refused: what its provisional responses began is over. */
  refused({ callId, fromTag }: SipMessage): void {
    const call = this.#calls.get(callId);
    if (!call || call.relays.length > 0) return;
    for (const tags of call.legs.keys()) if (tags.startsWith(`${fromTag ?? ''}\n`)) call.legs.delete(tags);
    if (call.legs.size === 0) this.#calls.delete(callId);
  }

  /** A subscription has ended; a call that it was part of goes on. */
  endSubscription(callId: string): void {
    const call = this.#calls.get(callId);
    if (call && [...call.legs.values()].every(({ method }) => method === 'SUBSCRIBE')) this.end(callId);
  }

  /** The server of those dialogs is gone, and they with it. */
  endAll(link: AdminLink): void {
    for (const [callId, { legs, relays }] of this.#calls)
      if ([...legs.values()].some((leg) => leg.link === link) || relays.some((relay) => relay.link === link))
        this.#calls.delete(callId);
  }

  #call(callId: string): Call {
    let call = this.#calls.get(callId);
    if (call) return call;
    call = { legs: new Map(), relays: [] };
    this.#calls.set(callId, call);
    if (this.#calls.size > MAX_CALLS) this.#calls.delete(this.#calls.keys().next().value ?? '');
    return call;
  }
}
