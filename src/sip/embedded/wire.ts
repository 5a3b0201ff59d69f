import type { SipUri } from '../message/uri.js';
import type { Listener, Protocol } from '../stack.js';
import type { NextHop, TransactionLayer } from '../transaction/layer.js';

/** Our side of a hop: what goes into Contact, Record-Route and their like. */
export interface LocalEnd {
  readonly protocol: Protocol;
  /** Host as peers reach it: an address, IPv6 in brackets, or a configured name. */
  readonly host: string;
  readonly port: number;
}

/** What the embedded stack stands on: transports, RFC 3263 resolution and transactions, put together. */
export interface Wire {
  readonly transactions: TransactionLayer;
  /** Bound listeners, after start. */
  readonly listeners: readonly Listener[];
  start(): Promise<void>;
  close(): Promise<void>;
  /**
   * Where a request to that URI may be sent, best first (RFC 3263 §4). Given at once when nothing has to be
   * looked up. Empty when there is nowhere. `secure` asks for TLS whatever the URI's scheme (RFC 3261 §16.6 step 7).
   */
  resolve(uri: SipUri, secure?: boolean): readonly NextHop[] | Promise<readonly NextHop[]>;
  /** The hop of a flow, or undefined when the flow is gone or was never ours. */
  hopOfFlow(flow: string): NextHop | undefined;
  /** The listener that a request to that hop is seen to come from. */
  localEnd(hop: NextHop): LocalEnd;
  onFlowClosed: (flow: string) => void;
  /** Ends the connection of a flow; absent where connections are somebody else's. */
  closeFlow?(flow: string): void;
  /** Set by the user where listeners can come after the start; called when {@link listeners} has grown. */
  onListeners?: () => void;
  /** Has new requests go elsewhere, where something in front can be told so; what belongs to those under way still comes. */
  refrain?(): Promise<void>;
  /** Undefined when the wire can send and receive, else why not. */
  trouble(): string | undefined;
}
