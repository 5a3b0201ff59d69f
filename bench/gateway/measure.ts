import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wbxmlCoding } from '../../src/imps/codec/coding.js';
import { element } from '../../src/imps/codec/element.js';
import { Client } from '../imps/client.js';
import { markdown } from '../load-runs.js';
import { cpuSeconds, memory } from '../measure.js';
import { startParley, type RunningParley } from '../servers/parley.js';
import { Devices } from './devices.js';

export interface GatewayWork {
  /** Phones and SIP devices that write to each other, each pair one message at a time. */
  readonly pairs: number;
  /** Messages of each direction, after as many that warm the process up. */
  readonly messages: number;
  /** Phones that are logged in, for memory and restart. */
  readonly phones: number;
}

const AT_ONCE = 64;
const ROWS = 1_000;
const user = (number: number): string => `wv:user${number}@ims.test`;
const capabilities = element(
  'CapabilityList',
  element('InitialDeliveryMethod', 'P'),
  element('SupportedCIRMethod', 'STCP'),
);

/** Messages with delivery reports both ways, and many phones as devices over a restart. */
export async function measureGateway(work: GatewayWork, told: (line: string) => void): Promise<string> {
  return markdown(['', ''], [...(await conversation(work, told)), ...(await crowd(work.phones, told))]);
}

async function conversation(
  { pairs, messages }: GatewayWork,
  told: (line: string) => void,
): Promise<string[][]> {
  const imps = { csp: await freePort(), cir: await freePort() };
  // what is measured must not be shed by a machine that has other work
  const parley = await startParley({ imps, settings: { sip: { overloadDelay: 60_000 } } });
  const devices = await Devices.open(parley.port);
  const agent = new Agent({ keepAlive: true, maxSockets: pairs });
  try {
    await importUsers(parley, pairs);
    const ends = await Promise.all(
      Array.from({ length: pairs }, async (_, number) => {
        await devices.register(number);
        const client = new Client(agent, `http://127.0.0.1:${imps.csp}`, wbxmlCoding, user(number));
        const session = await client.login(capabilities);
        await client.negotiate();
        return { client, cir: await CirLine.open(imps.cir, session) };
      }),
    );
    await settled(parley);
    const run = async (name: string, one: (number: number) => Promise<number>): Promise<string[][]> => {
      const send = async (count: number): Promise<number[]> => {
        const latencies: number[] = [];
        let left = count;
        await Promise.all(
          ends.map(async (_end, number) => {
            while (left-- > 0) latencies.push(await one(number));
          }),
        );
        return latencies;
      };
      await send(messages);
      told(`${messages} messages ${name} to warm up`);
      const [startedAt, cpu] = [performance.now(), cpuSeconds(parley.processes())];
      const latencies = await send(messages);
      const seconds = (performance.now() - startedAt) / 1000;
      const used = cpuSeconds(parley.processes()) - cpu;
      told(`${messages} messages ${name} with their reports`);
      latencies.sort((a, b) => a - b);
      const at = (part: number): string => `${latencies[Math.floor(latencies.length * part)]!.toFixed(1)} ms`;
      return [
        [`messages a second ${name}, with delivery report`, (messages / seconds).toFixed(0)],
        [`CPU a message ${name}, with delivery report`, `${((used / messages) * 1e6).toFixed(0)} µs`],
        [
          `${name === 'to SIP' ? 'SendMessage to SIP MESSAGE' : 'SIP MESSAGE to CIR'}, p50 and p99`,
          `${at(0.5)} and ${at(0.99)}`,
        ],
      ];
    };
    const toSip = await run('to SIP', async (number) => {
      const { client } = ends[number]!;
      const arrives = devices.next(number);
      const sentAt = performance.now();
      const sent = client.sendForReport(`wv:device${number}@ims.test`);
      const { at, text } = await arrives;
      await sent;
      const id = /^imdn\.Message-ID: (\S+)/m.exec(text)![1]!;
      await devices.message(number, `sip:user${number}@ims.test`, notification(id));
      await client.receiveReport();
      return at - sentAt;
    });
    let count = 0;
    const toPhones = await run('to phones', async (number) => {
      const { client, cir } = ends[number]!;
      const told = cir.next();
      const sentAt = performance.now();
      await devices.message(number, `sip:user${number}@ims.test`, text(`m-${++count}`));
      const at = await told;
      const report = devices.next(number);
      await client.receive();
      await report;
      return at - sentAt;
    });
    for (const { cir } of ends) cir.close();
    return [...toSip, ...toPhones];
  } finally {
    agent.destroy();
    devices.close();
    await parley.stop();
  }
}

async function crowd(phones: number, told: (line: string) => void): Promise<string[][]> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-gateway-bench-'));
  const imps = { csp: await freePort(), cir: await freePort() };
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  // one that starts again at the same address finds its phones' devices as it would make them
  const sip = await freePort();
  try {
    const first = await startParley({ imps, folder, sip });
    await importUsers(first, phones);
    const before = memory(first.processes());
    const [beganAt, idle] = [performance.now(), cpuSeconds(first.processes())];
    let next = 0;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < phones)
          await new Client(agent, `http://127.0.0.1:${imps.csp}`, wbxmlCoding, user(next++)).login();
      }),
    );
    await settled(first);
    const after = memory(first.processes());
    const loggedIn = [performance.now() - beganAt, cpuSeconds(first.processes()) - idle] as const;
    told(`${phones} phones logged in`);
    await first.stop();
    const startedAt = performance.now();
    const second = await startParley({ imps, folder, sip });
    await second.says(/"phones":\d+[^\n]*devices again/);
    const back = performance.now() - startedAt;
    const used = cpuSeconds(second.processes());
    const restarted = memory(second.processes());
    await second.stop();
    const bytes = (after.total - after.file - before.total + before.file) / phones;
    const megabytes = (value: { total: number; file: number }): string =>
      `${((value.total - value.file) / 2 ** 20).toFixed(0)} MiB`;
    const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
    return [
      [
        `${phones} logins, until all are devices`,
        `${seconds(loggedIn[0])}, ${((loggedIn[1] / phones) * 1e6).toFixed(0)} µs CPU each`,
      ],
      [
        `memory with ${phones} phones as devices, without LMDB's map`,
        `${megabytes(after)}, ${bytes.toFixed(0)} bytes a phone`,
      ],
      ['after a restart', megabytes(restarted)],
      [
        'restart: ready, and all of them devices again',
        `${seconds(second.readyAfter)} and ${seconds(back)}, ${used.toFixed(1)} s CPU in all`,
      ],
    ];
  } finally {
    agent.destroy();
    await rm(folder, { recursive: true });
  }
}

/** CIR over TCP of one phone. */
class CirLine {
  readonly #socket: Socket;
  #told: (at: number) => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', () => this.#told(performance.now()));
  }

  static async open(port: number, session: string): Promise<CirLine> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`HELO ${session}\r\n`);
    await once(socket, 'data');
    return new CirLine(socket);
  }

  next(): Promise<number> {
    return new Promise((resolve) => (this.#told = resolve));
  }

  close(): void {
    this.#socket.destroy();
  }
}

async function importUsers({ api }: RunningParley, count: number): Promise<void> {
  for (let from = 0; from < count; from += ROWS) {
    const rows = Array.from({ length: Math.min(ROWS, count - from) }, (_, index) => ({
      user: user(from + index),
      password: 'secret',
    }));
    const response = await fetch(`${api}/gateway/map/users`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ rows }),
    });
    const { added } = (await response.json()) as { added: number };
    if (added !== rows.length) throw new Error(`${added} of ${rows.length} users`);
  }
}

/** Every login is a device when the newest one is: until the CPU has rested for a second. */
async function settled(parley: RunningParley): Promise<void> {
  for (;;) {
    const before = cpuSeconds(parley.processes());
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    if (cpuSeconds(parley.processes()) - before < 0.1) return;
  }
}

const text = (id: string, type = 'text/plain', content = 'Hello', asks = 'positive-delivery'): string =>
  [
    'From: <sip:anonymous@anonymous.invalid>',
    'To: <sip:anonymous@anonymous.invalid>',
    'DateTime: 2026-01-01T00:00:00Z',
    'NS: imdn <urn:ietf:params:imdn>',
    `imdn.Message-ID: ${id}`,
    ...(asks === '' ? [] : [`imdn.Disposition-Notification: ${asks}`]),
    '',
    `Content-Type: ${type}`,
    '',
    content,
  ].join('\r\n');

const notification = (id: string): string =>
  text(
    `n-${id}`,
    'message/imdn+xml',
    `<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>${id}</message-id>` +
      '<datetime>2026-01-01T00:00:00Z</datetime><delivery-notification><status><delivered/></status></delivery-notification></imdn>',
    '',
  );

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  return port;
}
