import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A server that runs as processes of its own, on loopback. */
export interface RunningServer {
  readonly name: string;
  /** UDP port on 127.0.0.1. */
  readonly port: number;
  /** All processes it consists of. */
  processes(): number[];
  stop(): Promise<void>;
}

/** The folder of package.json: files that are not compiled are found from there. */
export function packageFolder(from: string = import.meta.dirname): string {
  if (existsSync(join(from, 'package.json'))) return from;
  if (dirname(from) === from) throw new Error('no package.json above');
  return packageFolder(dirname(from));
}

/** Sends OPTIONS until something comes back. */
export async function answered(port: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const own = socket.address().port;
  const options = [
    'OPTIONS sip:ims.test SIP/2.0',
    `Via: SIP/2.0/UDP 127.0.0.1:${own};branch=z9hG4bKready;rport`,
    'Max-Forwards: 70',
    'From: <sip:ready@ims.test>;tag=ready',
    'To: <sip:ims.test>',
    `Call-ID: ready-${own}`,
    'CSeq: 1 OPTIONS',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
  const ask = (): void => socket.send(options, port, '127.0.0.1');
  const asking = setInterval(ask, 20);
  ask();
  await once(socket, 'message');
  clearInterval(asking);
  socket.close();
}

/** A port that nothing uses now. */
export async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}
