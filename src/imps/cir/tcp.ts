import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Timer } from '../../base/clock.js';
import type { ImpsContext } from '../context.js';
import type { SessionRecord } from '../state/records.js';
import { listening } from '../transport/endpoint.js';

/** Time for HELO after a connection was opened (document 002 §8.1.3). */
const HELLO_MS = 10_000;
/** Longest line a client may send. */
const LINE = 300;
/** Connections that have not said HELO yet, and those of them from one address, behind which a whole network may be. */
const STRANGERS = 1000;
const STRANGERS_OF_ADDRESS = 100;

interface Channel {
  readonly socket: Socket;
  readonly address: string;
  /** The session once HELO was accepted; empty before. */
  session: string;
  rest: string;
  timer: Timer | undefined;
  /** Lines are worked on one after the other, though each may wait for the store. */
  work: Promise<void>;
}

/** Standalone TCP: one connection a session, lines that end with CR LF. */
export class TcpChannels {
  readonly #context: ImpsContext;
  readonly #onHello: (session: SessionRecord) => void;
  readonly #server: Server;
  readonly #channels = new Set<Channel>();
  readonly #bySession = new Map<string, Channel>();
  readonly #lost = new Set<string>();
  #strangers = 0;
  readonly #strangersOf = new Map<string, number>();

  constructor(context: ImpsContext, onHello: (session: SessionRecord) => void) {
    this.#context = context;
    this.#onHello = onHello;
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#open(socket));
  }

  /** @returns the port bound */
  async listen(host: string, port: number): Promise<number> {
    await listening(this.#server, [host, port], (listens) => this.#server.listen(port, host, listens));
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const channel of this.#channels) channel.socket.destroy();
    await closed;
  }

  /** Sessions with a connection. */
  get size(): number {
    return this.#bySession.size;
  }

  get sessions(): Iterable<string> {
    return this.#bySession.keys();
  }

  /** @returns false when the session has no connection here */
  send(session: string, text: string): boolean {
    const channel = this.#bySession.get(session);
    if (!channel) return false;
    channel.socket.write(`${text}\r\n`);
    return true;
  }

  /** Whether the session had a connection and lost it. */
  lost(session: string): boolean {
    return this.#lost.has(session);
  }

  /** The session ended. */
  end(session: string): void {
    this.#lost.delete(session);
    const channel = this.#bySession.get(session);
    this.#bySession.delete(session);
    channel?.socket.end();
  }

  #open(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const ofAddress = this.#strangersOf.get(address) ?? 0;
    if (this.#strangers >= STRANGERS || ofAddress >= STRANGERS_OF_ADDRESS) {
      this.#refuse(socket, 'too many connections without HELO');
      return;
    }
    this.#strangers++;
    this.#strangersOf.set(address, ofAddress + 1);
    const work = Promise.resolve();
    const channel: Channel = { socket, address, session: '', rest: '', timer: undefined, work };
    this.#channels.add(channel);
    channel.timer = this.#context.clock.after(HELLO_MS, () => {
      channel.timer = undefined;
      this.#refuse(channel.socket, 'no HELO in 10 s');
    });
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#data(channel, text));
    socket.on('error', () => socket.destroy()); // close follows, and does what there is to do
    socket.on('close', () => this.#closed(channel));
  }

  #data(channel: Channel, text: string): void {
    channel.rest += text;
    for (let end = channel.rest.indexOf('\n'); end >= 0; end = channel.rest.indexOf('\n')) {
      const line = channel.rest.slice(0, end).trim();
      channel.rest = channel.rest.slice(end + 1);
      if (line.length > LINE) return this.#refuse(channel.socket, 'line too long');
      channel.work = channel.work
        .then(() => this.#line(channel, line))
        .catch((error: unknown) => {
          this.#context.log.error({ err: error }, 'a CIR line could not be served');
          channel.socket.destroy();
        });
    }
    if (channel.rest.length > LINE) this.#refuse(channel.socket, 'line too long');
  }

  async #line(channel: Channel, line: string): Promise<void> {
    if (channel.socket.destroyed) return;
    if (line.startsWith('HELO ')) return this.#hello(channel, line.slice(5).trim());
    if (channel.session === '') return this.#refuse(channel.socket, 'no HELO');
    if (line === 'PING') channel.socket.write('OK\r\n');
  }

  /** A newer connection of the same session takes its place: the client came back from a broken one. */
  async #hello(channel: Channel, id: string): Promise<void> {
    const session = await this.#context.sessions.find(id);
    if (!session || channel.socket.destroyed) return this.#refuse(channel.socket, 'unknown session');
    if (channel.session !== '' && channel.session !== id)
      return this.#refuse(channel.socket, 'another session');
    if (channel.session === '') {
      this.#known(channel);
      channel.timer?.cancel();
      channel.timer = undefined;
    }
    const older = this.#bySession.get(id);
    channel.session = id;
    this.#bySession.set(id, channel);
    this.#lost.delete(id);
    if (older && older !== channel) older.socket.end();
    channel.socket.write('OK\r\n');
    this.#onHello(session);
  }

  /** It has said HELO, or is gone. */
  #known({ address }: Channel): void {
    this.#strangers--;
    const left = this.#strangersOf.get(address)! - 1;
    if (left > 0) this.#strangersOf.set(address, left);
    else this.#strangersOf.delete(address);
  }

  #refuse(socket: Socket, why: string): void {
    if (socket.destroyed) return;
    this.#context.trail.record({
      code: 'imps.cir-refused',
      outcome: 'refused',
      clause: 'document 002 §8.1.3',
      subject: socket.remoteAddress,
      detail: why,
    });
    socket.destroy();
  }

  #closed(channel: Channel): void {
    this.#channels.delete(channel);
    channel.timer?.cancel();
    if (channel.session === '') this.#known(channel);
    else if (this.#bySession.get(channel.session) === channel) {
      this.#bySession.delete(channel.session);
      this.#lost.add(channel.session);
    }
  }
}
