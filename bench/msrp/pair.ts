import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { MessageParser, type MessageHead } from '../../src/msrp/message/index.js';
import { DigestClient } from '../../src/sip/auth/digest-client.js';
import type { RunningRelay } from './servers.js';

const OWN = 'msrp://127.0.0.1:9/sender;tcp';

/** A client of a relay and a peer that it sends to, which answers every SEND. */
export class Pair {
  readonly #sender: Socket;
  readonly #server = createServer((socket) => this.#receive(socket));
  #to = '';
  #answers = new Map<string, (head: MessageHead) => void>();
  #received = 0;
  #octets = 0;
  #sent = 0;
  #more: () => void = () => {};

  private constructor(port: number) {
    this.#sender = connect(port, '127.0.0.1').setNoDelay(true);
    const parser = new MessageParser({
      head: (head) => {
        this.#answers.get(head.transactionId)?.(head);
        this.#answers.delete(head.transactionId);
      },
      body: () => {},
      end: () => {},
    });
    this.#sender.on('data', (octets: Buffer) => parser.push(octets));
  }

  static async open(relay: RunningRelay): Promise<Pair> {
    const pair = new Pair(relay.port);
    pair.#server.listen(0, '127.0.0.1');
    await Promise.all([once(pair.#sender, 'connect'), once(pair.#server, 'listening')]);
    const { port } = pair.#server.address() as AddressInfo;
    const first = relay.auth ? await pair.#usePath(relay.port) : `msrp://127.0.0.1:${relay.port}/any;tcp`;
    pair.#to = `${first} msrp://127.0.0.1:${port}/receiver;tcp`;
    return pair;
  }

  /** Sends `messages` of `octets` with at most `window` of them not received. @returns milliseconds. */
  async run(messages: number, octets: number, window: number): Promise<number> {
    const body = Buffer.alloc(octets, 'x').toString('latin1');
    this.#received = this.#sent = this.#octets = 0;
    const started = performance.now();
    await new Promise<void>((resolve) => {
      this.#more = () => {
        let batch = '';
        while (this.#sent < messages && this.#sent - this.#received < window) batch += this.#message(body);
        if (batch !== '') this.#sender.write(batch, 'latin1');
        if (this.#received === messages) resolve();
      };
      this.#more();
    });
    if (this.#octets !== messages * octets) throw new Error(`${this.#octets} octets came`);
    return performance.now() - started;
  }

  close(): void {
    this.#sender.destroy();
    this.#server.close();
  }

  #message(body: string): string {
    const id = `b${(this.#sent++).toString(16).padStart(11, '0')}`;
    return (
      `MSRP ${id} SEND\r\nTo-Path: ${this.#to}\r\nFrom-Path: ${OWN}\r\nMessage-ID: ${id}\r\n` +
      `Byte-Range: 1-${body.length}/${body.length}\r\nContent-Type: text/plain\r\n\r\n${body}\r\n-------${id}$\r\n`
    );
  }

  #receive(socket: Socket): void {
    socket.setNoDelay(true).on('error', () => {});
    let head: MessageHead | undefined;
    let answers = '';
    const parser = new MessageParser({
      head: (value) => (head = value),
      body: (piece) => (this.#octets += piece.length),
      end: (flag) => {
        if (head?.method !== 'SEND') return;
        const { transactionId: id, toPath, fromPath } = head;
        const back = fromPath.split(' ')[0]!;
        answers += `MSRP ${id} 200 OK\r\nTo-Path: ${back}\r\nFrom-Path: ${toPath}\r\n-------${id}$\r\n`;
        if (flag === '$') this.#received++;
      },
    });
    socket.on('data', (octets: Buffer) => {
      parser.push(octets);
      socket.write(answers, 'latin1');
      answers = '';
      this.#more();
    });
  }

  async #usePath(port: number): Promise<string> {
    const uri = `msrp://127.0.0.1:${port};tcp`;
    const digest = new DigestClient({ username: 'user1', password: 'user1-secret' });
    for (const id of ['auth0001', 'auth0002']) {
      const signed = digest.sign({ method: 'AUTH', uri });
      const credentials = signed === undefined ? '' : `Authorization: ${signed}\r\n`;
      const answered = new Promise<MessageHead>((resolve) => this.#answers.set(id, resolve));
      this.#sender.write(
        `MSRP ${id} AUTH\r\nTo-Path: ${uri}\r\nFrom-Path: ${OWN}\r\n${credentials}-------${id}$\r\n`,
      );
      const answer = await answered;
      const path = answer.other('Use-Path');
      if (path !== undefined) return path;
      digest.challenged([answer.other('WWW-Authenticate') ?? '']);
    }
    throw new Error('the relay gives no URI');
  }
}
