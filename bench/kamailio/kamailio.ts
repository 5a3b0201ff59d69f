import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A server that runs as processes of its own, on loopback. */
export interface RunningServer {
  readonly name: string;
  /** UDP port on 127.0.0.1. */
  readonly port: number;
  /** All processes it consists of. */
  processes(): number[];
  stop(): Promise<void>;
}

export interface KamailioOptions {
  readonly digest?: boolean;
  /** Megabytes of shared memory, where the bindings live. */
  readonly sharedMemory?: number;
}

/** Starts Debian's Kamailio with `kamailio.cfg` on a free port; settles when it answers. */
export async function startKamailio(options: KamailioOptions = {}): Promise<RunningServer> {
  const port = await freeUdpPort();
  const child = spawn(
    'kamailio',
    [
      ...['-f', join(import.meta.dirname, 'kamailio.cfg'), '-DD', '-E', '-l', `udp:127.0.0.1:${port}`],
      ...['-m', String(options.sharedMemory ?? 256), '-M', '64'],
      ...(options.digest ? ['-A', 'WITH_DIGEST'] : []),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4096)));
  const ended = once(child, 'close');
  const failed = ended.then(() => Promise.reject(new Error(`Kamailio ended: ${said}`)));
  await Promise.race([answered(port), failed]);
  failed.catch(() => undefined); // from now on an end is told by stop()
  return {
    name: 'Kamailio 5.6',
    port,
    processes: () => [child.pid!, ...childrenOf(child.pid!)],
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
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
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false; // it ended meanwhile
      }
    });
}
