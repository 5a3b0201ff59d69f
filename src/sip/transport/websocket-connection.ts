import { isUtf8 } from 'node:buffer';
import type { RawData, WebSocket } from 'ws';
import { ParleyError } from '../../base/errors.js';
import { parseDatagram } from '../message/parse.js';
import { Connection, type ConnectionOwner, type Ends } from './connection.js';
import './errors.js';
import type { TransportLimits } from './limits.js';
import type { SendDone } from './way.js';

const PONG = Buffer.from('\r\n');
/** RFC 6455 §7.4.1: the peer broke the protocol. */
const POLICY_VIOLATION = 1008;
const GOING_AWAY = 1001;

/** A WebSocket connection: one SIP message a WebSocket message (RFC 7118 §5.1). */
export class WebSocketConnection extends Connection {
  readonly #socket: WebSocket;
  readonly #limits: TransportLimits;
  #error: Error | undefined;

  constructor(socket: WebSocket, ends: Ends, flow: string, owner: ConnectionOwner, limits: TransportLimits) {
    super(ends, flow, owner);
    this.#socket = socket;
    this.#limits = limits;
    socket.on('message', (data) => this.#onMessage(data));
    socket.on('ping', () => this.heard());
    socket.on('pong', () => this.heard());
    socket.on('error', (error) => (this.#error = error));
    socket.on('close', () => this.gone(this.#error));
  }

  /** The library holds at most one message, limited in size, and the idle time ends it. */
  get stalledSince(): undefined {
    return undefined;
  }

  send(octets: Buffer, done: SendDone): void {
    if (this.#socket.bufferedAmount + octets.length > this.#limits.sendQueueBytes) {
      const error = new ParleyError('sip-send-queue-full', `${this.address}:${this.port}`);
      this.destroy(error);
      process.nextTick(done, error);
      return;
    }
    // RFC 7118 §5.2: text frames are UTF-8, anything else goes in a binary one
    this.#socket.send(octets, { binary: !isUtf8(octets) }, done);
  }

  protected finish(): void {
    this.#socket.close(GOING_AWAY);
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.terminate();
  }

  #onMessage(raw: RawData): void {
    this.heard();
    const data = raw as Buffer; // `binaryType` is `nodebuffer`
    if (isKeepAlive(data)) {
      this.proven = true;
      if (data.length === 4) this.send(PONG, () => {});
      return;
    }
    const parsed = parseDatagram(data, this.#limits);
    this.owner.received(parsed, this);
    if (parsed.kind !== 'malformed') this.proven = true;
    else if (parsed.headers === undefined) this.#socket.close(POLICY_VIOLATION, 'not SIP');
  }
}

/** RFC 7118 §6: CRLF keep-alives may be used over WebSocket too. */
function isKeepAlive(data: Buffer): boolean {
  return (data.length === 2 || data.length === 4) && data[0] === 13 && data[1] === 10;
}
