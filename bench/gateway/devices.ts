import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const ICSI = '+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"';
const SOCKET_BUFFER = 8 << 20;

/** SIP devices of `sip:deviceN@ims.test` on one UDP socket: they answer every MESSAGE with 200 and keep when it came. */
export class Devices {
  readonly #socket: Socket;
  readonly #server: number;
  readonly #answers = new Map<string, (status: number) => void>();
  readonly #messages = new Map<number, (message: { at: number; text: string }) => void>();
  readonly #branches = new Set<string>();
  #sent = 0;

  private constructor(socket: Socket, server: number) {
    this.#socket = socket;
    this.#server = server;
    socket.on('message', (data) => this.#heard(data.toString('latin1')));
  }

  static async open(server: number): Promise<Devices> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: SOCKET_BUFFER });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new Devices(socket, server);
  }

  close(): void {
    this.#socket.close();
  }

  register(device: number): Promise<void> {
    const contact = `Contact: <sip:device${device}@127.0.0.1:${this.#socket.address().port}>;${ICSI}`;
    return this.#request('REGISTER', 'sip:ims.test', device, `sip:device${device}@ims.test`, [contact], '');
  }

  /** A pager mode message; settles with its 200. */
  message(device: number, to: string, body: string): Promise<void> {
    return this.#request('MESSAGE', to, device, to, ['Content-Type: message/cpim'], body);
  }

  /** The next message that comes to a device; asked for before it can come. */
  next(device: number): Promise<{ at: number; text: string }> {
    return new Promise((resolve) => this.#messages.set(device, resolve));
  }

  async #request(
    method: string,
    uri: string,
    from: number,
    to: string,
    more: string[],
    body: string,
  ): Promise<void> {
    const id = `bench-${++this.#sent}`;
    const lines = [
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${this.#socket.address().port};branch=z9hG4bK${id}`,
      'Max-Forwards: 70',
      `From: <sip:device${from}@ims.test>;tag=${id}`,
      `To: <${to}>`,
      `Call-ID: ${id}`,
      `CSeq: 1 ${method}`,
      ...more,
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ];
    const status = new Promise<number>((resolve) => this.#answers.set(id, resolve));
    this.#socket.send(lines.join('\r\n'), this.#server, '127.0.0.1');
    if ((await status) !== 200) throw new Error(`${method} got ${await status}`);
  }

  #heard(text: string): void {
    const id = /^Call-ID: *(\S+)/im.exec(text)?.[1] ?? '';
    const status = Number(/^SIP\/2\.0 (\d+)/.exec(text)?.[1] ?? 0);
    if (status >= 200) {
      this.#answers.get(id)?.(status);
      this.#answers.delete(id);
    } else if (text.startsWith('MESSAGE ')) this.#message(text);
  }

  #message(text: string): void {
    const [head = ''] = text.split('\r\n\r\n', 1);
    const kept = head
      .split('\r\n')
      .filter((line) => /^(?:Via|From|To|Call-ID|CSeq|Record-Route):/i.test(line));
    const answered = kept.map((line) => (/^To:[^;]*$/i.test(line) ? `${line};tag=bench` : line));
    const port = Number(/^Via: *SIP\/2\.0\/UDP [^:;\s]+:(\d+)/im.exec(text)?.[1]);
    this.#socket.send(
      ['SIP/2.0 200 OK', ...answered, 'Content-Length: 0', '', ''].join('\r\n'),
      port,
      '127.0.0.1',
    );
    const branch = /branch=([^;\s]+)/.exec(text)?.[1] ?? '';
    if (this.#branches.has(branch)) return; // sent again: the server is busy
    this.#branches.add(branch);
    const device = Number(/^MESSAGE sip:device(\d+)@/.exec(text)?.[1]);
    this.#messages.get(device)?.({ at: performance.now(), text });
    this.#messages.delete(device);
  }
}
