import type { RemoteInfo, Socket } from 'node:dgram';
import { isIP } from 'node:net';
import type { Clock } from '../../base/clock.js';
import { endpoint } from '../../base/endpoint.js';
import { parseDatagram } from '../message/parse.js';
import type { Via } from '../message/via.js';
import type { Listener, Protocol } from '../stack.js';
import type { TransportLimits } from './limits.js';
import { HeardPeers } from './heard-peers.js';
import { defaultPort, reachable } from './listener-spec.js';
import { answerStun, isStun } from './stun.js';
import { PROBE_BYTES, type QueueMeter } from './queue-meter.js';
import { UdpPeers } from './udp-peers.js';
import { bindShared } from './udp-socket.js';
import type { Receiver, SendDone, Way } from './way.js';

/** The pair of addresses that a datagram came over. */
class UdpWay implements Way {
  readonly protocol: Protocol = 'udp';
  readonly #transport: UdpTransport;
  readonly #remote: RemoteInfo;

  constructor(transport: UdpTransport, remote: RemoteInfo) {
    this.#transport = transport;
    this.#remote = remote;
  }

  get address(): string {
    return this.#remote.address;
  }

  get port(): number {
    return this.#remote.port;
  }

  get localAddress(): string {
    return this.#transport.listener.address;
  }

  get localPort(): number {
    return this.#transport.listener.port;
  }

  get flow(): string {
    return this.#transport.flowTo(this.#remote.address, this.#remote.port);
  }

  send(octets: Buffer, done: SendDone): void {
    this.#transport.send(octets, this.#remote.address, this.#remote.port, done);
  }

  reply(octets: Buffer, via: Via, done: SendDone): void {
    const maddr = via.params.get('maddr');
    const address = maddr && isIP(maddr) ? maddr : this.#remote.address;
    const port = via.params.has('rport') ? this.#remote.port : (via.port ?? defaultPort('udp'));
    this.#transport.send(octets, address, port, done);
  }
}

export interface UdpOptions {
  readonly clock: Clock;
  readonly limits: TransportLimits;
  readonly receive: Receiver;
  readonly meter: QueueMeter;
  /** Gets what befalls a socket itself; sends report to their own callback. */
  readonly onError: (error: Error) => void;
}

/** A UDP listener, which is also what requests are sent from, so that NATs see one pair of addresses. */
export class UdpTransport {
  readonly listener: Listener;
  readonly #socket: Socket;
  readonly #options: UdpOptions;
  readonly #flowPrefix: string;
  readonly #peers: UdpPeers;
  readonly #heard = new HeardPeers();
  readonly #probed: (data: Buffer) => void;

  private constructor(listener: Listener, socket: Socket, options: UdpOptions) {
    this.listener = listener;
    this.#socket = socket;
    this.#options = options;
    this.#flowPrefix = `udp|${endpoint(listener.address, listener.port)}|`;
    const receive = (data: Buffer, remote: RemoteInfo): void => this.#onDatagram(data, remote);
    this.#peers = new UdpPeers(listener, options.limits.udpPeers, options.clock, receive);
    this.#probed = options.meter.watch({ sendToSelf: (octets) => this.#sendToSelf(octets) });
    socket.on('error', options.onError);
    socket.on('message', receive);
  }

  /** @throws ParleyError `sip-port-taken` or `sip-listen-failed`, naming the listener. */
  static async listen(listener: Listener, options: UdpOptions): Promise<UdpTransport> {
    const socket = await bindShared(listener);
    return new UdpTransport({ ...listener, port: socket.address().port }, socket, options);
  }

  /** The token of the flow to that peer. The same after a restart, as the pair of addresses is the flow (RFC 5626 §5.2). */
  flowTo(address: string, port: number): string {
    return this.#flowPrefix + endpoint(address, port);
  }

  /** The peer of a flow over this socket; undefined for any other flow. */
  remoteOf(flow: string): { address: string; port: number } | undefined {
    if (!flow.startsWith(this.#flowPrefix)) return undefined;
    const match = /^(?:\[([0-9A-Fa-f:.%a-z]+)\]|([0-9.]+)):(\d{1,5})$/.exec(
      flow.slice(this.#flowPrefix.length),
    );
    const address = match?.[1] ?? match?.[2];
    return address === undefined ? undefined : { address, port: Number(match![3]) };
  }

  send(octets: Buffer, address: string, port: number, done: SendDone): void {
    try {
      // without a callback a failed sendmsg would be dropped in silence
      this.#socket.send(octets, port, address, done);
    } catch (error) {
      // a port of 0 in a Via, or a socket that is closed
      process.nextTick(done, error);
    }
  }

  /** Sends a request to a server. If it was not heard lately, an ICMP error will tell that it is not there. */
  sendRequest(octets: Buffer, address: string, port: number, done: SendDone): void {
    const alive = port === 0 || this.#heard.has(address, port, this.#options.clock.now());
    if (alive || !this.#peers.send(octets, address, port, done)) this.send(octets, address, port, done);
  }

  async close(): Promise<void> {
    this.#peers.close();
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #onDatagram(data: Buffer, remote: RemoteInfo): void {
    this.#heard.note(remote);
    if (data.length <= PROBE_BYTES) this.#onShort(data, remote);
    else if (isStun(data)) this.#onStun(data, remote);
    else this.#options.receive(parseDatagram(data, this.#options.limits), new UdpWay(this, remote));
  }

  /** No message is that short: keep-alives of phones, our own probes. */
  #onShort(data: Buffer, remote: RemoteInfo): void {
    if (data.length === PROBE_BYTES && remote.port === this.listener.port) this.#probed(data);
  }

  #sendToSelf(octets: Buffer): void {
    const { address, port } = this.listener;
    this.send(octets, reachable(address), port, ignore);
  }

  #onStun(data: Buffer, remote: RemoteInfo): void {
    const answer = answerStun(data, remote.address, remote.port);
    if (answer) this.send(answer, remote.address, remote.port, ignore);
  }
}

/** What keeps alive or probes is sent again anyway. */
const ignore = (): void => {};
