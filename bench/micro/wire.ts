/**
 * CPU time that one REGISTER takes on its way from the socket through parser and transaction to the response and back
 * to the socket, beside a bare socket that echoes. Server and load are processes of their own; the load keeps a fixed
 * number of requests in flight.
 *
 *     npx tsc -p bench/tsconfig.json && node dist/bench/micro/wire.js [requests] [in flight]
 */
import { fork, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { makeResponse } from '../../src/sip/transaction/derived.js';
import { createTransactionLayer } from '../../src/sip/transaction/transaction-layer.js';
import { Transports } from '../../src/sip/transport/transports.js';

const [mode, ...rest] = process.argv.slice(2);

/** Answers each datagram with itself. */
async function echo(): Promise<number> {
  const socket = createSocket({
    type: 'udp4',
    recvBufferSize: 4 << 20,
    lookup: (host, _options, callback) => callback(null, host, 4),
  });
  const done = (): void => {};
  socket.on('message', (data, remote) => socket.send(data, remote.port, remote.address, done));
  // the event comes from within bind(), as nothing has to be looked up
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return socket.address().port;
}

/** Answers each REGISTER 200 through the transaction layer. */
async function parley(): Promise<number> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const common = { clock, log: silentLogger, trail: new MemoryTrail(() => clock.now()) };
  const transports = new Transports({
    ...common,
    listeners: [{ protocol: 'udp', address: '127.0.0.1', port: 0 }],
  });
  const layer = createTransactionLayer({ ...common, transports });
  layer.onRequest = (transaction) => {
    const response = makeResponse(transaction.request, 200, 'a6c85cf');
    response.headers.copyFrom(transaction.request.headers, 'Contact');
    transaction.respond(response);
  };
  await transports.start();
  return transports.listeners[0]!.port;
}

/** Sends `total` REGISTERs with a branch and CSeq each, `inFlight` of them unanswered at any time. */
async function load(port: number, total: number, inFlight: number): Promise<void> {
  const socket = createSocket({
    type: 'udp4',
    recvBufferSize: 4 << 20,
    lookup: (host, _options, callback) => callback(null, host, 4),
  });
  const template = readFileSync('bench/micro/register.sip');
  const at = template.indexOf('branch=z9hG4bK-') + 15;
  const done = (): void => {};
  let sent = 0;
  let answered = 0;
  let last = 0;
  const send = (): void => {
    template.write(String(sent++ % 1_000_000).padStart(6, '0'), at, 'latin1');
    socket.send(template, port, '127.0.0.1', done);
  };
  await new Promise<void>((resolve) => {
    const lost = setInterval(() => {
      // what the kernel dropped is sent anew
      if (answered === last) for (let i = answered; i < Math.min(sent, answered + inFlight); i++) send();
      last = answered;
    }, 200);
    socket.on('message', () => {
      if (++answered === total) {
        clearInterval(lost);
        resolve();
      } else if (sent < total) send();
    });
    for (let i = 0; i < inFlight; i++) send();
  });
  socket.close();
}

const reply = async <T>(child: ChildProcess): Promise<T> => ((await once(child, 'message')) as [T])[0];

async function measure(server: string, total: number, inFlight: number): Promise<void> {
  const child = fork(process.argv[1]!, [server]);
  const port = await reply<number>(child);
  const run = async (count: number): Promise<number> => {
    child.send('cpu');
    const before = await reply<number>(child);
    await once(fork(process.argv[1]!, ['load', String(port), String(count), String(inFlight)]), 'exit');
    child.send('cpu');
    return ((await reply<number>(child)) - before) / count;
  };
  await run(50_000);
  const rounds = [await run(total), await run(total), await run(total)].sort((a, b) => a - b);
  console.log(
    `${server.padEnd(8)} ${rounds[1]!.toFixed(1)} µs a request (${rounds.map((one) => one.toFixed(1)).join(', ')})`,
  );
  child.disconnect();
}

if (mode === 'echo' || mode === 'parley') {
  const port = await (mode === 'echo' ? echo() : parley());
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.(user + system);
  });
  process.on('disconnect', () => process.exit());
  process.send?.(port);
} else if (mode === 'load') {
  await load(Number(rest[0]), Number(rest[1]), Number(rest[2]));
  process.exit();
} else {
  const total = Number(mode ?? 200_000);
  const inFlight = Number(rest[0] ?? 64);
  for (const server of ['echo', 'parley']) await measure(server, total, inFlight);
}
