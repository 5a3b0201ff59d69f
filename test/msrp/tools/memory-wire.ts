import type { Wire, WireEvents } from '../../../src/msrp/connection/wire.js';

/** Octets in, octets out, and no socket: for what depends on the order of octets alone. */
export class MemoryWire implements Wire {
  readonly transport = 'tcp';
  readonly secure = true;
  readonly remote = '127.0.0.1:1';
  written = '';
  /** The socket is said to hold enough. */
  choked = false;
  paused = false;
  /** How our side ended it. */
  ending: 'end' | 'destroy' | undefined;
  #events: WireEvents | undefined;

  start(events: WireEvents): void {
    this.#events = events;
  }
  write(piece: string | Buffer): void {
    this.written += typeof piece === 'string' ? piece : piece.toString('latin1');
  }
  flush(): boolean {
    return !this.choked;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  peerFingerprint(): undefined {
    return undefined;
  }
  provesName(): boolean {
    return false;
  }
  end(): void {
    this.ending = 'end';
  }
  destroy(): void {
    this.ending = 'destroy';
  }

  push(octets: Buffer): void {
    this.#events!.octets(octets);
  }
  unchoke(): void {
    this.choked = false;
    this.#events!.drained();
  }
  close(): void {
    this.#events!.closed(undefined);
  }
}
