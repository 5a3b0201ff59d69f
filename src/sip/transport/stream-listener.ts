import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { isIPv6 } from 'node:net';
import { ParleyError } from '../../base/errors.js';
import type { Listener } from '../stack.js';
import './errors.js';
import type { TransportLimits } from './limits.js';
import { writeListener } from './listener-spec.js';
import type { TlsOptions } from './tls-options.js';

/** Decides whether one more connection may come. A refused one is closed before it has cost anything. */
export type Admission = (socket: Socket) => boolean;

/** Binds a server. @throws ParleyError `sip-port-taken` or `sip-listen-failed`, naming the listener. */
export async function bindServer(server: Server, listener: Listener): Promise<Listener> {
  const { address, port } = listener;
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const code = error.code === 'EADDRINUSE' ? 'sip-port-taken' : 'sip-listen-failed';
      reject(new ParleyError(code, writeListener(listener), { cause: error }));
    };
    server.once('error', failed);
    server.listen({ host: address, port, ipv6Only: isIPv6(address), exclusive: true }, () => {
      server.off('error', failed);
      resolve();
    });
  });
  return { ...listener, port: (server.address() as AddressInfo).port };
}

/** Stops taking connections. Those that run are the connection table's. */
export async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

/** A server for TCP connections; `accept` gets each that was admitted. */
export function tcpServer(admit: Admission, accept: (socket: Socket) => void): Server {
  return createServer((socket) => {
    if (admit(socket)) accept(socket);
  });
}

/**
 * A server for TLS connections; `accept` gets each whose handshake is done. Peers are asked for a certificate when there are
 * authorities to judge it by; they need not have one.
 * @param failed gets handshakes that failed or took too long.
 */
export function tlsServer(
  tls: TlsOptions,
  limits: TransportLimits,
  admit: Admission,
  accept: (socket: TLSSocket) => void,
  failed: (error: Error) => void,
): Server {
  const { cert, key, ca } = tls;
  const server = createTlsServer(
    {
      cert,
      key,
      ...(ca === undefined ? {} : { ca }),
      requestCert: ca !== undefined,
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeMs,
    },
    accept,
  );
  // a listener of this event that comes first sees the bare connection before its handshake
  server.prependListener('connection', (socket: Socket) => admit(socket));
  server.on('tlsClientError', (error, socket) => {
    socket.destroy(); // after its handshake timeout the library leaves it open
    failed(error);
  });
  return server;
}
