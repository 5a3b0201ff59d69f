import { serialize } from '../message/serialize.js';
import type { SipRequest } from '../message/message.js';
import type { SendDone, Wire } from '../transport/way.js';
import type { NextHop } from './layer.js';

/** A request of ours on its way: octets, where they go, and how to send them again. */
export class Outbound {
  readonly request: SipRequest;
  readonly branch: string;
  readonly hop: NextHop;
  readonly octets: Buffer;
  readonly #transports: Wire;

  private constructor(transports: Wire, request: SipRequest, hop: NextHop, branch: string) {
    this.request = request;
    this.branch = branch;
    this.hop = hop;
    this.octets = serialize(request);
    this.#transports = transports;
  }

  /** Puts our Via on top of `request` and serializes it. */
  static start(transports: Wire, request: SipRequest, hop: NextHop, branch: string): Outbound {
    const { transport, sentBy } = transports.sentBy(hop);
    request.headers.prepend('Via', `SIP/2.0/${transport} ${sentBy};branch=${branch};rport`);
    return new Outbound(transports, request, hop, branch);
  }

  /** Another request with the same Via to the same place: an ACK or a CANCEL. */
  along(request: SipRequest): Outbound {
    return new Outbound(this.#transports, request, this.hop, this.branch);
  }

  get reliable(): boolean {
    return this.hop.protocol !== 'udp';
  }

  send(done: SendDone): void {
    this.#transports.send(this.octets, this.hop, done);
  }
}
