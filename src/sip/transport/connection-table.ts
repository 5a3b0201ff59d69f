import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../../base/clock.js';
import { endpoint } from '../../base/endpoint.js';
import { ParleyError } from '../../base/errors.js';
import type { Connection } from './connection.js';
import './errors.js';
import type { TransportLimits } from './limits.js';
import type { Protocol } from '../stack.js';

/** Names the far end of a connection for reuse (RFC 3261 §18, RFC 5923). */
export function peerKey(protocol: Protocol, address: string, port: number, serverName = ''): string {
  return `${protocol} ${endpoint(address, port)} ${serverName}`;
}

/** All connections: found by flow and by peer, counted, and closed when they idle or stall. */
export class ConnectionTable {
  readonly #clock: Clock;
  readonly #limits: TransportLimits;
  readonly #flows = new Map<string, Connection>();
  readonly #peers = new Map<string, Connection>();
  readonly #peerKeys = new Map<Connection, string[]>();
  readonly #perAddress = new Map<string, number>();
  /** Tells flows of this process from those of an earlier one that may be in the store. */
  readonly #instance: string;
  #admitted = 0;
  #serial = 0;
  #sweep: Timer | undefined;

  constructor(
    clock: Clock,
    limits: TransportLimits,
    instance: string = randomBytes(9).toString('base64url'),
  ) {
    this.#instance = instance;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Connections open or being set up. */
  get size(): number {
    return this.#admitted;
  }

  newFlow(protocol: Protocol): string {
    return `${protocol}|${this.#instance}|${(this.#serial++).toString(36)}`;
  }

  /** Takes one of the places for a connection with that address; give it back with {@link release}. */
  admit(address: string): ParleyError | undefined {
    const used = this.#perAddress.get(address) ?? 0;
    if (this.#admitted >= this.#limits.connections) return new ParleyError('sip-connection-limit');
    if (used >= this.#limits.connectionsPerAddress)
      return new ParleyError('sip-connection-limit', `with ${address}`);
    this.#admitted++;
    this.#perAddress.set(address, used + 1);
    return undefined;
  }

  release(address: string): void {
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    this.#admitted--;
    if (left > 0) this.#perAddress.set(address, left);
    else this.#perAddress.delete(address);
  }

  add(connection: Connection): void {
    this.#flows.set(connection.flow, connection);
    if (!this.#sweep) this.#scheduleSweep();
  }

  /** Lets requests to that peer go over this connection. A newer one takes the place of an older. */
  alias(connection: Connection, key: string): void {
    this.#peers.set(key, connection);
    const keys = this.#peerKeys.get(connection);
    if (!keys) this.#peerKeys.set(connection, [key]);
    else if (!keys.includes(key)) keys.push(key);
  }

  remove(connection: Connection): void {
    this.#flows.delete(connection.flow);
    for (const key of this.#peerKeys.get(connection) ?? [])
      if (this.#peers.get(key) === connection) this.#peers.delete(key);
    this.#peerKeys.delete(connection);
  }

  byFlow(flow: string): Connection | undefined {
    return this.#flows.get(flow);
  }

  byPeer(key: string): Connection | undefined {
    return this.#peers.get(key);
  }

  /** Ends all connections after what they have queued, and forgets what waits. */
  close(): void {
    this.#sweep?.cancel();
    for (const connection of this.#flows.values()) connection.end();
  }

  #scheduleSweep(): void {
    const { idleMs, stallMs } = this.#limits;
    this.#sweep = this.#clock.after(Math.min(idleMs, stallMs) / 4, () => {
      this.#sweep = undefined;
      this.#closeIdle();
      if (this.#flows.size > 0) this.#scheduleSweep();
    });
  }

  #closeIdle(): void {
    const now = this.#clock.now();
    for (const connection of this.#flows.values()) {
      if (now - connection.receivedAt >= this.#limits.idleMs) connection.end();
      else if (this.#isStuck(connection, now))
        connection.destroy(new ParleyError('sip-connection-failed', 'nothing whole was received in time'));
    }
  }

  #isStuck(connection: Connection, now: number): boolean {
    const { endedAt, stalledSince, proven, openedAt } = connection;
    const since = endedAt ?? stalledSince ?? (proven ? undefined : openedAt);
    return since !== undefined && now - since >= this.#limits.stallMs;
  }
}
