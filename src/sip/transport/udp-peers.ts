import type { RemoteInfo, Socket } from 'node:dgram';
import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Listener } from '../stack.js';
import './errors.js';
import { hostPort } from './listener-spec.js';
import { createUdpSocket } from './udp-socket.js';
import type { SendDone } from './way.js';

/** A peer that was sent nothing for so long may lose its socket to another. */
const IDLE_MS = 60_000;
/** Sends to one peer whose fate an ICMP error can still tell. */
const REMEMBERED_SENDS = 256;

/**
 * Sockets connected to the servers that requests are sent to. They share the listener's port, so peers see no
 * difference, but a connected socket is told when a peer's host answers "port unreachable": a dead server is known
 * at once and not after 64·T1 (RFC 3261 §18.4), and the next one is tried.
 */
export class UdpPeers {
  readonly #listener: Listener;
  readonly #capacity: number;
  readonly #clock: Clock;
  readonly #onDatagram: (data: Buffer, remote: RemoteInfo) => void;
  /** Least recently used first. */
  readonly #peers = new Map<string, UdpPeer>();

  /** @param capacity sockets at most. */
  constructor(
    listener: Listener,
    capacity: number,
    clock: Clock,
    onDatagram: (data: Buffer, remote: RemoteInfo) => void,
  ) {
    this.#listener = listener;
    this.#capacity = capacity;
    this.#clock = clock;
    this.#onDatagram = onDatagram;
  }

  /**
   * Sends a request. `done` is called once more, with an error, when the peer turns out to be unreachable.
   * @returns false when there is no socket left for that peer; nothing is sent then.
   */
  send(octets: Buffer, address: string, port: number, done: SendDone): boolean {
    const key = hostPort(address, port);
    let peer = this.#peers.get(key);
    if (peer) this.#peers.delete(key);
    else if (this.#hasRoom()) peer = this.#open(key, address, port);
    else return false;
    this.#peers.set(key, peer);
    peer.usedAt = this.#clock.now();
    peer.send(octets, done);
    return true;
  }

  close(): void {
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
  }

  /** Makes room if the least recently used peer has been idle for long; opening sockets all the time costs more than they give. */
  #hasRoom(): boolean {
    if (this.#peers.size < this.#capacity) return true;
    for (const [key, oldest] of this.#peers) {
      if (this.#clock.now() - oldest.usedAt < IDLE_MS) return false;
      this.#peers.delete(key);
      oldest.close();
      return true;
    }
    return false;
  }

  #open(key: string, address: string, port: number): UdpPeer {
    return new UdpPeer(this.#listener, address, port, this.#onDatagram, () => this.#peers.delete(key));
  }
}

class UdpPeer {
  usedAt = 0;
  readonly #socket: Socket;
  readonly #onBroken: () => void;
  #closed = false;
  /** What waits for the socket to be connected. */
  #waiting: { readonly octets: Buffer; readonly done: SendDone }[] | undefined = [];
  /** Who sent since the peer was last heard. */
  #unheard: SendDone[] = [];

  constructor(
    listener: Listener,
    address: string,
    port: number,
    onDatagram: (data: Buffer, remote: RemoteInfo) => void,
    onBroken: () => void,
  ) {
    this.#onBroken = onBroken;
    this.#socket = createUdpSocket(listener.address, true);
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.once('connect', () => this.#connected());
    this.#socket.on('message', (data, remote) => {
      this.#unheard = [];
      onDatagram(data, remote);
    });
    this.#socket.bind({ address: listener.address, port: listener.port, exclusive: true }, () => {
      if (!this.#closed) this.#socket.connect(port, address);
    });
  }

  send(octets: Buffer, done: SendDone): void {
    if (this.#waiting) this.#waiting.push({ octets, done });
    else {
      if (this.#unheard.length < REMEMBERED_SENDS) this.#unheard.push(done);
      this.#socket.send(octets, done);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.#failed(new ParleyError('sip-connection-failed', 'closed'));
  }

  #connected(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const { octets, done } of waiting) this.send(octets, done);
  }

  #failed(error: Error): void {
    const unheard = this.#unheard;
    this.#unheard = [];
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = [];
      for (const { done } of waiting) done(error);
      this.#onBroken();
      this.close();
    }
    for (const done of unheard) done(error);
  }
}
