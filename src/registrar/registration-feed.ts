import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Store } from '../store/store.js';
import type { Registrar } from './registrar.js';
import type { BindingChange, RegistrationEvent } from './registration.js';
import { WatchedChannels } from './watched-channels.js';

type Listener = (changes: readonly BindingChange[]) => void;

/** A node listens only to the channels of the sets it watches, and hears little else. */
const CHANNELS = 256;
/** What nobody watched is told after all when somebody turns out to have watched it so much before or longer. */
const LATE_MS = 200;
/** Untold changes that are remembered, twice. */
const MOST_UNTOLD = 5_000;

interface Untold {
  readonly channel: number;
  readonly set: string;
  readonly changes: readonly BindingChange[];
}

export interface FeedOptions {
  readonly store: Store;
  readonly registrar: Pick<Registrar, 'onChange'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Tells the other nodes on one store what the registrar of this node changed, where one of them watches, and hears from them of the sets
 * that are watched here. Delivery is at most once; the registration itself is to be read from the store, which has it by then.
 */
export class RegistrationFeed {
  readonly #node = randomUUID();
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #watched: WatchedChannels;
  /** Of the last {@link LATE_MS}, and of those before. */
  #untold: Untold[] = [];
  #untoldBefore: Untold[] = [];
  #untoldSince = -Infinity;
  readonly #listeners = new Map<string, Set<Listener>>();
  /** Watched sets of each channel, and what ends the subscription to it. */
  readonly #channels = new Map<number, { sets: number; readonly end: () => void }>();
  readonly #unlisten: () => void;

  constructor({ store, registrar, clock, log }: FeedOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#watched = new WatchedChannels({
      store,
      clock,
      log,
      onWatch: (channel) => this.#tellLate(channel),
    });
    this.#unlisten = registrar.onChange((event) => this.#changed(event));
  }

  /**
   * Calls `listener` with what other nodes change in a set, and with nothing when that may have been missed.
   * @returns a function that ends it.
   */
  watch(set: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(set);
    if (listeners) listeners.add(listener);
    else {
      this.#listeners.set(set, new Set([listener]));
      this.#join(channelOf(set));
    }
    return () => this.#unwatch(set, listener);
  }

  close(): void {
    this.#unlisten();
    this.#watched.close();
    for (const { end } of this.#channels.values()) end();
    this.#channels.clear();
    this.#listeners.clear();
  }

  #unwatch(set: string, listener: Listener): void {
    const listeners = this.#listeners.get(set);
    if (!listeners?.delete(listener) || listeners.size > 0) return;
    this.#listeners.delete(set);
    const number = channelOf(set);
    const channel = this.#channels.get(number);
    if (!channel || --channel.sets > 0) return;
    this.#channels.delete(number);
    this.#watched.unwatch(number);
    channel.end();
  }

  #join(number: number): void {
    const channel = this.#channels.get(number);
    if (channel) {
      channel.sets++;
      return;
    }
    const end = this.#store.subscribe(
      nameOf(number),
      (text) => this.#hear(text),
      () => this.#missed(number),
    );
    this.#channels.set(number, { sets: 1, end });
    this.#watched.watch(number);
  }

  #changed({ set, changes }: RegistrationEvent): void {
    const channel = channelOf(set);
    if (this.#watched.has(channel)) this.#publish({ channel, set, changes });
    else this.#remember({ channel, set, changes });
  }

  #publish({ channel, set, changes }: Untold): void {
    this.#store
      .publish(nameOf(channel), `${this.#node} ${set}\n${JSON.stringify(changes)}`)
      .catch((error: unknown) =>
        this.#log.warn({ err: error, set }, 'other nodes were not told of a registration'),
      );
  }

  #remember(untold: Untold): void {
    const now = this.#clock.now();
    if (now - this.#untoldSince >= LATE_MS || this.#untold.length >= MOST_UNTOLD) {
      this.#untoldBefore = now - this.#untoldSince < 2 * LATE_MS ? this.#untold : [];
      this.#untold = [];
      this.#untoldSince = now;
    }
    this.#untold.push(untold);
  }

  /** A node may have read a registration before a change, and have said that it watches it when that was not heard yet here. */
  #tellLate(channel: number): void {
    const isThat = (untold: Untold): boolean => untold.channel === channel;
    if (this.#clock.now() - this.#untoldSince < 2 * LATE_MS)
      for (const untold of [...this.#untoldBefore, ...this.#untold].filter(isThat)) this.#publish(untold);
    this.#untoldBefore = this.#untoldBefore.filter((untold) => !isThat(untold));
    this.#untold = this.#untold.filter((untold) => !isThat(untold));
  }

  #missed(number: number): void {
    for (const [set, listeners] of this.#listeners)
      if (channelOf(set) === number) for (const listener of [...listeners]) listener([]);
  }

  #hear(text: string): void {
    const space = text.indexOf(' ');
    const line = text.indexOf('\n');
    if (text.slice(0, space) === this.#node) return;
    const listeners = this.#listeners.get(text.slice(space + 1, line));
    if (!listeners) return;
    const changes = JSON.parse(text.slice(line + 1)) as readonly BindingChange[];
    for (const listener of [...listeners]) listener(changes);
  }
}

function channelOf(set: string): number {
  let hash = 0;
  for (let i = 0; i < set.length; i++) hash = (Math.imul(hash, 31) + set.charCodeAt(i)) | 0;
  return (hash >>> 0) % CHANNELS;
}

const nameOf = (channel: number): string => `registrations-${channel}`;
