import type { Clock, Timer } from '../../base/clock.js';
import type { ParleyError } from '../../base/errors.js';
import type { Connection, ConnectionUser } from '../connection/connection.js';
import { msrpError } from '../errors.js';
import { parseMsrpUri, type MsrpUri } from '../uri.js';
import { Hop } from './hop.js';
import type { RelayLimits } from './limits.js';

/** What a lease needs of its relay. */
export interface LeaseHost {
  readonly clock: Clock;
  readonly limits: RelayLimits;
  /** A connection to a next hop. @throws ParleyError */
  connect(next: MsrpUri): Promise<Connection>;
  /** The lease has ended. */
  ended(lease: Lease, why: 'expired' | 'lost' | 'closed'): void;
  /** A next hop cannot be reached, or no longer. */
  unreachable(lease: Lease, next: string, error: ParleyError): void;
}

/**
 * A URI that AUTH gave to a client, for a time (RFC 4976 §6.3). It is valid only with the connection on which the AUTH came: what
 * comes over that one goes out to the peer, what comes over others goes in to the client. One for a client behind another relay is
 * valid with every connection that the certificate proves to be that relay's, and outlives each.
 */
export class Lease implements ConnectionUser {
  readonly uri: MsrpUri;
  readonly user: string;
  readonly #connection: Connection;
  /** The relay that the client is behind. */
  readonly #relay: MsrpUri | undefined;
  #inward: Hop;
  readonly #host: LeaseHost;
  readonly #timer: Timer;
  /** By the URI of the next hop as written. */
  readonly #outward = new Map<string, Hop>();
  #ended = false;

  constructor(
    host: LeaseHost,
    parts: {
      uri: MsrpUri;
      user: string;
      connection: Connection;
      expires: number;
      relay?: MsrpUri | undefined;
    },
  ) {
    this.#host = host;
    this.uri = parts.uri;
    this.user = parts.user;
    this.#connection = parts.connection;
    this.#relay = parts.relay;
    this.#inward = this.#towardClient();
    this.#inward.use(parts.connection);
    if (!this.#relay) parts.connection.addUser(this);
    this.#timer = host.clock.after(parts.expires * 1000, () => this.end('expired'));
  }

  /** The way to the client; to its relay a new connection is made when the last one has gone. */
  get inward(): Hop {
    const relay = this.#relay;
    if (!relay || this.#ended || !this.#inward.isClosed) return this.#inward;
    const hop = (this.#inward = this.#towardClient());
    this.#host.connect(relay).then(
      (connection) => hop.use(connection),
      (error: ParleyError) => hop.connectionLost(error),
    );
    return hop;
  }

  /** Whether what comes over a connection is from the client, or from its relay. */
  isClient(connection: Connection): boolean {
    return (
      connection === this.#connection ||
      (this.#relay !== undefined && connection.wire.provesName(this.#relay.host))
    );
  }

  /**
   * The way to a next hop of what the client sends.
   * @param next its URI.
   * @returns undefined when there are too many.
   * @throws ParleyError `msrp-uri-malformed`.
   */
  outward(next: string): Hop | undefined {
    const known = this.#outward.get(next);
    if (known && !known.isClosed) return known;
    const uri = parseMsrpUri(next);
    if (uri.port === undefined) throw msrpError('msrp-uri-malformed', 'no port');
    const hop = this.#add(next);
    if (!hop) return undefined;
    this.#host.connect(uri).then(
      (connection) => hop.use(connection),
      (error: ParleyError) => hop.connectionLost(error),
    );
    return hop;
  }

  /** A peer has connected to us: it is reached over its own connection (RFC 4976 §3, existing connections first). */
  peerIs(previous: string, source: Connection): void {
    const known = this.#outward.get(previous);
    if (!known || known.isClosed) this.#add(previous)?.use(source);
  }

  connectionLost(): void {
    this.end('lost');
  }

  end(why: 'expired' | 'lost' | 'closed'): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.cancel();
    this.#connection.removeUser(this);
    this.#inward.close();
    for (const hop of this.#outward.values()) hop.close();
    this.#outward.clear();
    this.#host.ended(this, why);
  }

  #towardClient(): Hop {
    return new Hop(this.#host.limits.laneOctets, (error) => {
      if (this.#relay) this.#host.unreachable(this, this.#relay.text, error);
    });
  }

  #add(next: string): Hop | undefined {
    const { laneOctets, hops } = this.#host.limits;
    if (this.#ended || this.#outward.size >= hops) return undefined;
    const hop = new Hop(laneOctets, (error) => {
      if (this.#outward.get(next) === hop) this.#outward.delete(next);
      this.#host.unreachable(this, next, error);
    });
    this.#outward.set(next, hop);
    return hop;
  }
}
