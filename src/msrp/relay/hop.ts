import type { ParleyError } from '../../base/errors.js';
import type { Connection, ConnectionUser } from '../connection/connection.js';
import { Lane } from '../connection/lane.js';

/** Who waits for the answers of a next hop. */
export interface HopClient {
  /** No answer will come. */
  hopLost(): void;
}

/** The way from one URI of the relay to one next hop: a connection, perhaps still being made, and the queue to it. */
export class Hop implements ConnectionUser {
  readonly lane: Lane;
  /** Those that the next hop has not answered. */
  readonly clients = new Set<HopClient>();
  readonly #onLost: (error: ParleyError) => void;
  #connection: Connection | undefined;
  #waiting: ((connection: Connection | undefined) => void)[] = [];
  #closed = false;

  constructor(laneOctets: number, onLost: (error: ParleyError) => void) {
    this.lane = new Lane(laneOctets);
    this.#onLost = onLost;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Sends what waits, and from now on everything, over that connection. */
  use(connection: Connection): void {
    if (this.#closed || this.#connection) return;
    this.#connection = connection;
    connection.addUser(this);
    connection.carry(this.lane);
    this.#tell(connection);
  }

  /** Calls `then` once the connection is there, or with undefined when it will not be. */
  whenOpen(then: (connection: Connection | undefined) => void): void {
    if (this.#connection || this.#closed) then(this.#connection);
    else this.#waiting.push(then);
  }

  connectionLost(error: ParleyError): void {
    if (this.#closed) return;
    this.close();
    this.#onLost(error);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection?.removeUser(this);
    this.#connection = undefined;
    this.lane.close();
    for (const client of [...this.clients]) client.hopLost();
    this.#tell(undefined);
  }

  #tell(connection: Connection | undefined): void {
    for (const then of this.#waiting.splice(0)) then(connection);
  }
}
