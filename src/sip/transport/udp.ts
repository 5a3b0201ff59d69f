import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP, isIPv6 } from 'node:net';
import { ParleyError } from '../../base/errors.js';
import { parseDatagram, type ParseLimits } from '../message/parse.js';
import type { Via } from '../message/via.js';
import type { Listener, Protocol } from '../stack.js';
import './errors.js';
import { defaultPort, hostPort, writeListener } from './listener-spec.js';
import type { Receiver, SendDone, Way } from './way.js';

/** Room for bursts: the usual 208 KiB hold about 90 requests, and more than fits is dropped by the kernel. */
const SOCKET_BUFFER_BYTES = 4 << 20;

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

/** One UDP socket: a listener that is also what requests are sent from, so that NATs see one pair of addresses. */
export class UdpTransport {
  #listener: Listener;
  #flowPrefix = '';
  readonly #socket: Socket;
  readonly #receive: Receiver;
  readonly #limits: ParseLimits;
  readonly #onError: (error: Error) => void;

  /** @param onError gets what befalls the socket itself; sends report to their own callback. */
  constructor(listener: Listener, limits: ParseLimits, receive: Receiver, onError: (error: Error) => void) {
    this.#listener = listener;
    this.#receive = receive;
    this.#limits = limits;
    this.#onError = onError;
    const family = isIPv6(listener.address) ? 6 : 4;
    this.#socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      ipv6Only: family === 6,
      recvBufferSize: SOCKET_BUFFER_BYTES,
      sendBufferSize: SOCKET_BUFFER_BYTES,
      // all addresses are numeric here; answering at once makes send() call sendmsg before it returns
      lookup: (host, _options, callback) => callback(null, host, family),
    });
  }

  /** The bound address, with its real port after {@link listen}. */
  get listener(): Listener {
    return this.#listener;
  }

  /** @throws ParleyError `sip-port-taken` or `sip-listen-failed`, naming the listener. */
  async listen(): Promise<void> {
    const socket = this.#socket;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        const code = error.code === 'EADDRINUSE' ? 'sip-port-taken' : 'sip-listen-failed';
        reject(new ParleyError(code, writeListener(this.#listener), { cause: error }));
      };
      socket.once('error', failed);
      socket.bind({ address: this.#listener.address, port: this.#listener.port, exclusive: true }, () => {
        socket.off('error', failed);
        resolve();
      });
    });
    this.#listener = { ...this.#listener, port: socket.address().port };
    this.#flowPrefix = `udp|${hostPort(this.#listener.address, this.#listener.port)}|`;
    socket.on('error', this.#onError);
    socket.on('message', (data, remote) => {
      this.#onDatagram(data, remote);
    });
  }

  /** The token of the flow to that peer. The same after a restart, as the pair of addresses is the flow (RFC 5626 §5.2). */
  flowTo(address: string, port: number): string {
    return this.#flowPrefix + hostPort(address, port);
  }

  /** The peer of a flow over this socket; undefined for any other flow. */
  remoteOf(flow: string): { address: string; port: number } | undefined {
    if (!flow.startsWith(this.#flowPrefix)) return undefined;
    const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(flow.slice(this.#flowPrefix.length));
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

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #onDatagram(data: Buffer, remote: RemoteInfo): void {
    this.#receive(parseDatagram(data, this.#limits), new UdpWay(this, remote));
  }
}
