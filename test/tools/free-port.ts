import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * Below the ports that a system gives to sockets that name none (Linux: from 32,768): nobody is given one by chance in
 * the time between two users of it, as when a server is killed and comes back.
 */
const FIRST = 10_000;
/** Ports that each process of the test run has for itself. */
const EACH = 2_000;

const own = FIRST + (Number(process.env['VITEST_POOL_ID'] ?? 0) % 10) * EACH;
let last = Math.floor(Math.random() * EACH);

/** A port of loopback that is free for TCP and UDP. No other file of the test run is given it at the same time. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < EACH; tries++) {
    last = (last + 1) % EACH;
    const port = own + last;
    if ((await freeForTcp(port)) && (await freeForUdp(port))) return port;
  }
  throw new Error(`no port from ${own} to ${own + EACH - 1} is free`);
}

function freeForTcp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().listen(port, '127.0.0.1');
    server.once('listening', () => server.close(() => resolve(true)));
    server.once('error', () => resolve(false));
  });
}

function freeForUdp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4').bind(port, '127.0.0.1');
    socket.once('listening', () => socket.close(() => resolve(true)));
    socket.once('error', () => socket.close(() => resolve(false)));
  });
}
