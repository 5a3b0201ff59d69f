import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { AdminLink, plainAddress, type LinkOptions } from './admin-link.js';
import type { AdminEvent } from './admin-event.js';
import { Callers } from './callers.js';
import type { DrachtioSettings, ServerAddress } from './settings.js';
import './errors.js';

export interface SupervisorUser {
  onEvent(link: AdminLink, event: AdminEvent): void;
  /** A server has taken the secret. */
  onUp(link: AdminLink): void;
  onDown(link: AdminLink, why: string): void;
}

export interface SupervisorOptions {
  readonly settings: DrachtioSettings;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Milliseconds before the first new attempt, what each failure multiplies them by, and the most. */
const BACK_OFF = { first: 100, factor: 1.7, most: 2_000 };
/** A secret that was refused is not tried more often than this. */
const REFUSED_MS = 2_000;

/** A server that connects to us over TLS has agreed on its keys by then. */
const HANDSHAKE_MS = 5_000;

/** A server that does not say within this that it gives requests to others gets 503 for them. */
const REFRAIN_MS = 1_000;

/** drachtio-srf's verbs: what a server sends only to who asked for it. */
const verbs = ['invite', 'register', 'message', 'options', 'info', 'notify', 'subscribe', 'publish', 'refer'];

/** Keeps a connection to every drachtio-server of the settings, and takes those that servers make to us. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #user: SupervisorUser;
  readonly #links = new Map<string, AdminLink>();
  readonly #called = new Set<AdminLink>();
  readonly #troubles = new Map<string, string>();
  readonly #timers = new Map<string, Timer>();
  #listener: Server | undefined;
  #closed = false;
  #refrains = false;
  readonly #callers: Callers;

  constructor(options: SupervisorOptions, user: SupervisorUser) {
    this.#options = options;
    this.#user = user;
    this.#callers = new Callers(options);
  }

  /** Connections that we made, in the order of the settings. */
  get links(): readonly AdminLink[] {
    return [...this.#links.values()].filter((link) => link.open);
  }

  /** Why a server of the settings is not connected; undefined when one is. */
  get trouble(): string | undefined {
    if (this.links.length > 0) return undefined;
    return (
      [...this.#troubles].map(([server, why]) => `drachtio-server ${server}: ${why}`).join('; ') ||
      'not connected'
    );
  }

  /** @throws ParleyError `sip-port-taken` when servers cannot be listened for. */
  async start(): Promise<void> {
    const { settings } = this.#options;
    if (settings.listen) await this.#listen(settings.listen);
    for (const server of settings.servers) this.#connect(server, BACK_OFF.first);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#listener?.close();
    for (const link of [...this.#links.values(), ...this.#called]) link.close();
  }

  /** @param retried whether an attempt before failed: the server may just be starting. */
  #connect(server: ServerAddress, backOff: number, retried = false): void {
    const name = `${server.host}:${server.port}`;
    const { tls } = this.#options.settings;
    const socket: Socket = tls ? connectTls({ ...server, ...tls }) : connect(server);
    let refused: string | undefined;
    let up = false;
    const link = new AdminLink(socket, this.#linkOptions({ name, called: false }), {
      onEvent: (from, event) => this.#user.onEvent(from, event),
      onClosed: (from, why) => {
        this.#links.delete(name);
        const reason = refused ?? why;
        if (this.#troubles.get(name) !== reason) this.#note(name, reason);
        this.#troubles.set(name, reason);
        if (up) this.#user.onDown(from, reason);
        this.#again(server, refused === undefined ? (up ? BACK_OFF.first : backOff) : REFUSED_MS);
      },
    });
    this.#links.set(name, link);
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      void link.greet().then((why) => {
        if (why !== undefined) {
          refused = why;
          link.close();
          return;
        }
        up = true;
        this.#troubles.delete(name);
        this.#options.log.info(
          { server: name, version: link.version, sip: link.listeners },
          'drachtio-server connected',
        );
        this.#user.onUp(link);
        if (retried) link.lookAgain(() => this.#user.onUp(link));
      });
    });
  }

  #note(name: string, why: string): void {
    if (!this.#closed)
      this.#options.log.warn({ server: name, why }, 'drachtio-server not connected; it is tried again');
  }

  #again(server: ServerAddress, ms: number): void {
    if (this.#closed) return;
    const name = `${server.host}:${server.port}`;
    const next = Math.min(BACK_OFF.most, ms * BACK_OFF.factor);
    this.#timers.set(
      name,
      this.#options.clock.after(ms, () => this.#connect(server, next, true)),
    );
  }

  /** A server makes one connection for each new request that its router gives us; it lives as long as a dialog of it may. */
  async #listen({ host, port }: ServerAddress): Promise<void> {
    const tls = this.#options.settings.listenTls;
    const listener: Server = tls
      ? createTlsServer({ ...tls, handshakeTimeout: HANDSHAKE_MS })
      : createServer();
    listener.on('tlsClientError', (error: Error, socket: Socket) => {
      const address = plainAddress(socket);
      // a stranger's is closed already, and has no address any more
      if (address !== '')
        this.#options.log.warn({ err: error, address }, 'a drachtio-server did not agree on TLS with us');
      socket.destroy(); // after its handshake timeout the library leaves it open
    });
    // nobody else is told the secret, or believed
    listener.prependListener('connection', (socket: Socket) => {
      if (!this.#callers.takes(plainAddress(socket))) socket.destroy();
    });
    listener.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
      if (!socket.destroyed) this.#take(socket);
    });
    this.#listener = listener;
    await this.#callers.learn();
    await new Promise<void>((resolve, reject) => {
      listener.once('error', (error) =>
        reject(new ParleyError('sip-port-taken', error.message, { cause: error })),
      );
      listener.listen(port, host, resolve);
    });
    listener.on('error', (error) => this.#options.log.error({ err: error }, 'listener for drachtio-servers'));
  }

  #take(socket: Socket): void {
    const name = plainAddress(socket);
    const link = new AdminLink(socket, this.#linkOptions({ name, called: true }), {
      onEvent: (from, event) => this.#user.onEvent(from, event),
      onClosed: (from, why) => {
        this.#called.delete(from);
        this.#user.onDown(from, why);
      },
    });
    this.#called.add(link);
    void link.greet().then((why) => {
      if (why !== undefined) {
        link.close();
        return;
      }
      link.name = this.#nameOf(link);
      this.#user.onUp(link);
    });
  }

  /** The port that servers connect to, where there is one. */
  get listeningPort(): number | undefined {
    const address = this.#listener?.address();
    return typeof address === 'object' && address !== null ? address.port : undefined;
  }

  /** Has the servers give new requests to others. */
  async refrain(): Promise<void> {
    this.#refrains = true;
    const patience = new Promise<void>((resolve) => this.#options.clock.after(REFRAIN_MS, resolve));
    await Promise.race([Promise.all(this.links.map((link) => link.refrain())), patience]);
  }

  /** That of our own connection to the same server, over which its flows are reached. */
  #nameOf(called: AdminLink): string {
    const described = (link: AdminLink): string =>
      link.listeners
        .map(({ protocol, address, port }) => `${protocol}/${address}:${port}`)
        .sort()
        .join();
    const alike = this.links.filter((link) => described(link) === described(called));
    const near = alike.find((link) => link.remoteAddress === called.remoteAddress);
    return (near ?? alike[0])?.name ?? called.name;
  }

  #linkOptions(of: { readonly name: string; readonly called: boolean }): LinkOptions {
    const { clock, log, settings } = this.#options;
    const { secret, tags } = settings;
    return { ...of, clock, log, secret, tags, verbs: of.called || this.#refrains ? [] : verbs };
  }
}
