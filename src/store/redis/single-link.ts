import { createClient, RESP_TYPES } from 'redis';
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
export const asBuffers = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer }, timeout: 0 };

/** A replica can be read: its connection is given up no oftener than this. */
const leaveEveryMs = 1000;

/** @param again whether the client makes a new connection to the same place when it loses one. */
export function newClient(url: string, again = true) {
  return createClient({
    url,
    RESP: 3,
    disableOfflineQueue: true,
    commandsQueueMaxLength: mostWaiting,
    pingInterval: signOfLifeMs,
    maintNotifications: 'disabled',
    socket: { connectTimeout: connectMs, socketTimeout: silenceMs, reconnectStrategy: again && backOff },
  });
}
export type Client = ReturnType<typeof newClient>;

/** A Redis by its URL. */
export class SingleLink implements RedisLink {
  readonly isCluster = false;
  readonly #client: Client;
  readonly #clock: Clock;
  #leftAt = -Infinity;

  /** Resolves when the first connection is there or has failed; a failed one is tried again and again. */
  static open(url: string, listener: LinkListener, clock: Clock): Promise<SingleLink> {
    return new Promise((resolve) => {
      const both: LinkListener = {
        onUp: () => {
          listener.onUp();
          resolve(link);
        },
        onDown: (reason) => {
          listener.onDown(reason);
          resolve(link);
        },
      };
      const link: SingleLink = new SingleLink(url, both, clock);
    });
  }

  private constructor(url: string, { onUp, onDown }: LinkListener, clock: Clock) {
    this.#clock = clock;
    this.#client = newClient(url);
    this.#client.on('ready', onUp);
    this.#client.on('error', (error: Error) => onDown(error.message || error.name));
    // it says the same as the events, and ends only when the link is closed
    this.#client.connect().catch((error: Error) => onDown(error.message || error.name));
  }

  get isUp(): boolean {
    return this.#client.isReady;
  }

  async send(_: string, command: readonly Argument[]): Promise<unknown> {
    try {
      return await this.#client.sendCommand(command, asBuffers);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('READONLY')) this.#leave();
      throw error;
    }
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    await this.#client.sSubscribe(channel, listener);
  }

  async unsubscribe(channel: string): Promise<void> {
    await this.#client.sUnsubscribe(channel);
  }

  close(): void {
    this.#client.destroy();
  }

  /** It has become a replica, and another one the master: the URL may lead there by now, and a new connection with it. */
  #leave(): void {
    const now = this.#clock.now();
    if (now - this.#leftAt < leaveEveryMs) return;
    this.#leftAt = now;
    // Redis closes the connection, and the client makes another
    this.#client.sendCommand(['QUIT']).catch(() => undefined);
  }
}
