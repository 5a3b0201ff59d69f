import { defaultFramerLimits, type FramerLimits } from '../message/framer.js';

/** Bounds on what peers can make the transports hold. */
export interface TransportLimits extends FramerLimits {
  /** Octets of a request above which UDP gives way to TCP: a path MTU of 1500 less 200 (RFC 3261 §18.1.1). */
  readonly udpRequestBytes: number;
  /** Servers over UDP that a socket of their own tells of ICMP errors. */
  readonly udpPeers: number;
  /** Connections at once, over all protocols, both directions. */
  readonly connections: number;
  /** Connections at once with one address. */
  readonly connectionsPerAddress: number;
  /** Milliseconds without anything received after which a connection is closed. */
  readonly idleMs: number;
  /** Milliseconds until a connection must be set up, the TLS and WebSocket handshakes included. */
  readonly handshakeMs: number;
  /** Milliseconds until the first message must have come, and any message begun must be whole. */
  readonly stallMs: number;
  /** Octets that may wait to be read by one peer; a slower reader is closed. */
  readonly sendQueueBytes: number;
}

export const defaultTransportLimits: TransportLimits = {
  ...defaultFramerLimits,
  udpRequestBytes: 1300,
  udpPeers: 256,
  connections: 20_000,
  connectionsPerAddress: 5_000,
  idleMs: 3_600_000,
  handshakeMs: 10_000,
  stallMs: 30_000,
  sendQueueBytes: 4 << 20,
};
