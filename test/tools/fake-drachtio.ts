import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { FrameReader, writeFrame, type Frame } from '../../src/sip/drachtio/frames.js';

const PROBE = 'probe';

/** The admin side of a drachtio-server, for faults that a real one cannot be made to show. */
export class FakeDrachtio {
  /** All frames that applications sent, as fields. */
  readonly commands: (readonly string[])[] = [];
  secret = 'cymru';
  /** SIP listeners that it has opened. */
  listeners = 'udp/127.0.0.1:5060';
  /** Whether `sip` and `ping` commands are answered. */
  answers = true;
  /** Whether replies to `route` are kept until {@link release}. */
  holdsRoutes = false;
  #onProbe = (): void => {};
  readonly #held: (() => void)[] = [];
  /** Why `sip` commands are refused. */
  refusal: string | undefined;
  /** SIP messages that applications sent, with the transaction that each names. */
  readonly sent: {
    readonly id: string;
    readonly transaction: string;
    readonly dialog: string;
    readonly text: string;
  }[] = [];
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

  /** A request from the network, or one that the server itself sent (`application`); a response to what an application sent. */
  request(transaction: string, text: string, source = 'network', dialog = ''): void {
    const message = Buffer.from(`${text.trim().replace(/\n[ ]*/g, '\r\n')}\r\n\r\n`);
    const head = `s1|sip|${source}|${message.length}|udp|127.0.0.1|5999|10:00:00.000000|${transaction}|${dialog}|127.0.0.1|5060||`;
    for (const socket of this.#sockets) socket.write(writeFrame(head, message));
  }

  /** A response from the network to the last SIP message that an application sent. */
  respond(status: number, ...more: readonly string[]): void {
    const { id, dialog, text } = this.sent.at(-1)!;
    const field = (name: string, otherwise: string): string =>
      new RegExp(`^${name}: ?(.*?)\r$`, 'im').exec(text)?.[1] ?? otherwise;
    const to = field('To', '<sip:in@dialog.invalid>');
    const lines = [
      `SIP/2.0 ${status} Said`,
      'Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKserver',
      `From: ${field('From', '<sip:in@dialog.invalid>;tag=ours')}`,
      `To: ${to.includes(';tag=') ? to : `${to};tag=theirs`}`,
      `Call-ID: ${field('Call-ID', dialog.split(';')[0]!)}`,
      `CSeq: ${field('CSeq', `1 ${text.split(' ')[0]!}`)}`,
    ];
    this.request(`txn-${id}`, [...lines, ...more, 'Content-Length: 0'].join('\n'));
  }

  /** Resolves when the application has taken all that was sent to it: it answers what is malformed at once. */
  async taken(): Promise<void> {
    const answered = new Promise<void>((resolve) => (this.#onProbe = resolve));
    this.request(
      PROBE,
      `OPTIONS sip:ims.test SIP/2.0
      Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKprobe
      From: <sip:a@ims.test>;tag=a
      To: <sip:ims.test>
      Call-ID: probe
      CSeq: 1 OPTIONS
      no colon in this line
      Content-Length: 0`,
    );
    await answered;
  }

  /** Replies to the `route` commands that were kept. */
  release(): void {
    this.holdsRoutes = false;
    for (const reply of this.#held.splice(0)) reply();
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #onFrame(socket: Socket, { fields, message }: Frame): void {
    if (fields[2] === PROBE) {
      this.#onProbe();
      return;
    }
    this.commands.push(fields);
    if (fields[1] === 'sip')
      this.sent.push({
        id: fields[0] ?? '',
        transaction: fields[2] ?? '',
        dialog: fields[3] ?? '',
        text: message?.toString() ?? '',
      });
    const [id, command, given] = fields;
    const reply = (words: string): void => void socket.write(writeFrame(`s|response|${id}|${words}`));
    if (command === 'authenticate')
      reply(given === this.secret ? `OK|${this.listeners}|v0.9.10|${this.listeners}` : 'NO|incorrect secret');
    else if (command === 'route') {
      if (this.holdsRoutes) this.#held.push(() => reply('OK'));
      else reply('OK');
    } else if (!this.answers) return;
    else if (command === 'ping') reply('OK|pong');
    else if (this.refusal !== undefined) reply(`NOK|${this.refusal}`);
    else reply(`OK|application|100|udp|127.0.0.1|5999|10:00:00.000000|txn-${id}|||Msg sent:|`);
  }
}
