import type { RemoteInfo, Socket } from 'node:dgram';
import type { Clock } from '../../base/clock.js';
import { endpoint } from '../../base/endpoint.js';
import { ParleyError } from '../../base/errors.js';
import type { Listener } from '../stack.js';
import './errors.js';
import { reachable } from './listener-spec.js';
import { createUdpSocket } from './udp-socket.js';
import type { SendDone } from './way.js';

/** A peer that was sent nothing for so long may lose its socket to another. */
const IDLE_MS = 60_000;
/** Nobody sends from there (RFC 863). */
const DISCARD_PORT = 9;
/** Sends to one peer whose fate an ICMP error can still tell. */
const REMEMBERED_SENDS = 256;

/** Errors that say of the peer, not of what was sent, that it is not there. */
const GONE: ReadonlySet<string> = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN']);

/**
 * Sockets connected to the servers that requests are sent to. They share the listener's port, so peers see no
 * difference, but a connected socket is told when a peer's host answers "port unreachable": a dead server is known
 * at once and not after 64·T1 (RFC 3261 §18.4), and the next one is tried. A peer that has been heard is alive and goes
 * back to the listener's own socket: there its traffic stands in the queue whose delay is measured.
 */
export class UdpPeers {
  readonly #listener: Listener;
  readonly #capacity: number;
  readonly #clock: Clock;
  readonly #onDatagram: (data: Buffer, remote: RemoteInfo) => void;
  /** Least recently used first. */
  readonly #peers = new Map<string, UdpPeer>();
  /** Those that give back what they hold and are about to close. */
  readonly #retired = new Set<UdpPeer>();

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
    const key = endpoint(address, port);
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
    for (const peer of [...this.#peers.values(), ...this.#retired]) peer.close();
    this.#peers.clear();
    this.#retired.clear();
  }

  /** Makes room if the least recently used peer has been idle for long; opening sockets all the time costs more than they give. */
  #hasRoom(): boolean {
    if (this.#peers.size < this.#capacity) return true;
    for (const [key, oldest] of this.#peers) {
      if (this.#clock.now() - oldest.usedAt < IDLE_MS) return false;
      this.#peers.delete(key);
      this.#retire(oldest);
      return true;
    }
    return false;
  }

  #open(key: string, address: string, port: number): UdpPeer {
    const peer = new UdpPeer(this.#listener, address, port, {
      broken: () => this.#peers.delete(key),
      received: (data, remote) => {
        if (this.#peers.get(key) === peer) {
          this.#peers.delete(key);
          this.#retire(peer);
        }
        this.#onDatagram(data, remote);
      },
    });
    return peer;
  }

  /** What is in the socket's queue would be lost with it, so it is read to its end when nothing can come any more. */
  #retire(peer: UdpPeer): void {
    this.#retired.add(peer);
    peer.turnAway(() => {
      whenRead(peer, () => {
        this.#retired.delete(peer);
        peer.close();
      });
    });
  }
}

/**
 * Calls back when what has arrived was read: between two immediates the event loop polls once, and takes no more than 32 datagrams
 * from a socket each time.
 */
function whenRead(peer: UdpPeer, callback: () => void): void {
  const before = peer.datagrams;
  setImmediate(() =>
    setImmediate(() => {
      if (peer.datagrams === before) callback();
      else whenRead(peer, callback);
    }),
  );
}

interface UdpPeerOwner {
  /** The socket could not be set up. */
  broken(): void;
  received(data: Buffer, remote: RemoteInfo): void;
}

class UdpPeer {
  usedAt = 0;
  /** How many came. */
  datagrams = 0;
  readonly #listener: Listener;
  readonly #socket: Socket;
  readonly #owner: UdpPeerOwner;
  #closed = false;
  /** What waits for the socket to be connected. */
  #waiting: { readonly octets: Buffer; readonly done: SendDone }[] | undefined = [];
  /** Who sent since the peer was last heard. */
  #unheard: SendDone[] = [];

  constructor(listener: Listener, address: string, port: number, owner: UdpPeerOwner) {
    this.#listener = listener;
    this.#owner = owner;
    this.#socket = createUdpSocket(listener.address, true);
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.once('connect', () => this.#connected());
    this.#socket.on('message', (data, remote) => {
      this.#unheard = [];
      this.datagrams++;
      owner.received(data, remote);
    });
    this.#socket.bind({ address: listener.address, port: listener.port, exclusive: true }, () => {
      if (!this.#closed) this.#socket.connect(port, address);
    });
  }

  send(octets: Buffer, done: SendDone): void {
    if (this.#waiting) this.#waiting.push({ octets, done });
    else {
      if (this.#unheard.length < REMEMBERED_SENDS) this.#unheard.push(done);
      this.#socket.send(octets, (error) => this.#sent(error, done));
    }
  }

  /**
   * Connects the socket to nobody, so that the listener gets what the peer sends from now on. (A socket that closes right
   * after its last poll loses what comes in between.)
   * @param done nothing new can come; what came before may still have to be read.
   */
  turnAway(done: () => void): void {
    this.#socket.once('error', done);
    // one that is not connected yet is closed as it is: nobody knows of it
    if (this.#waiting) return done();
    this.#socket.disconnect();
    this.#socket.connect(DISCARD_PORT, reachable(this.#listener.address), done);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.#failed(new ParleyError('sip-connection-failed', 'closed'));
  }

  /** The kernel tells of an ICMP error once, to whatever is done next with the socket: to a send that came after those that it answers. */
  #sent(error: Error | null, done: SendDone): void {
    const remembered = this.#unheard.includes(done);
    const gone = error && 'code' in error && GONE.has(String(error.code));
    if (gone) this.#failed(error);
    if (!gone || !remembered) done(error);
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
      this.#owner.broken();
      this.close();
    }
    for (const done of unheard) done(error);
  }
}
