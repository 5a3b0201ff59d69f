import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { FrameReader, writeFrame, type Frame } from '../../src/sip/drachtio/frames.js';

/** The admin side of a drachtio-server, for faults that a real one cannot be made to show. */
export class FakeDrachtio {
  /** All frames that applications sent, as fields. */
  readonly commands: (readonly string[])[] = [];
  secret = 'cymru';
  /** SIP listeners that it has opened. */
  listeners = 'udp/127.0.0.1:5060';
  /** Whether `sip` and `ping` commands are answered. */
  answers = true;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      const reader = new FrameReader();
      socket.on('data', (chunk: Buffer) => {
        for (const frame of reader.push(chunk)) this.#onFrame(socket, frame);
      });
    });
  }

  static async start(port = 0): Promise<FakeDrachtio> {
    const fake = new FakeDrachtio();
    fake.#server.listen(port, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `drachtio://:cymru@127.0.0.1:${this.port}`;
  }

  /** Sends a frame, or octets as they are, to every application. */
  send(what: Buffer | string): void {
    for (const socket of this.#sockets) socket.write(typeof what === 'string' ? writeFrame(what) : what);
  }

  /** A request from the network. */
  request(transaction: string, text: string): void {
    const message = Buffer.from(`${text.trim().replace(/\n[ ]*/g, '\r\n')}\r\n\r\n`);
    const head = `s1|sip|network|${message.length}|udp|127.0.0.1|5999|10:00:00.000000|${transaction}||127.0.0.1|5060||`;
    for (const socket of this.#sockets) socket.write(writeFrame(head, message));
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #onFrame(socket: Socket, { fields }: Frame): void {
    this.commands.push(fields);
    const [id, command, given] = fields;
    const reply = (words: string): void => void socket.write(writeFrame(`s|response|${id}|${words}`));
    if (command === 'authenticate')
      reply(given === this.secret ? `OK|${this.listeners}|v0.9.10|${this.listeners}` : 'NO|incorrect secret');
    else if (command === 'route') reply('OK');
    else if (!this.answers) return;
    else if (command === 'ping') reply('OK|pong');
    else reply(`OK|application|100|udp|127.0.0.1|5999|10:00:00.000000|txn-${id}|||Msg sent:|`);
  }
}
