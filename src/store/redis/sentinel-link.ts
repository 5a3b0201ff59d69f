import type { Clock, Timer } from '../../base/clock.js';
import { bracketed } from '../../base/endpoint.js';
import type { Logger } from '../../base/log.js';
import { backOff, connectMs, type Argument, type LinkListener, type RedisLink } from './link.js';
import { Sentinels, type Master } from './sentinels.js';
import { asBuffers, newClient, type Client } from './single-link.js';

/** How often the sentinels are asked who the master is: what is silent, or cut off with us, does not say that it is one no more. */
const lookEveryMs = 1000;

/** Where a link to what sentinels watch leads. */
export interface SentinelPlace {
  /** Of the sentinels, without user, password and database, which are those of the master. */
  readonly sentinels: readonly string[];
  /** The name under which they know the master. */
  readonly master: string;
  /** URL of the master, but for its host and port. */
  readonly like: string;
}

/**
 * The master of a Redis with replicas that sentinels watch. Whether there is a connection or not, it is asked for again
 * and again; a new master is left to by making a connection to it first.
 */
export class SentinelLink implements RedisLink {
  readonly isCluster = false;
  readonly #place: SentinelPlace;
  readonly #sentinels: Sentinels;
  readonly #listener: LinkListener;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #subscriptions = new Map<string, (message: string) => void>();
  #client: Client | undefined;
  #master: Master | undefined;
  #timer: Timer | undefined;
  #looks = false;
  #retries = 0;
  #unwatched = false;
  #closed = false;

  /** Resolves when the master was found or could not be; then it is looked for again and again. */
  static async open(
    place: SentinelPlace,
    listener: LinkListener,
    { clock, log }: { readonly clock: Clock; readonly log: Logger },
  ): Promise<SentinelLink> {
    const link = new SentinelLink(place, listener, clock, log);
    await link.#look();
    return link;
  }

  private constructor(place: SentinelPlace, listener: LinkListener, clock: Clock, log: Logger) {
    this.#place = place;
    this.#listener = listener;
    this.#clock = clock;
    this.#log = log;
    this.#sentinels = new Sentinels(place.sentinels, place.master, clock);
  }

  get isUp(): boolean {
    return this.#client?.isReady === true;
  }

  async send(_: string, command: readonly Argument[]): Promise<unknown> {
    const client = this.#connected();
    try {
      return await client.sendCommand(command, asBuffers);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('READONLY'))
        this.#lost(client, 'it is a replica by now');
      throw error;
    }
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    await this.#connected().sSubscribe(channel, listener);
    this.#subscriptions.set(channel, listener);
  }

  async unsubscribe(channel: string): Promise<void> {
    this.#subscriptions.delete(channel);
    await this.#client?.sUnsubscribe(channel);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#sentinels.close();
    this.#client?.destroy();
  }

  #connected(): Client {
    if (!this.#client) throw new Error('no master is connected');
    return this.#client;
  }

  /** Asks for the master, goes there if it is another one, and sees to it that this is done again. */
  async #look(): Promise<void> {
    this.#timer?.cancel();
    this.#looks = true;
    try {
      const master = await this.#sentinels.master();
      this.#watched(true);
      if (!this.#closed && !this.#isThere(master)) await this.#goTo(master);
      if (this.isUp) this.#retries = 0;
    } catch (error) {
      const reason = error instanceof Error ? error.message || error.name : String(error);
      // a master that is connected is used on, as long as nobody says that there is another
      if (this.isUp) this.#watched(false, reason);
      else if (!this.#closed) this.#listener.onDown(reason);
    }
    this.#looks = false;
    this.#lookAgain();
  }

  #lookAgain(): void {
    if (this.#closed || this.#looks) return;
    this.#timer?.cancel();
    const ms = this.isUp ? lookEveryMs : backOff(this.#retries++);
    this.#timer = this.#clock.after(ms, () => void this.#look());
  }

  #watched(isSo: boolean, reason = ''): void {
    if (isSo !== this.#unwatched) return;
    this.#unwatched = !isSo;
    if (isSo) this.#log.info({}, 'sentinels tell the master of Redis again');
    else
      this.#log.warn(
        { reason },
        'no sentinel tells the master of Redis; the one that is connected is used on',
      );
  }

  /** An answer of an election before the one that we know of is no reason to leave. */
  #isThere({ host, port, epoch }: Master): boolean {
    const now = this.#master;
    if (!this.isUp || !now) return false;
    return epoch < now.epoch || (host === now.host && port === now.port);
  }

  /** @throws Error when it is not there, or no master yet: sentinels name it before it knows. */
  async #goTo(master: Master): Promise<void> {
    const url = new URL(this.#place.like);
    url.hostname = bracketed(master.host);
    url.port = String(master.port);
    const client = newClient(url.href, false);
    client.on('error', (error: Error) => this.#lost(client, error.message || error.name));
    // one that stands still takes connections, and says nothing
    const patience = this.#clock.after(connectMs, () => client.destroy());
    try {
      await client.connect();
      const [role] = (await client.sendCommand(['ROLE'])) as unknown as [string];
      if (role !== 'master') throw new Error(`${master.host}:${master.port} is no master yet`);
      for (const [channel, listener] of this.#subscriptions) await client.sSubscribe(channel, listener);
    } catch (error) {
      if (client.isOpen) client.destroy();
      throw error;
    } finally {
      patience.cancel();
    }
    const before = this.#client;
    this.#client = client;
    this.#master = master;
    // what waits for an answer of it fails: it may have been done, and lost
    before?.destroy();
    if (this.#closed) client.destroy();
    else this.#listener.onUp();
  }

  #lost(client: Client, reason: string): void {
    if (client !== this.#client) return;
    this.#client = undefined;
    client.destroy();
    if (this.#closed) return;
    this.#listener.onDown(reason);
    this.#lookAgain();
  }
}
