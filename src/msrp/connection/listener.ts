import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { WebSocketServer } from 'ws';
import { msrpError } from '../errors.js';
import { MSRP_SUBPROTOCOL } from './dial.js';
import { KEEP_ALIVE_MS, TcpWire } from './tcp-wire.js';
import type { Wire, WireKind } from './wire.js';
import { WsWire } from './ws-wire.js';

const HANDSHAKE_MS = 10_000;

/** Where the node accepts connections. */
export interface ListenAddress extends WireKind {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** What peers are told instead, when we sit behind an address translation. */
  readonly advertise?: { readonly host: string; readonly port: number } | undefined;
}

export interface ListenerOptions {
  readonly tls?: { key?: string | Buffer; cert?: string | Buffer; ca?: string | Buffer } | undefined;
  readonly wsMessageOctets: number;
  /** Milliseconds that a TLS handshake may take. */
  readonly handshakeMs?: number;
  accept(wire: Wire): void;
  /** A connection attempt failed before it could carry MSRP. */
  failed(error: Error): void;
}

/** A bound address. */
export interface Listener {
  readonly kind: WireKind;
  /** Host and port for URIs, with the port that the system chose. */
  readonly host: string;
  readonly port: number;
  /** Accepts nothing more. Connections that were accepted stay. */
  close(): Promise<void>;
}

/** @throws ParleyError `msrp-port-taken`, naming the address, or `msrp-listen-failed`. */
export async function listen(address: ListenAddress, options: ListenerOptions): Promise<Listener> {
  if (address.secure && (!options.tls?.key || !options.tls.cert))
    throw msrpError('msrp-listen-failed', 'TLS without a certificate');
  const server = address.transport === 'ws' ? wsServer(address, options) : tcpServer(address, options);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EADDRINUSE' ? 'msrp-port-taken' : 'msrp-listen-failed';
      reject(msrpError(code, error.message, { cause: error }));
    });
    server.listen(address.port, address.host, resolve);
  });
  const bound = server.address() as AddressInfo;
  return {
    kind: { transport: address.transport, secure: address.secure },
    host: address.advertise?.host ?? bound.address,
    port: address.advertise?.port ?? bound.port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function tlsServerOptions(options: ListenerOptions): TlsOptions {
  // a client may show a certificate that only the fingerprint in its SDP vouches for (RFC 4975 §14.4)
  return {
    ...options.tls,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    handshakeTimeout: options.handshakeMs ?? HANDSHAKE_MS,
  };
}

function tcpServer(address: ListenAddress, options: ListenerOptions): Server {
  const accept = (socket: Socket): void => options.accept(new TcpWire(socket));
  return address.secure
    ? createTlsServer(tlsServerOptions(options), accept).on('tlsClientError', (error, socket) => {
        socket.destroy(); // after its handshake timeout the library leaves it open
        options.failed(error);
      })
    : createTcpServer({ highWaterMark: 131_072 }, accept);
}

function wsServer(address: ListenAddress, options: ListenerOptions): Server {
  const server = address.secure ? createHttpsServer(tlsServerOptions(options)) : createHttpServer();
  // nothing but WebSocket lives here
  server.on('request', (_request, response) => response.writeHead(426, { Upgrade: 'websocket' }).end());
  const sockets = new WebSocketServer({
    server,
    maxPayload: options.wsMessageOctets,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(MSRP_SUBPROTOCOL) ? MSRP_SUBPROTOCOL : false),
    verifyClient: ({ req }, decide) => {
      const offered = String(req.headers['sec-websocket-protocol'] ?? '').split(',');
      decide(
        offered.some((name) => name.trim() === MSRP_SUBPROTOCOL),
        400,
      );
    },
  });
  sockets.on('connection', (socket, request) => {
    const { remoteAddress = '?', remotePort = 0 } = request.socket;
    request.socket.setKeepAlive(true, KEEP_ALIVE_MS);
    options.accept(new WsWire(socket, address.secure, `${remoteAddress}:${remotePort}`));
  });
  // the library closes these itself
  server.on('tlsClientError', (error: Error) => options.failed(error));
  sockets.on('wsClientError', (error) => options.failed(error));
  return server;
}
