import type { Parsed } from '../message/parse.js';
import type { Via } from '../message/via.js';
import type { ReadingTaker } from './queue-meter.js';
import type { Source } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';

/**
 * Called, never before the call that sends has returned, when octets were handed to the network (nothing) or could
 * not be (why). Over UDP the first says nothing of arrival; when it becomes known afterwards that the peer is not
 * there, the error comes in a second call.
 */
export type SendDone = (error?: Error | null) => void;

/** A source that knows the way back: what the transports give with every message. */
export interface Way extends Source {
  /**
   * Sends a response the way RFC 3261 §18.2.2 and RFC 3581 §4 ask for: over the connection of the request,
   * or over UDP to where `via`, the topmost Via as it was received, says.
   */
  reply(octets: Buffer, via: Via, done: SendDone): void;
  /** Sends over exactly this flow (RFC 5626 §5.3), whatever any Via says. */
  send(octets: Buffer, done: SendDone): void;
}

/** Gets every message, malformed ones too. */
export type Receiver = (parsed: Parsed, way: Way) => void;

/** What goes into our Via for a next hop. */
export interface SentBy {
  readonly transport: string;
  /** `host:port`, an IPv6 address in brackets. */
  readonly sentBy: string;
}

/** The transports as the transaction layer sees them. */
export interface Wire {
  /** Gets every message. Set before the first can come. */
  onMessage: Receiver;
  /** Gets readings of how long messages wait before they are received. */
  onDelay: ReadingTaker;
  /** What our Via says towards that hop (RFC 3261 §18.1.1). */
  sentBy(hop: NextHop): SentBy;
  /** The hop over TCP that a request too long for UDP takes (RFC 3261 §18.1.1); undefined when the hop is good as it is. */
  streamFor(hop: NextHop, bytes: number): NextHop | undefined;
  /** That hop took no connection: for a while long requests go there over UDP at once. */
  streamFailed(hop: NextHop): void;
  /** Sends a request's octets to an address or over exactly one flow. */
  send(octets: Buffer, hop: NextHop, done: SendDone): void;
}
