import type { Socket } from 'node:net';
import { ParleyError } from '../../base/errors.js';
import { StreamFramer } from '../message/framer.js';
import { Connection, type ConnectionOwner, type Ends } from './connection.js';
import './errors.js';
import type { TransportLimits } from './limits.js';
import type { SendDone } from './way.js';

const PONG = Buffer.from('\r\n');

/** A TCP or TLS connection: messages framed by Content-Length (RFC 3261 §18.3). */
export class StreamConnection extends Connection {
  readonly socket: Socket;
  readonly #framer: StreamFramer;
  readonly #sendQueueBytes: number;
  #error: Error | undefined;
  #stalledSince: number | undefined;

  /** @param socket connected, or still connecting: what is sent meanwhile waits in it. */
  constructor(socket: Socket, ends: Ends, flow: string, owner: ConnectionOwner, limits: TransportLimits) {
    super(ends, flow, owner);
    this.socket = socket;
    this.#framer = new StreamFramer(limits);
    this.#sendQueueBytes = limits.sendQueueBytes;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => (this.#error = error));
    socket.on('close', () => this.gone(this.#error));
  }

  get stalledSince(): number | undefined {
    return this.#stalledSince;
  }

  send(octets: Buffer, done: SendDone): void {
    if (this.socket.writableLength + octets.length > this.#sendQueueBytes) {
      const error = new ParleyError('sip-send-queue-full', `${this.address}:${this.port}`);
      this.destroy(error);
      process.nextTick(done, error);
      return;
    }
    this.socket.write(octets, done);
  }

  protected finish(): void {
    this.socket.end();
  }

  destroy(error?: Error): void {
    this.socket.destroy(error);
  }

  #onData(chunk: Buffer): void {
    this.heard();
    const frames = this.#framer.push(chunk);
    if (this.#framer.pendingBytes === 0) this.#stalledSince = undefined;
    else if (frames.length > 0 || this.#stalledSince === undefined) this.#stalledSince = this.receivedAt;
    for (const frame of frames) {
      switch (frame.kind) {
        case 'ping':
          this.proven = true;
          this.send(PONG, ignore); // RFC 5626 §4.4.1
          break;
        case 'pong':
          break;
        case 'malformed':
          this.owner.received(frame, this);
          if (frame.close) this.end();
          break;
        case 'request':
        case 'response':
          this.proven = true;
          this.owner.received(frame, this);
          break;
      }
    }
  }
}

/** A pong that cannot be sent means a connection that is closing, which is told by its own event. */
const ignore = (): void => {};
