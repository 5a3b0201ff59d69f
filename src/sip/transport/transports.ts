import { lookup } from 'node:dns/promises';
import type { Server as HttpServer } from 'node:http';
import { isIP, isIPv6, type Server } from 'node:net';
import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { Listener, Protocol } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';
import { Connections } from './connections.js';
import './errors.js';
import { defaultTransportLimits, type TransportLimits } from './limits.js';
import { writeListener } from './listener-spec.js';
import { LocalEnds, type LocalEnd } from './local-ends.js';
import { NoStream } from './no-stream.js';
import { QueueMeter, type ReadingTaker } from './queue-meter.js';
import { bindServer, closeServer, tcpServer, tlsServer } from './stream-listener.js';
import type { TlsOptions } from './tls-options.js';
import { UdpTransport } from './udp.js';
import type { Receiver, SendDone, SentBy, Wire } from './way.js';
import { webSocketServer, WebSocketUpgrades } from './websocket-server.js';

export interface TransportOptions {
  readonly listeners: readonly Listener[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly trail: Trail;
  readonly limits?: Partial<TransportLimits>;
  /** Needed for `tls` and `wss` listeners. */
  readonly tls?: TlsOptions;
  /** `https://example.org` and the like: whose pages may connect by WebSocket, besides those of the same host; all when absent. */
  readonly origins?: readonly string[];
  /** Host name or address (IPv6 in brackets) that peers are told instead of the listener's address. */
  readonly advertise?: string;
  /** Tells the flows of this process from those of other nodes and of an earlier life; random when absent. */
  readonly instance?: string;
}

/** All transports of one stack: listeners, connections, flows. */
export class Transports implements Wire {
  onMessage: Receiver = () => {};
  onDelay: ReadingTaker = () => false;
  readonly limits: TransportLimits;
  readonly #meter = new QueueMeter(
    () => performance.now(),
    (delay) => this.onDelay(delay),
  );
  readonly #options: TransportOptions;
  readonly #connections: Connections;
  readonly #noStream = new NoStream();
  readonly #flowListeners = new Set<(flow: string) => void>();
  readonly #udp: UdpTransport[] = [];
  readonly #servers: Server[] = [];
  #listeners: Listener[] = [];
  #trouble: string | undefined = 'the listeners are not bound';
  #ends = new LocalEnds([], undefined);

  constructor(options: TransportOptions) {
    this.#options = options;
    this.limits = { ...defaultTransportLimits, ...options.limits };
    this.#connections = new Connections({
      clock: options.clock,
      trail: options.trail,
      limits: this.limits,
      tls: options.tls,
      instance: options.instance,
      receive: this.#receive,
      flowClosed: (flow) => this.#flowClosed(flow),
    });
  }

  /** Bound listeners, after start, in the order in which they were asked for. */
  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /** Connections open or being set up. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Why nothing can be sent or received; undefined when all is well. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Whether requests can be sent over that protocol and IP version without a flow. */
  canSend(protocol: Protocol, family: 4 | 6): boolean {
    // RFC 7118 §5: a server cannot connect to a WebSocket client
    if (protocol === 'ws' || protocol === 'wss') return false;
    return this.#listeners.some(
      (listener) => isIP(listener.address) === family && (protocol !== 'udp' || listener.protocol === 'udp'),
    );
  }

  /** @throws ParleyError `sip-port-taken`, `sip-listen-failed`, `sip-listener-bad`; nothing is left bound then. */
  async start(): Promise<void> {
    const bound = await Promise.allSettled(this.#options.listeners.map((listener) => this.#listen(listener)));
    const listeners: Listener[] = [];
    for (const result of bound) {
      if (result.status === 'fulfilled') listeners.push(result.value);
      else {
        await this.close();
        throw result.reason;
      }
    }
    this.#listeners = listeners;
    this.#trouble = undefined;
    this.#ends = new LocalEnds(listeners, this.#options.advertise);
  }

  /** Stops listening, lets connections send what they have queued, and closes them. */
  async close(): Promise<void> {
    this.#trouble = 'the listeners are closed';
    this.#meter.close();
    const closed = Promise.all(this.#servers.splice(0).map(closeServer));
    this.#connections.close();
    const patience = setTimeout(() => this.#connections.destroy(), CLOSE_PATIENCE_MS);
    await closed;
    clearTimeout(patience);
    this.#connections.destroy();
    await Promise.all(this.#udp.splice(0).map((transport) => transport.close()));
  }

  /** Serves SIP over WebSocket on an HTTP server that others use too, at one path (RFC 7118 §4). */
  attachWebSocket(server: HttpServer, path = '/sip', protocol: 'ws' | 'wss' = 'ws'): void {
    const upgrades = new WebSocketUpgrades(this.limits, this.#options.origins, (webSocket, request) => {
      if (this.#connections.admit(request.socket))
        this.#connections.acceptWebSocket(protocol, webSocket, request);
    });
    upgrades.attach(server, path);
  }

  /** @returns a function that ends the listening. */
  onFlowClosed(listener: (flow: string) => void): () => void {
    this.#flowListeners.add(listener);
    return () => this.#flowListeners.delete(listener);
  }

  /** Ends a connection by its flow, after what it has queued. */
  closeFlow(flow: string): void {
    this.#connections.byFlow(flow)?.end();
  }

  /** The hop that leads over a flow, or undefined when the flow is gone or was never ours (RFC 5626 §5.3). */
  hopOfFlow(flow: string): NextHop | undefined {
    const connection = this.#connections.byFlow(flow);
    if (connection?.open) {
      const { protocol, address, port } = connection;
      return { protocol, address, port, flow };
    }
    for (const transport of this.#udp) {
      const remote = transport.remoteOf(flow);
      if (remote) return { protocol: 'udp', ...remote, flow };
    }
    return undefined;
  }

  /** The listener that a request to that hop is seen to come from. */
  localEnd(hop: NextHop): LocalEnd | undefined {
    return this.#ends.towards(hop);
  }

  sentBy(hop: NextHop): SentBy {
    const end = this.localEnd(hop);
    const sentBy = end ? `${end.host}:${end.port}` : 'invalid.invalid';
    return { transport: hop.protocol.toUpperCase(), sentBy };
  }

  send(octets: Buffer, hop: NextHop, done: SendDone): void {
    if (hop.protocol !== 'udp') {
      this.#connections.send(octets, hop, done);
      return;
    }
    const transport = this.#udpFor(hop);
    if (!transport) {
      const code = hop.flow === undefined ? 'sip-no-transport' : 'sip-flow-failed';
      process.nextTick(done, new ParleyError(code, hop.address));
    } else if (hop.flow === undefined) transport.sendRequest(octets, hop.address, hop.port, done);
    else transport.send(octets, hop.address, hop.port, done);
  }

  streamFor(hop: NextHop, bytes: number): NextHop | undefined {
    if (hop.protocol !== 'udp' || hop.flow !== undefined || bytes <= this.limits.udpRequestBytes)
      return undefined;
    if (this.#noStream.has(hop.address, hop.port, this.#options.clock.now())) return undefined;
    return { ...hop, protocol: 'tcp' };
  }

  streamFailed({ address, port }: NextHop): void {
    this.#noStream.note(address, port, this.#options.clock.now());
  }

  readonly #receive: Receiver = (parsed, way) => {
    this.#meter.touch();
    this.onMessage(parsed, way);
  };

  #udpFor(hop: NextHop): UdpTransport | undefined {
    const { flow } = hop;
    if (flow !== undefined) return this.#udp.find((transport) => transport.remoteOf(flow) !== undefined);
    const six = isIPv6(hop.address);
    return this.#udp.find((transport) => isIPv6(transport.listener.address) === six);
  }

  #flowClosed(flow: string): void {
    for (const listener of this.#flowListeners) listener(flow);
  }

  async #listen(asked: Listener): Promise<Listener> {
    const listener = await numeric(asked);
    if (listener.protocol === 'udp') {
      const transport = await UdpTransport.listen(listener, {
        clock: this.#options.clock,
        limits: this.limits,
        meter: this.#meter,
        receive: this.#receive,
        onError: (error) =>
          this.#options.log.error({ err: error, listener: writeListener(listener) }, 'UDP socket'),
      });
      this.#udp.push(transport);
      return transport.listener;
    }
    const server = this.#serverFor(listener, listener.protocol);
    const bound = await bindServer(server, listener);
    this.#servers.push(server);
    server.on('error', (error) =>
      this.#options.log.error({ err: error, listener: writeListener(listener) }, 'SIP listener'),
    );
    return bound;
  }

  #serverFor(listener: Listener, protocol: Exclude<Protocol, 'udp'>): Server {
    const { tls, trail } = this.#options;
    const connections = this.#connections;
    if ((protocol === 'tls' || protocol === 'wss') && !tls)
      throw new ParleyError('sip-listener-bad', `${writeListener(listener)} needs a certificate and its key`);
    if (protocol === 'tcp')
      return tcpServer(connections.admit, (socket) => connections.accept('tcp', socket));
    if (protocol === 'tls')
      return tlsServer(
        tls!,
        this.limits,
        connections.admit,
        (socket) => connections.accept('tls', socket),
        (error) =>
          trail.record({
            code: 'sip.handshake-failed',
            outcome: 'refused',
            clause: 'RFC 3261 §26.3.1',
            detail: error.message,
          }),
      );
    const upgrades = new WebSocketUpgrades(this.limits, this.#options.origins, (webSocket, request) =>
      connections.acceptWebSocket(protocol, webSocket, request),
    );
    return webSocketServer(protocol === 'wss' ? tls : undefined, this.limits, upgrades, connections.admit);
  }
}

/** How long peers may take to read what is queued for them when we close. */
const CLOSE_PATIENCE_MS = 1_000;

async function numeric(listener: Listener): Promise<Listener> {
  if (isIP(listener.address) !== 0) return listener;
  try {
    return { ...listener, address: (await lookup(listener.address)).address };
  } catch (error) {
    throw new ParleyError('sip-listener-bad', `${writeListener(listener)} has no address`, { cause: error });
  }
}
