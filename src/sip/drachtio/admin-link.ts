import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Protocol } from '../stack.js';
import { readEvent, readReply, type AdminEvent, type Reply } from './admin-event.js';
import { FrameReader, writeFrame, type Frame } from './frames.js';
import { Pacing } from './pacing.js';

/** A SIP listener of a server. */
export interface ServerListener {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

export interface LinkOwner {
  onEvent(link: AdminLink, event: AdminEvent): void;
  /** Called once, with why; every command that waits has failed by then. */
  onClosed(link: AdminLink, why: string): void;
}

export interface LinkOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly secret: string;
  readonly tags: readonly string[];
  /** Of the server, in flow tokens: the same for all who are connected to it. */
  readonly name: string;
  /** The server made the connection, for one new request and what follows from it. */
  readonly called: boolean;
  /** Verbs that the server is to send us. */
  readonly verbs: readonly string[];
}

type OnReply = (reply: Reply) => void;

const PING_MS = 5_000;
const HELLO_MS = 5_000;
const LOOK_AGAIN_MS = 1_000;
/** Requests that wait until the server has heard of all verbs; what comes beyond them is refused. */
const MOST_EARLY = 100;
/** Octets that may wait for a server that takes them too slowly: before a new request is refused, and before anything is. */
const MOST_BEFORE_NEW = 4 << 20;
const MOST_OCTETS = 8 << 20;
const REFUSAL = Buffer.from('SIP/2.0 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n');
const LOST = noReply('connection lost');
const CROWDED = noReply('too much waits for drachtio-server');

/**
 * One connection to a drachtio-server. It proves the secret, asks for requests, and carries commands and their replies.
 * A server that does not answer a ping within its interval counts as gone.
 */
export class AdminLink {
  /** Names the server in flow tokens. */
  name: string;
  version = '';
  listeners: readonly ServerListener[] = [];
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  readonly #owner: LinkOwner;
  readonly #reader = new FrameReader();
  readonly #pacing: Pacing;
  readonly #replies = new Map<string, OnReply>();
  #ping: Timer | undefined;
  #sequence = 0;
  #closed = false;
  /** The server has taken the secret and heard of all verbs. */
  #greeted = false;
  /** What came before the server had taken the secret; undefined since. */
  #early: AdminEvent[] | undefined = [];

  constructor(socket: Socket, options: LinkOptions, owner: LinkOwner) {
    this.#socket = socket;
    this.#options = options;
    this.#owner = owner;
    this.name = options.name;
    this.#pacing = new Pacing((frame) => socket.write(frame));
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error) => this.#close(error.message));
    socket.on('close', () => this.#close('the server closed the connection'));
  }

  get open(): boolean {
    return !this.#closed && this.#greeted && this.listeners.length > 0;
  }

  /** Of the other end; empty when it is not known yet or any more. */
  get remoteAddress(): string {
    return plainAddress(this.#socket);
  }

  get called(): boolean {
    return this.#options.called;
  }

  /** So much waits for the server that it should get no new requests; what is owed to those under way still goes. */
  get crowded(): boolean {
    return this.#backlog > MOST_BEFORE_NEW;
  }

  get #backlog(): number {
    return this.#pacing.octets + this.#socket.writableLength;
  }

  /** Proves the secret. @returns undefined when the server takes it, else why not. */
  greet(): Promise<string | undefined> {
    const { verbs, clock } = this.#options;
    return new Promise((resolve) => {
      const patience = clock.after(HELLO_MS, () => this.#close('no answer to the secret'));
      this.#authenticate((reply) => {
        patience.cancel();
        if (!reply.ok) {
          resolve(reply.reason);
          return;
        }
        this.listeners = readListeners(reply.fields[0] ?? '');
        this.version = reply.fields[1] ?? '';
        if (!this.called) this.#schedulePing();
        // until it has heard of a verb the server answers such requests with 503 by itself
        const heard = verbs.map(
          (verb) => new Promise<void>((done) => this.command(`route|${verb}`, undefined, () => done())),
        );
        void Promise.all(heard).then(() => {
          this.#greeted = true;
          if (this.#closed) resolve(LOST.reason);
          else resolve(this.listeners.length > 0 ? undefined : 'the server has no SIP listener');
          // its owner knows it by then
          if (this.listeners.length > 0) setImmediate(() => this.#takeEarly());
        });
      });
    });
  }

  /**
   * Asks once more for the SIP listeners: a server takes applications before it has opened all of them.
   * @param onMore called when there are others than before.
   */
  lookAgain(onMore: () => void): void {
    this.#options.clock.after(LOOK_AGAIN_MS, () => {
      this.#authenticate(({ ok, fields }) => {
        const found = ok ? readListeners(fields[0] ?? '') : [];
        if (found.length <= this.listeners.length) return;
        this.listeners = found;
        onMore();
      });
    });
  }

  /** Has the server give new requests to others; what belongs to those under way still comes. Resolves when it has heard. */
  refrain(): Promise<void> {
    // whatever verb is named, all go
    return new Promise((resolve) => this.command('remove_route|invite', undefined, () => resolve()));
  }

  /** The answer has the listeners and the version; a server also answers who has proved the secret before. */
  #authenticate(onReply: OnReply): void {
    const { secret, tags } = this.#options;
    this.command(`authenticate|${secret}|${tags.join(',')}`, undefined, onReply);
  }

  /**
   * Sends `<id>|<command>` with a SIP message behind it. `onReply` is called once, also when the connection goes or too much waits
   * for the server.
   */
  command(command: string, message: Buffer | undefined, onReply: OnReply): void {
    if (this.#closed) {
      queueMicrotask(() => onReply(LOST));
      return;
    }
    if (this.#backlog > MOST_OCTETS) {
      queueMicrotask(() => onReply(CROWDED));
      return;
    }
    const id = this.#awaited(onReply);
    this.#pacing.send(id, writeFrame(`${id}|${command}`, message));
  }

  /** @returns the id of a command whose reply goes there. */
  #awaited(onReply: OnReply): string {
    const id = `p${this.#sequence++}`;
    this.#replies.set(id, onReply);
    return id;
  }

  close(): void {
    this.#close('closed');
  }

  #onData(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.push(chunk)) this.#onFrame(frame);
    } catch (error) {
      this.#options.log.error({ err: error }, 'a drachtio-server sent something that cannot be read');
      this.#close(error instanceof Error ? error.message : String(error));
    }
  }

  #onFrame(frame: Frame): void {
    if (frame.fields[1] === 'response') {
      const { to, reply } = readReply(frame);
      const onReply = this.#replies.get(to);
      this.#replies.delete(to);
      this.#pacing.replied(to);
      if (onReply) this.#guarded(() => onReply(reply));
      return;
    }
    const event = frame.fields[1] === 'sip' ? readEvent(frame) : undefined;
    if (!event) return;
    if (!this.#early) this.#guarded(() => this.#owner.onEvent(this, event));
    else if (this.#early.length < MOST_EARLY) this.#early.push(event);
    else this.#refuse(event);
  }

  /** The server would forget a request that nobody answers after 64 seconds, and its sender hear nothing. */
  #refuse({ transaction, message }: AdminEvent): void {
    if (/^(?:SIP\/|ACK |CANCEL )/.test(message.toString('latin1', 0, 7))) return;
    this.#options.log.warn(
      { server: this.name },
      'more requests than can wait for the start: one is refused',
    );
    this.command(`sip|${transaction}|`, REFUSAL, () => {});
  }

  /** A server that we connected to has proved nothing but its address; one that sends before it took the secret waits. */
  #takeEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    if (!this.#closed) for (const event of early) this.#guarded(() => this.#owner.onEvent(this, event));
  }

  /** One message must not stop the others. */
  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.log.error({ err: error }, 'a message of a drachtio-server was not handled');
    }
  }

  #schedulePing(): void {
    this.#ping = this.#options.clock.after(PING_MS, () => {
      let answered = false;
      const id = this.#awaited(() => (answered = true));
      this.#pacing.send(id, writeFrame(`${id}|ping`), true);
      this.#ping = this.#options.clock.after(PING_MS, () => {
        if (answered) this.#schedulePing();
        else this.#close('no answer to a ping');
      });
    });
  }

  #close(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ping?.cancel();
    this.#socket.destroy();
    const waiting = [...this.#replies.values()];
    this.#replies.clear();
    for (const onReply of waiting) this.#guarded(() => onReply(LOST));
    this.#owner.onClosed(this, why);
  }
}

function noReply(reason: string): Reply {
  return { ok: false, heard: false, reason, transaction: '', message: undefined, fields: [] };
}

/** IPv4 as IPv4, on a socket for both. */
export function plainAddress({ remoteAddress = '' }: Socket): string {
  return remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
}

/** `udp/10.0.0.5:5060,tcp/[::1]:5060`. */
function readListeners(text: string): ServerListener[] {
  return text.split(',').flatMap((part) => {
    const match = /^(udp|tcp|tls|wss|ws)\/(\[?[^/\]]+\]?):(\d{1,5})$/.exec(part);
    if (!match) return [];
    return [
      { protocol: match[1] as Protocol, address: match[2]!.replace(/^\[|\]$/g, ''), port: Number(match[3]) },
    ];
  });
}
