import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { ParleyError } from '../../base/errors.js';
import type { Listener } from '../stack.js';
import './errors.js';
import { writeListener } from './listener-spec.js';

/** Room for bursts: the usual 208 KiB hold about 90 requests, and more than fits is dropped by the kernel. */
const SOCKET_BUFFER_BYTES = 4 << 20;

/** A socket for numeric addresses of one family. `reuse` lets several sockets of ours share a port. */
export function createUdpSocket(address: string, reuse: boolean): Socket {
  const family = isIPv6(address) ? 6 : 4;
  return createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    ipv6Only: family === 6,
    reuseAddr: reuse,
    recvBufferSize: SOCKET_BUFFER_BYTES,
    sendBufferSize: SOCKET_BUFFER_BYTES,
    // answering at once makes send() call sendmsg before it returns
    lookup: (host, _options, callback) => callback(null, host, family),
  });
}

/**
 * Binds a socket that can share its port with sockets connected to single peers. As sharing would also let it take a
 * port that another process shares, a socket that does not share is bound first, and closed again.
 * @throws ParleyError `sip-port-taken` or `sip-listen-failed`, naming the listener.
 */
export async function bindShared(listener: Listener): Promise<Socket> {
  const probe = createUdpSocket(listener.address, false);
  await bind(probe, listener);
  const { port } = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  const socket = createUdpSocket(listener.address, true);
  await bind(socket, { ...listener, port });
  return socket;
}

async function bind(socket: Socket, listener: Listener): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const code = error.code === 'EADDRINUSE' ? 'sip-port-taken' : 'sip-listen-failed';
      reject(new ParleyError(code, writeListener(listener), { cause: error }));
    };
    socket.once('error', failed);
    socket.bind({ address: listener.address, port: listener.port, exclusive: true }, () => {
      socket.off('error', failed);
      resolve();
    });
  });
}
