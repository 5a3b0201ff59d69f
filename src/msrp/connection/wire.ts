import type { ParleyError } from '../../base/errors.js';

/** How octets reach a peer: the transport of the URI, and whether TLS is below it. */
export interface WireKind {
  readonly transport: 'tcp' | 'ws';
  readonly secure: boolean;
}

/** What a {@link Wire} tells its connection. */
export interface WireEvents {
  /** Octets in order; the buffer belongs to the receiver from now on. */
  octets(octets: Buffer): void;
  /** After a {@link Wire.flush} that returned false: there is room again. */
  drained(): void;
  /** The end, once. @param error why, unless both sides ended in order. */
  closed(error: ParleyError | undefined): void;
}

/** One established transport connection, as a source and a sink of octets. */
export interface Wire extends WireKind {
  /** Address and port of the peer, for logs. */
  readonly remote: string;
  /** Set before the first octet is awaited. */
  start(events: WireEvents): void;
  /**
   * Collects a piece; strings are Latin-1.
   * @param last true for the last piece of an MSRP message: WebSocket frames end there (RFC 7977).
   */
  write(piece: string | Buffer, last: boolean): void;
  /** Hands what was collected to the socket. @returns false when the socket holds enough; `drained` follows. */
  flush(): boolean;
  /** Stops reading, so that the peer's window closes. */
  pause(): void;
  resume(): void;
  /** Digest of the peer's certificate in the form of `a=fingerprint` (RFC 4572), undefined without one. */
  peerFingerprint(algorithm: string): string | undefined;
  /** Whether the peer's certificate comes from an authority that we know and bears this name (RFC 4976 §6.3). */
  provesName(host: string): boolean;
  /** Sends what is collected, then ends. */
  end(): void;
  destroy(): void;
}
