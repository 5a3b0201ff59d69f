import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { NextHop } from '../transaction/layer.js';
import type { TlsOptions } from './tls-options.js';

/**
 * Opens a TCP or TLS connection. What is written before it stands waits in the socket.
 * Over TLS the certificate must prove `serverName`, or the address when there is none (RFC 5922 §7.2, §7.3).
 */
export function connect(hop: NextHop, tls: TlsOptions | undefined): Socket {
  const { address: host, port, serverName } = hop;
  if (hop.protocol !== 'tls') return connectTcp({ host, port });
  const socket = connectTls({
    host,
    port,
    ...(serverName === undefined || isIP(serverName) ? {} : { servername: serverName }),
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls === undefined ? {} : { cert: tls.cert, key: tls.key }),
    rejectUnauthorized: tls?.verify ?? true,
  });
  // octets written earlier would leave with the end of the handshake, before the certificate has been judged
  socket.cork();
  socket.once('secureConnect', () => socket.uncork());
  return socket;
}
