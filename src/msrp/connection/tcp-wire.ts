import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { checkServerIdentity, TLSSocket } from 'node:tls';
import { msrpError } from '../errors.js';
import { OutputBatch } from './output-batch.js';
import type { Wire, WireEvents } from './wire.js';

/** Silence after which the system asks whether the peer is still there. */
export const KEEP_ALIVE_MS = 60_000;

/** A {@link Wire} over a TCP or TLS socket that is connected. */
export class TcpWire implements Wire {
  readonly transport = 'tcp';
  readonly secure: boolean;
  readonly remote: string;
  readonly #socket: Socket;
  readonly #batch = new OutputBatch();

  constructor(socket: Socket) {
    this.#socket = socket;
    this.secure = socket instanceof TLSSocket;
    this.remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  start(events: WireEvents): void {
    let failure: Error | undefined;
    this.#socket
      .on('data', (octets: Buffer) => events.octets(octets))
      .on('drain', () => events.drained())
      .on('end', () => this.#socket.end())
      .on('error', (error) => (failure = error))
      .on('close', () =>
        events.closed(failure && msrpError('msrp-connection-lost', failure.message, { cause: failure })),
      );
    // whatever happened before there was a listener shows as a close that will not come again
    if (this.#socket.destroyed) queueMicrotask(() => events.closed(msrpError('msrp-connection-lost')));
  }

  write(piece: string | Buffer): void {
    this.#batch.add(piece);
  }

  flush(): boolean {
    if (this.#batch.octets > 0 && this.#socket.writable) {
      const buffers = this.#batch.take();
      if (buffers.length > 1) this.#socket.cork();
      for (const buffer of buffers) this.#socket.write(buffer);
      if (buffers.length > 1) this.#socket.uncork();
    }
    return !this.#socket.writableNeedDrain;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  peerFingerprint(algorithm: string): string | undefined {
    if (!(this.#socket instanceof TLSSocket)) return undefined;
    const certificate = this.#socket.getPeerX509Certificate();
    return certificate && fingerprintOf(certificate.raw, algorithm);
  }

  provesName(host: string): boolean {
    if (!(this.#socket instanceof TLSSocket) || !this.#socket.authorized) return false;
    return checkServerIdentity(host, this.#socket.getPeerCertificate()) === undefined;
  }

  end(): void {
    this.flush();
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** `AB:CD:…` over the DER form, or undefined for an algorithm that is not fit for it (RFC 8122 §5). */
export function fingerprintOf(der: Buffer, algorithm: string): string | undefined {
  const name = algorithm.toLowerCase().replace('-', '');
  if (!['sha1', 'sha256', 'sha384', 'sha512'].includes(name)) return undefined;
  const hex = createHash(name).update(der).digest('hex').toUpperCase();
  return hex.match(/../g)!.join(':');
}
