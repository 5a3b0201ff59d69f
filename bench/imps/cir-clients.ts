import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { wbxmlCoding } from '../../src/imps/codec/coding.js';
import { element } from '../../src/imps/codec/element.js';
import { Client } from './client.js';

/*
 * Phones with CIR over TCP: `node cir-clients.js URL CIR-PORT COUNT NETWORK`, from 127.NETWORK.0.0/16 of their own. It does one step for each
 * line of standard input and then prints a line: `login`, `connect`, `send N` (prints the milliseconds after which each of N phones had its CIR).
 */
const [url = '', cirPort = '', total = '', network = ''] = process.argv.slice(2);
const count = Number(total);
/** Logins, and connections without HELO, at the same time. */
const AT_ONCE = 64;
/** Sockets from one address are limited by the number of ports. */
const A_SOURCE = 20_000;
/** Recipients that one message may have. */
const RECIPIENTS = 200;

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
const user = (number: number): string => `wv:user${number}@ims.test`;
const sessions: string[] = [];
const sockets: Socket[] = [];
const told: number[] = [];
const sender = new Client(agent, url, wbxmlCoding, user(count));

/** Runs `work` for each number below `many`, some at the same time. */
async function each(many: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < many) await work(next++);
    }),
  );
}

const capabilities = element(
  'CapabilityList',
  element('InitialDeliveryMethod', 'P'),
  element('SupportedCIRMethod', 'STCP'),
);

async function open(number: number): Promise<void> {
  const source = `127.${network}.${1 + Math.floor(number / A_SOURCE)}.1`;
  const socket = connect({ port: Number(cirPort), host: '127.0.0.1', localAddress: source });
  sockets[number] = socket;
  await once(socket, 'connect');
  socket.write(`HELO ${sessions[number]}\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (!answer.toString().startsWith('OK')) throw new Error(`HELO: ${answer.toString()}`);
  socket.on('data', () => (told[number] = performance.now()));
}

async function send(many: number): Promise<string> {
  const startedAt = performance.now();
  const messages = Array.from({ length: Math.ceil(many / RECIPIENTS) }, (_, index) =>
    Array.from({ length: Math.min(RECIPIENTS, many - index * RECIPIENTS) }, (_each, number) =>
      user(index * RECIPIENTS + number),
    ),
  );
  await Promise.all(messages.map((recipients) => sender.send(...recipients)));
  const deadline = performance.now() + 120_000;
  const waiting = (): boolean => sockets.slice(0, many).some((_, number) => told[number] === undefined);
  while (waiting() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  return told
    .slice(0, many)
    .map((at) => (at - startedAt).toFixed(1))
    .join(' ');
}

for await (const line of createInterface({ input: process.stdin })) {
  const [step, number] = line.split(' ');
  let answer = 'done';
  if (step === 'login') {
    await each(count, async (index) => {
      sessions[index] = await new Client(agent, url, wbxmlCoding, user(index)).login(capabilities);
    });
    await sender.login();
    await sender.negotiate();
  } else if (step === 'connect') await each(count, open);
  else answer = await send(Number(number));
  process.stdout.write(`${answer}\n`);
}
process.exit(0);
