import type { IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { checkServerIdentity, TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Trail } from '../../base/trail.js';
import type { Parsed } from '../message/parse.js';
import type { Via } from '../message/via.js';
import type { Protocol } from '../stack.js';
import type { NextHop } from '../transaction/layer.js';
import { connect } from './connect.js';
import type { Connection, ConnectionOwner, Ends } from './connection.js';
import { ConnectionTable, peerKey } from './connection-table.js';
import './errors.js';
import type { TransportLimits } from './limits.js';
import { defaultPort } from './listener-spec.js';
import { StreamConnection } from './stream-connection.js';
import type { TlsOptions } from './tls-options.js';
import { WebSocketConnection } from './websocket-connection.js';
import type { Receiver, SendDone } from './way.js';

export interface ConnectionsOptions {
  readonly clock: Clock;
  readonly trail: Trail;
  readonly limits: TransportLimits;
  readonly tls: TlsOptions | undefined;
  /** Named by flows over connections; a random one when absent. */
  readonly instance: string | undefined;
  readonly receive: Receiver;
  readonly flowClosed: (flow: string) => void;
}

/** Everything that happens over connections: accepting, opening, reusing and losing them. */
export class Connections implements ConnectionOwner {
  readonly #options: ConnectionsOptions;
  readonly #table: ConnectionTable;
  /** Bare connections, those in a handshake too. */
  readonly #sockets = new Set<Socket>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#table = new ConnectionTable(options.clock, options.limits, options.instance);
  }

  get size(): number {
    return this.#table.size;
  }

  now(): number {
    return this.#options.clock.now();
  }

  /** Counts a bare connection until it closes; one too many is destroyed. @returns whether it may stay. */
  readonly admit = (socket: Socket): boolean => {
    const address = socket.remoteAddress;
    const refusal = address === undefined ? undefined : this.#table.admit(address);
    if (address === undefined || refusal) {
      if (refusal) this.#note('sip.connection-refused', refusal.message);
      socket.destroy();
      return false;
    }
    this.#hold(socket, address);
    return true;
  };

  /** Takes over an admitted TCP connection, or a TLS one after its handshake. */
  accept(protocol: Protocol, socket: Socket): void {
    const ends = endsOf(protocol, socket);
    this.#table.add(
      new StreamConnection(socket, ends, this.#table.newFlow(protocol), this, this.#options.limits),
    );
  }

  /** Takes over an upgraded connection. */
  acceptWebSocket(protocol: Protocol, webSocket: WebSocket, request: IncomingMessage): void {
    const ends = endsOf(protocol, request.socket);
    this.#table.add(
      new WebSocketConnection(webSocket, ends, this.#table.newFlow(protocol), this, this.#options.limits),
    );
  }

  /** Sends over the flow that the hop names, else over a connection that leads there, else over a new one. */
  send(octets: Buffer, hop: NextHop, done: SendDone): void {
    const connection = hop.flow === undefined ? this.#reusable(hop) : this.#table.byFlow(hop.flow);
    if (connection) connection.send(octets, done);
    else if (hop.flow !== undefined) process.nextTick(done, new ParleyError('sip-flow-failed'));
    else this.#open(hop, octets, done);
  }

  /** The open connection of a flow. */
  byFlow(flow: string): Connection | undefined {
    return this.#table.byFlow(flow);
  }

  received(parsed: Parsed, connection: Connection): void {
    if (parsed.kind === 'request') this.#offerAlias(parsed.message.via, connection);
    this.#options.receive(parsed, connection);
  }

  closed(connection: Connection, error: Error | undefined): void {
    this.#table.remove(connection);
    if (error instanceof ParleyError) this.#note('sip.connection-closed', error.message);
    this.#options.flowClosed(connection.flow);
  }

  /** RFC 3261 §18.2.2: a new connection to where the request came from, at the port of its sent-by. */
  replyElsewhere(octets: Buffer, connection: Connection, via: Via, done: SendDone): void {
    const { protocol, address } = connection;
    const port = via.port ?? defaultPort(protocol);
    const serverName = isIP(via.host) === 0 && !via.host.startsWith('[') ? { serverName: via.host } : {};
    this.send(octets, { protocol, address, port, ...serverName }, done);
  }

  close(): void {
    this.#table.close();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Keeps an admitted connection until it closes. */
  #hold(socket: Socket, address: string): void {
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#table.release(address);
    });
  }

  #reusable(hop: NextHop): Connection | undefined {
    const { protocol, address, port, serverName } = hop;
    const own = this.#table.byPeer(peerKey(protocol, address, port, serverName));
    if (own?.open && own.endedAt === undefined) return own;
    const alias = protocol === 'tls' ? this.#table.byPeer(aliasKey(address, port)) : undefined;
    return alias && proves(alias, serverName ?? address) ? alias : undefined;
  }

  /** RFC 5923 §5: a peer whose certificate was verified may be called back over the connection it made. */
  #offerAlias(via: Via, connection: Connection): void {
    if (!via.params.has('alias') || !(connection instanceof StreamConnection)) return;
    if (!(connection.socket instanceof TLSSocket) || !connection.socket.authorized) return;
    this.#table.alias(connection, aliasKey(connection.address, via.port ?? defaultPort('tls')));
  }

  #open(hop: NextHop, octets: Buffer, done: SendDone): void {
    const { protocol, address, port, serverName } = hop;
    const refusal =
      protocol === 'tcp' || protocol === 'tls'
        ? this.#table.admit(address)
        : // RFC 7118 §5: a server cannot connect to a WebSocket client
          new ParleyError('sip-no-transport', `${protocol} to ${address}`);
    if (refusal) {
      process.nextTick(done, refusal);
      return;
    }
    const { clock, limits, tls } = this.#options;
    const socket = connect(hop, tls);
    const ends = { protocol, address, port, localAddress: '', localPort: 0 };
    const connection = new StreamConnection(socket, ends, this.#table.newFlow(protocol), this, limits);
    const patience = clock.after(limits.handshakeMs, () =>
      connection.destroy(new ParleyError('sip-connection-failed', `${address} did not answer in time`)),
    );
    socket.once(protocol === 'tls' ? 'secureConnect' : 'connect', () => {
      patience.cancel();
      connection.bound(socket.localAddress ?? '', socket.localPort ?? 0);
    });
    socket.once('close', () => patience.cancel());
    this.#hold(socket, address);
    connection.proven = true; // it is we who speak first
    this.#table.add(connection);
    this.#table.alias(connection, peerKey(protocol, address, port, serverName));
    connection.send(octets, done);
  }

  #note(code: string, detail: string): void {
    this.#options.trail.record({ code, outcome: 'refused', clause: 'RFC 3261 §18', detail });
  }
}

function aliasKey(address: string, port: number): string {
  return `alias ${peerKey('tls', address, port)}`;
}

/** Whether the peer's verified certificate is for that name or address (RFC 5922 §7.2). */
function proves(connection: Connection, identity: string): boolean {
  return (
    connection instanceof StreamConnection &&
    connection.socket instanceof TLSSocket &&
    checkServerIdentity(identity, connection.socket.getPeerCertificate()) === undefined
  );
}

function endsOf(protocol: Protocol, socket: Socket): Ends {
  return {
    protocol,
    address: socket.remoteAddress ?? '',
    port: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
  };
}
