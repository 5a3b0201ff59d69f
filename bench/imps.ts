// npx tsc -p bench && node dist/bench/imps.js
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readMessage, wbxmlCoding, writeMessage, xmlCoding, type Coding } from '../src/imps/codec/coding.js';
import { child, element, textOf, type Element } from '../src/imps/codec/element.js';
import type { CspMessage, TransactionMode } from '../src/imps/codec/envelope.js';
import { cpuSeconds } from './measure.js';

/*
 * CPU of an IMPS server on LMDB for a login and logout, and for a message sent, polled and confirmed; the clients run
 * in this process, so theirs is not counted. Yardstick on a 2-core machine: an open C server with PostgreSQL spends
 * 7.2 ms a login-and-logout pair and 9.2 ms a message, and slows to a third with 20,000 messages waiting.
 */
const PAIRS = 8;
const agent = new Agent({ keepAlive: true, maxSockets: 2 * PAIRS });

class Client {
  readonly #url: string;
  readonly #coding: Coding;
  readonly #user: string;
  #session: string | undefined;
  #transaction = 0;

  constructor(url: string, coding: Coding, user: string) {
    this.#url = url;
    this.#coding = coding;
    this.#user = user;
  }

  async #post(mode: TransactionMode, id: string, primitive: Element): Promise<CspMessage | undefined> {
    const body = writeMessage(
      {
        version: '1.3',
        sessionType: this.#session === undefined ? 'Outband' : 'Inband',
        sessionId: this.#session,
        transactions: [{ mode, id, primitive }],
        poll: undefined,
        cir: undefined,
      },
      this.#coding,
    );
    const headers = { 'Content-Type': this.#coding.contentType, 'Content-Length': body.length };
    const sent = httpRequest(`${this.#url}/csp`, { method: 'POST', agent, headers });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    return bytes.length === 0 ? undefined : readMessage(bytes, this.#coding.contentType).message;
  }

  async request(primitive: Element): Promise<Element | undefined> {
    const answer = await this.#post('Request', String(++this.#transaction), primitive);
    return answer?.transactions[0]?.primitive;
  }

  async login(): Promise<void> {
    const response = await this.request(
      element(
        'Login-Request',
        element('UserID', this.#user),
        element('ClientID', element('URL', 'wv:bench1$lab@maker.m1.1')),
        element('Password', 'secret'),
        element('TimeToLive', 3600),
        element('SessionCookie', `cookie-${this.#transaction}`),
      ),
    );
    this.#session = textOf(response, 'SessionID');
    if (this.#session === undefined) throw new Error('no session');
  }

  async logout(): Promise<void> {
    await this.request(element('Logout-Request'));
    this.#session = undefined;
  }

  async send(to: string): Promise<void> {
    const answer = await this.request(
      element(
        'SendMessage-Request',
        element('DeliveryReport', false),
        element(
          'MessageInfo',
          element('ContentType', 'text/plain'),
          element('ContentSize', 5),
          element('Recipient', element('User', element('UserID', to))),
        ),
        element('ContentData', 'Hello'),
      ),
    );
    if (textOf(child(answer, 'Result'), 'Code') !== '200') throw new Error('not sent');
  }

  /** Polls one message and confirms it. */
  async receive(): Promise<void> {
    const answer = await this.#post('Request', '', element('Polling-Request'));
    const [waiting] = answer?.transactions ?? [];
    const id = textOf(child(waiting?.primitive, 'MessageInfo'), 'MessageID');
    if (waiting === undefined || id === undefined) throw new Error('nothing waits');
    await this.#post('Response', waiting.id, element('MessageDelivered', element('MessageID', id)));
  }
}

async function measure(
  pid: number,
  name: string,
  count: number,
  run: (pair: number) => Promise<void>,
): Promise<void> {
  const before = cpuSeconds([pid]);
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: PAIRS }, async (_, pair) => {
      for (let number = 0; number < count / PAIRS; number++) await run(pair);
    }),
  );
  const cpu = cpuSeconds([pid]) - before;
  const seconds = (performance.now() - startedAt) / 1000;
  const each = ((cpu / count) * 1e6).toFixed(0).padStart(6);
  console.log(
    `${name.padEnd(44)} ${each} µs CPU each, ${(count / cpu).toFixed(0)} a second of CPU, ${(count / seconds).toFixed(0)} a second here`,
  );
}

const folder = mkdtempSync(join(tmpdir(), 'parley-imps-bench-'));
const script = fileURLToPath(new URL('./servers/imps.js', import.meta.url));
const server = spawn(process.execPath, [...process.execArgv, script, folder, String(4 * PAIRS)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const [line] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string];
const url = line.trim().slice('url '.length);
const pid = server.pid!;
const user = (number: number): string => `wv:user${number}@ims.test`;

for (const [name, coding] of [
  ['WBXML', wbxmlCoding],
  ['XML', xmlCoding],
] as const) {
  const sender = Array.from({ length: PAIRS }, (_, pair) => new Client(url, coding, user(2 * pair)));
  const receiver = Array.from({ length: PAIRS }, (_, pair) => new Client(url, coding, user(2 * pair + 1)));
  const pairOf = async (pair: number): Promise<void> => {
    await sender[pair]!.login();
    await sender[pair]!.logout();
  };
  const messageOf = async (pair: number): Promise<void> => {
    await sender[pair]!.send(user(2 * pair + 1));
    await receiver[pair]!.receive();
  };
  await measure(pid, `${name}: warm-up`, 800, pairOf);
  await measure(pid, `${name}: login and logout`, 4000, pairOf);
  for (const client of [...sender, ...receiver]) await client.login();
  await measure(pid, `${name}: warm-up`, 800, messageOf);
  await measure(pid, `${name}: message sent, polled, confirmed`, 4000, messageOf);
  await measure(pid, `${name}: 20,000 messages more`, 20_000, (pair) =>
    sender[pair]!.send(user(2 * pair + 1)),
  );
  await measure(pid, `${name}: the same with 20,000 waiting`, 4000, messageOf);
  await measure(pid, `${name}: the 20,000 polled and confirmed`, 20_000, (pair) => receiver[pair]!.receive());
  for (const client of [...sender, ...receiver]) await client.logout();
}
server.kill('SIGKILL');
await once(server, 'exit');
rmSync(folder, { recursive: true });
agent.destroy();
