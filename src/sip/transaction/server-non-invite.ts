import { serialize } from '../message/serialize.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import type { Via } from '../message/via.js';
import type { SendDone, Way } from '../transport/way.js';
import type { ServerTransaction } from './layer.js';

/** What a non-INVITE server transaction tells its layer. */
export interface NonInviteServerOwner {
  /**
   * There is a final response: over UDP it is kept for Timer J.
   * @returns its octets. @throws ParleyError `sip-bad-message`
   */
  answered(transaction: NonInviteServer, response: SipResponse): Buffer;
  readonly sent: SendDone;
}

/**
 * The non-INVITE server transaction (RFC 3261 §17.2.2) up to its final response: Trying and Proceeding. Completed
 * is the layer's {@link AnsweredRequests}, because there are hundreds of thousands of those.
 */
export class NonInviteServer implements ServerTransaction {
  readonly kind = 'non-invite';
  readonly request: SipRequest;
  readonly source: Way;
  readonly key: string;
  /** When the request came, milliseconds since the epoch. */
  readonly since: number;
  readonly #via: Via;
  readonly #owner: NonInviteServerOwner;
  #finalStatus: number | undefined;
  #provisional: Buffer | undefined;
  onCancel: undefined = undefined;
  onFailure: ((reason: 'transport' | 'no-ack') => void) | undefined = undefined;

  constructor(
    request: SipRequest,
    source: Way,
    via: Via,
    key: string,
    since: number,
    owner: NonInviteServerOwner,
  ) {
    this.request = request;
    this.source = source;
    this.key = key;
    this.since = since;
    this.#via = via;
    this.#owner = owner;
  }

  get finalStatus(): number | undefined {
    return this.#finalStatus;
  }

  respond(response: SipResponse): boolean {
    if (this.#finalStatus !== undefined) return false;
    let octets: Buffer;
    if (response.status < 200) octets = this.#provisional = serialize(response);
    else {
      octets = this.#owner.answered(this, response);
      this.#finalStatus = response.status;
    }
    this.source.reply(octets, this.#via, this.onFailure ? (error) => this.#sent(error) : this.#owner.sent);
    return true;
  }

  /** The client has given up: no response is sent any more, least of all a 408 (RFC 4320 §4.2). */
  expire(): void {
    this.#finalStatus = 408;
  }

  /** The request came again: nothing in Trying, the last provisional response in Proceeding. */
  retransmitted(way: Way): void {
    if (this.#provisional) way.reply(this.#provisional, this.#via, this.#owner.sent);
  }

  #sent(error: Error | null | undefined): void {
    this.#owner.sent(error);
    if (error) this.onFailure?.('transport');
  }
}
