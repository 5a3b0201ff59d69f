import { spawn, type SpawnOptions } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';

/** A server that runs as processes of its own, on loopback. */
export interface RunningServer {
  readonly name: string;
  /** UDP port on 127.0.0.1. */
  readonly port: number;
  /** UDP ports of further nodes of it, which get their share of the load. */
  readonly others?: readonly number[];
  /** All processes it consists of. */
  processes(): number[];
  stop(): Promise<void>;
}

/** Starts a program that ends with this process, however that ends, and keeps the last of what it says. */
export function spawnServer(program: string, args: readonly string[], options: SpawnOptions = {}): Spawned {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  let said = '';
  const told = new EventEmitter();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4096);
      told.emit('told');
    });
  }
  const ended = once(child, 'close').then(() => void process.off('exit', kill));
  return {
    pid: child.pid!,
    async until(ready) {
      const failed = ended.then(() => Promise.reject<never>(new Error(`${program} ended: ${said}`)));
      failed.catch(() => undefined); // later on an end is told by stop()
      return Promise.race([ready, failed]);
    },
    async says(pattern) {
      for (;;) {
        const found = pattern.exec(said);
        if (found) return found;
        await once(told, 'told');
      }
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

export interface Spawned {
  readonly pid: number;
  /** Waits for a text in what it writes. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** Waits for `ready`. @throws when the program ends first, with what it said. */
  until<T>(ready: Promise<T>): Promise<T>;
  /** Settles when it has ended on SIGTERM. */
  stop(): Promise<void>;
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
