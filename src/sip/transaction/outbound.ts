import { serialize } from '../message/serialize.js';
import type { SipRequest } from '../message/message.js';
import type { SendDone, Wire } from '../transport/way.js';
import type { NextHop } from './layer.js';

/** A request of ours on its way: octets, where they go, and how to send them again. */
export class Outbound {
  readonly request: SipRequest;
  readonly branch: string;
  readonly #wire: Wire;
  #hop: NextHop;
  #octets: Buffer;
  /** The hop over UDP that was left because of the size of the request. */
  #left: NextHop | undefined;

  private constructor(wire: Wire, request: SipRequest, hop: NextHop, branch: string) {
    this.request = request;
    this.branch = branch;
    this.#hop = hop;
    this.#octets = serialize(request);
    this.#wire = wire;
  }

  /** Puts our Via on top of `request` and serializes it; one too long for UDP goes over TCP (RFC 3261 §18.1.1). */
  static start(wire: Wire, request: SipRequest, hop: NextHop, branch: string): Outbound {
    request.headers.prepend('Via', viaTowards(wire, hop, branch));
    const outbound = new Outbound(wire, request, hop, branch);
    const stream = wire.streamFor(hop, outbound.#octets.length);
    if (stream) {
      outbound.#moveTo(stream);
      outbound.#left = hop;
    }
    return outbound;
  }

  /** Another request with the same Via to the same place: an ACK or a CANCEL. */
  along(request: SipRequest): Outbound {
    return new Outbound(this.#wire, request, this.#hop, this.branch);
  }

  get hop(): NextHop {
    return this.#hop;
  }

  get reliable(): boolean {
    return this.#hop.protocol !== 'udp';
  }

  send(done: SendDone): void {
    this.#wire.send(this.#octets, this.#hop, done);
  }

  /**
   * RFC 3261 §18.1.1: a peer that takes no TCP connection gets the long request over UDP after all.
   * @returns whether there is that way; it must be sent again then.
   */
  fallBack(): boolean {
    if (!this.#left) return false;
    this.#wire.streamFailed(this.#left);
    this.#moveTo(this.#left);
    this.#left = undefined;
    return true;
  }

  #moveTo(hop: NextHop): void {
    this.request.headers.replaceFirst('Via', viaTowards(this.#wire, hop, this.branch));
    this.#hop = hop;
    this.#octets = serialize(this.request);
  }
}

function viaTowards(wire: Wire, hop: NextHop, branch: string): string {
  const { transport, sentBy } = wire.sentBy(hop);
  // RFC 3581 §3; RFC 5923 §4 lets a TLS server call us back over the connection that we made
  const extra = hop.protocol === 'udp' ? ';rport' : hop.protocol === 'tls' ? ';alias' : '';
  return `SIP/2.0/${transport} ${sentBy};branch=${branch}${extra}`;
}
