import { randomUUID } from 'node:crypto';
import type { Logger } from '../../base/log.js';
import { Channels } from '../channels.js';
import { channelName } from './layout.js';
import type { RedisLink } from './link.js';

/**
 * Events by sharded pub/sub. The listeners of this node are told without the way through Redis, so a message
 * names its node, which does not listen to itself.
 */
export class Events {
  readonly #node = randomUUID();
  readonly #log: Logger;
  readonly #channels: Channels;
  /** Subscriptions per channel; the channel is not known to Redis when it is missing in `#subscribed`. */
  readonly #wanted = new Map<string, number>();
  readonly #subscribed = new Set<string>();
  readonly #missed = new Set<{ readonly call: () => void }>();

  constructor(log: Logger) {
    this.#log = log;
    this.#channels = new Channels(log);
  }

  subscribe(
    link: RedisLink,
    channel: string,
    listener: (payload: string) => void,
    missed?: () => void,
  ): () => void {
    const end = this.#channels.subscribe(channel, listener);
    const gap = missed && { call: missed };
    if (gap) this.#missed.add(gap);
    this.#wanted.set(channel, (this.#wanted.get(channel) ?? 0) + 1);
    this.restore(link);
    let ended = false;
    return () => {
      end();
      if (gap) this.#missed.delete(gap);
      if (ended) return;
      ended = true;
      this.#leave(link, channel);
    };
  }

  /** Tells this node, and gives the message for the others. */
  publish(channel: string, payload: string): string {
    this.#channels.deliver(channel, payload);
    return `${this.#node} ${payload}`;
  }

  /** Subscribes to what is wanted and could not be had before. */
  restore(link: RedisLink): void {
    for (const channel of this.#wanted.keys()) {
      if (this.#subscribed.has(channel)) continue;
      this.#subscribed.add(channel);
      link
        .subscribe(channelName(channel), (message) => this.#hear(channel, message))
        .catch((error: unknown) => {
          this.#subscribed.delete(channel);
          this.#log.warn({ err: error, channel }, 'the subscription waits for Redis');
        });
    }
  }

  /** Tells all who want to know that events may have been missed. */
  missed(): void {
    for (const { call } of [...this.#missed]) {
      try {
        call();
      } catch (error) {
        this.#log.error({ err: error }, 'what was missed of store events was not read again');
      }
    }
  }

  #hear(channel: string, message: string): void {
    const space = message.indexOf(' ');
    if (message.slice(0, space) !== this.#node) this.#channels.deliver(channel, message.slice(space + 1));
  }

  #leave(link: RedisLink, channel: string): void {
    const left = (this.#wanted.get(channel) ?? 1) - 1;
    this.#wanted.set(channel, left);
    if (left > 0) return;
    this.#wanted.delete(channel);
    if (!this.#subscribed.delete(channel)) return;
    link.unsubscribe(channelName(channel)).catch((error: unknown) => {
      this.#log.debug({ err: error, channel }, 'the subscription ended with its connection');
    });
  }
}
