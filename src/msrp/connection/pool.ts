import type { Clock } from '../../base/clock.js';
import type { ParleyError } from '../../base/errors.js';
import { msrpError } from '../errors.js';
import { Connection, type RequestRouter } from './connection.js';
import { dial, type DialOptions, type DialTarget } from './dial.js';
import type { ConnectionLimits } from './limits.js';
import type { Wire } from './wire.js';

export interface PoolOptions {
  readonly clock: Clock;
  readonly router: RequestRouter;
  readonly limits: ConnectionLimits;
  readonly dial: Omit<DialOptions, 'clock'>;
  /** Connections of the node, made and accepted together. */
  readonly maxConnections: number;
  /** Sessions that share one connection before another is made. */
  readonly maxSessionsPerConnection: number;
  /** A connection ended. @param error why, unless in order. */
  closed(connection: Connection, error: ParleyError | undefined): void;
}

/** All connections of a node; those it made itself are shared by sessions with the same next hop (RFC 4975 §5.4). */
export class ConnectionPool {
  readonly #options: PoolOptions;
  /** Each with the key under which it can be shared, if we made it. */
  readonly #connections = new Map<Connection, string | undefined>();
  readonly #dialed = new Map<string, Connection>();
  readonly #dialing = new Map<string, Promise<Connection>>();
  #closing = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Takes over a connection that a peer made, or refuses it above the limit. */
  accept(wire: Wire): Connection | undefined {
    if (this.#closing || this.#connections.size >= this.#options.maxConnections) {
      wire.destroy();
      return undefined;
    }
    return this.#adopt(wire, undefined);
  }

  /**
   * A connection to the next hop: an existing one, or a new one.
   * @throws ParleyError `msrp-limit`, `msrp-connect-failed` or `msrp-fingerprint-mismatch`.
   */
  async to(target: DialTarget): Promise<Connection> {
    const key = [target.transport, target.secure, target.host, target.port, target.fingerprint].join(' ');
    const existing = this.#dialed.get(key);
    if (existing?.isOpen && existing.users < this.#options.maxSessionsPerConnection) return existing;
    const pending = this.#dialing.get(key);
    if (pending) return pending;
    if (this.#closing || this.#connections.size + this.#dialing.size >= this.#options.maxConnections)
      throw msrpError('msrp-limit', 'connections');
    const attempt = this.#connect(target, key).finally(() => this.#dialing.delete(key));
    this.#dialing.set(key, attempt);
    return attempt;
  }

  /** Ends all connections, after what waits in them. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.allSettled(this.#dialing.values());
    for (const connection of [...this.#connections.keys()]) connection.end();
  }

  /** Ends all connections now. */
  destroy(): void {
    for (const connection of [...this.#connections.keys()])
      connection.destroy(msrpError('msrp-connection-lost', 'the node closes'));
  }

  async #connect(target: DialTarget, key: string): Promise<Connection> {
    const { clock } = this.#options;
    const connection = this.#adopt(await dial(target, { ...this.#options.dial, clock }), key);
    this.#dialed.set(key, connection);
    return connection;
  }

  #adopt(wire: Wire, key: string | undefined): Connection {
    const { clock, router, limits } = this.#options;
    const connection = new Connection({
      wire,
      clock,
      router,
      limits,
      onClosed: (ended, error) => {
        this.#connections.delete(ended);
        if (key !== undefined && this.#dialed.get(key) === ended) this.#dialed.delete(key);
        this.#options.closed(ended, error);
      },
    });
    this.#connections.set(connection, key);
    return connection;
  }
}
