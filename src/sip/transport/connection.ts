import type { Parsed } from '../message/parse.js';
import type { Via } from '../message/via.js';
import type { Protocol } from '../stack.js';
import type { SendDone, Way } from './way.js';

/** The two ends of a connection. */
export interface Ends {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** What a connection tells the table that holds it. */
export interface ConnectionOwner {
  now(): number;
  received(parsed: Parsed, connection: Connection): void;
  /** Called once, when nothing can be sent or received any more. */
  closed(connection: Connection, error: Error | undefined): void;
  /** Sends a response whose connection has gone (RFC 3261 §18.2.2). */
  replyElsewhere(octets: Buffer, connection: Connection, via: Via, done: SendDone): void;
}

/** One connection of whatever protocol. It is its own way back, so a message from it makes no further object. */
export abstract class Connection implements Way {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  readonly flow: string;
  readonly openedAt: number;
  /** When octets last came, by the owner's clock. */
  receivedAt: number;
  /** True once a whole message or a keep-alive has come: this peer speaks SIP. */
  proven = false;
  protected readonly owner: ConnectionOwner;
  #localAddress: string;
  #localPort: number;
  #open = true;
  #endedAt: number | undefined;

  constructor(ends: Ends, flow: string, owner: ConnectionOwner) {
    this.protocol = ends.protocol;
    this.address = ends.address;
    this.port = ends.port;
    this.#localAddress = ends.localAddress;
    this.#localPort = ends.localPort;
    this.flow = flow;
    this.owner = owner;
    this.openedAt = this.receivedAt = owner.now();
  }

  get localAddress(): string {
    return this.#localAddress;
  }

  get localPort(): number {
    return this.#localPort;
  }

  /** For a connection of our own making: our end is known only once it stands. */
  bound(address: string, port: number): void {
    this.#localAddress = address;
    this.#localPort = port;
  }

  get open(): boolean {
    return this.#open;
  }

  abstract send(octets: Buffer, done: SendDone): void;

  /** Since when it waits for the rest of a message; undefined when it does not. */
  abstract get stalledSince(): number | undefined;

  /** When {@link end} was called first. */
  get endedAt(): number | undefined {
    return this.#endedAt;
  }

  /** Lets what is queued go out, then closes. */
  end(): void {
    if (this.#endedAt !== undefined) return;
    this.#endedAt = this.owner.now();
    this.finish();
  }

  /** Closes at once. */
  abstract destroy(error?: Error): void;

  reply(octets: Buffer, via: Via, done: SendDone): void {
    if (this.#open) this.send(octets, done);
    else this.owner.replyElsewhere(octets, this, via, done);
  }

  protected abstract finish(): void;

  /** For subclasses: something has come. */
  protected heard(): void {
    this.receivedAt = this.owner.now();
  }

  /** For subclasses: the connection has gone. */
  protected gone(error: Error | undefined): void {
    if (!this.#open) return;
    this.#open = false;
    this.owner.closed(this, error);
  }
}
