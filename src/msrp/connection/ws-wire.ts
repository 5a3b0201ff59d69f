import type { WebSocket } from 'ws';
import { msrpError } from '../errors.js';
import { OutputBatch } from './output-batch.js';
import type { Wire, WireEvents } from './wire.js';

/** Octets waiting in the socket above which a flush says enough. */
const HIGH_WATER = 131_072;
/** A message is sent in fragments of about this size, so that a long chunk is not collected first. */
const FRAGMENT_OCTETS = 65_536;

/**
 * A {@link Wire} over a WebSocket with the subprotocol `msrp` (RFC 7977): every MSRP message is one WebSocket
 * message, binary, since bodies are octets.
 */
export class WsWire implements Wire {
  readonly transport = 'ws';
  readonly secure: boolean;
  readonly remote: string;
  readonly #socket: WebSocket;
  readonly #batch = new OutputBatch();
  #events: WireEvents | undefined;
  #full = false;

  constructor(socket: WebSocket, secure: boolean, remote: string) {
    this.#socket = socket;
    this.secure = secure;
    this.remote = remote;
    socket.binaryType = 'nodebuffer';
  }

  start(events: WireEvents): void {
    this.#events = events;
    let failure: Error | undefined;
    this.#socket
      .on('message', (data: Buffer) => events.octets(data))
      .on('error', (error) => (failure = error))
      .on('close', () =>
        events.closed(failure && msrpError('msrp-connection-lost', failure.message, { cause: failure })),
      );
  }

  write(piece: string | Buffer, last: boolean): void {
    this.#batch.add(piece);
    if (last || this.#batch.octets >= FRAGMENT_OCTETS) this.#send(last);
  }

  flush(): boolean {
    // a fragment is sent only with its successor or its end, unless the sender has stopped in the middle
    if (this.#batch.octets > 0) this.#send(false);
    this.#full = this.#socket.bufferedAmount > HIGH_WATER;
    return !this.#full;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  peerFingerprint(): string | undefined {
    return undefined;
  }

  provesName(): boolean {
    return false;
  }

  end(): void {
    this.flush();
    this.#socket.close(1000);
  }

  destroy(): void {
    this.#socket.terminate();
  }

  #send(fin: boolean): void {
    const buffers = this.#batch.take();
    const whole = buffers.length === 1 ? buffers[0]! : Buffer.concat(buffers);
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(whole, { binary: true, fin }, () => {
      if (!this.#full || this.#socket.bufferedAmount > HIGH_WATER / 2) return;
      this.#full = false;
      this.#events?.drained();
    });
  }
}
