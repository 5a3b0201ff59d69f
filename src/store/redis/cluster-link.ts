import { createCluster, RESP_TYPES } from 'redis';
import type { Clock } from '../../base/clock.js';
import {
  backOff,
  connectMs,
  mostWaiting,
  signOfLifeMs,
  silenceMs,
  type Argument,
  type LinkListener,
  type RedisLink,
} from './link.js';

/** `timeout`: `Health` has one for the answer; the client's own makes an AbortSignal for every command. */
const asBuffers = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer }, timeout: 0 };
/** How soon after a node was lost the cluster is asked who has its slots now. */
const rediscoverMs = 500;

function newCluster(urls: readonly string[]) {
  const { username, password, protocol } = new URL(urls[0]!);
  const times = { connectTimeout: connectMs, socketTimeout: silenceMs, reconnectStrategy: backOff };
  return createCluster({
    rootNodes: urls.map((url) => ({ url })),
    RESP: 3,
    // a node that is down must not keep the link from the others
    minimizeConnections: true,
    topologyRefreshOnReconnectionAttemptStrategy: rediscoverMs,
    defaults: {
      disableOfflineQueue: true,
      commandsQueueMaxLength: mostWaiting,
      pingInterval: signOfLifeMs,
      maintNotifications: 'disabled',
      socket: protocol === 'rediss:' ? { ...times, tls: true } : times,
      ...(username && { username: decodeURIComponent(username) }),
      ...(password && { password: decodeURIComponent(password) }),
    },
  });
}

/** A Redis Cluster, found through any of its nodes. */
export class ClusterLink implements RedisLink {
  readonly isCluster = true;
  readonly #cluster: ReturnType<typeof newCluster>;
  readonly #listener: LinkListener;
  readonly #clock: Clock;
  #closed = false;
  #retries = 0;

  /** Resolves when the cluster was found or could not be; then it is looked for again and again. */
  static async open(urls: readonly string[], listener: LinkListener, clock: Clock): Promise<ClusterLink> {
    const link = new ClusterLink(urls, listener, clock);
    await link.#connect();
    return link;
  }

  private constructor(urls: readonly string[], listener: LinkListener, clock: Clock) {
    this.#clock = clock;
    this.#listener = listener;
    this.#cluster = newCluster(urls);
    this.#cluster.on('node-ready', listener.onUp);
    this.#cluster.on('node-error', (error: Error) => listener.onDown(error.message || error.name));
    this.#cluster.on('error', (error: Error) => listener.onDown(error.message || error.name));
  }

  get isUp(): boolean {
    return this.#cluster.isReady;
  }

  send(name: string, command: readonly Argument[]): Promise<unknown> {
    return this.#cluster.sendCommand(name, false, [...command], asBuffers);
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    await this.#cluster.sSubscribe(channel, listener);
  }

  async unsubscribe(channel: string): Promise<void> {
    await this.#cluster.sUnsubscribe(channel);
  }

  close(): void {
    this.#closed = true;
    this.#cluster.destroy();
  }

  async #connect(): Promise<void> {
    try {
      await this.#cluster.connect();
    } catch (error) {
      this.#listener.onDown(error instanceof Error ? error.message : String(error));
      if (!this.#closed) this.#clock.after(backOff(this.#retries++), () => void this.#connect());
    }
  }
}
