import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import { table, type Store } from '../store/store.js';

/** Channels on which a node listens for registration events. The key of a record names the node. */
interface WatchesRow {
  readonly channels: readonly number[];
}

const watches = table<WatchesRow>('registration-watches');
const ANNOUNCEMENTS = 'registration-watches';
/** A node says so often what it listens to, and is believed for so long after. */
const RENEW_MS = 30_000;
const LIFE_MS = 100_000;
const DEAD_AT_ONCE = 100;

interface Told {
  readonly channels: Set<number>;
  heardAt: number;
}

export interface WatchedChannelsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Another node begins to listen to a channel. */
  readonly onWatch: (channel: number) => void;
}

/**
 * Which channels of registration events other nodes listen to: what nobody hears need not be said. A node tells the others at once when
 * it begins to listen, and keeps a record for those that did not hear it. Until the records were read, everything is watched.
 */
export class WatchedChannels {
  readonly #node = randomUUID();
  readonly #options: WatchedChannelsOptions;
  readonly #own = new Set<number>();
  /** By node. Undefined before the records were read. */
  #others: Map<string, Told> | undefined;
  #timer: Timer | undefined;
  #wanted = false;
  readonly #unlisten: () => void;

  constructor(options: WatchedChannelsOptions) {
    this.#options = options;
    this.#unlisten = options.store.subscribe(
      ANNOUNCEMENTS,
      (text) => this.#hear(text),
      () => this.#missed(),
    );
    this.#turn();
  }

  /** Whether another node listens to the channel, as far as it is known. */
  has(channel: number): boolean {
    if (!this.#others) return true;
    for (const { channels } of this.#others.values()) if (channels.has(channel)) return true;
    return false;
  }

  /** This node listens to the channel from now on. */
  watch(channel: number): void {
    if (this.#own.has(channel)) return;
    this.#own.add(channel);
    const { store, log } = this.#options;
    store
      .publish(ANNOUNCEMENTS, `${this.#node} ${channel}`)
      .catch((error: unknown) => log.warn({ err: error }, 'other nodes learn later what is watched here'));
    this.#keep();
  }

  /** It listens no more; the others need not know at once. */
  unwatch(channel: number): void {
    this.#own.delete(channel);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#unlisten();
    this.#own.clear();
    this.#keep();
  }

  #turn(): void {
    const { clock, log } = this.#options;
    this.#keep();
    this.#read().catch((error: unknown) =>
      log.warn({ err: error }, 'it is not known what other nodes watch; they are told everything'),
    );
    this.#timer = clock.after(RENEW_MS, () => this.#turn());
  }

  /** Puts the record of this node; what changes in one turn of the event loop goes together. */
  #keep(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    queueMicrotask(() => {
      this.#wanted = false;
      const { store, clock, log } = this.#options;
      const channels = [...this.#own];
      store
        .update(watches, this.#node, (current) => {
          if (channels.length > 0)
            return {
              kind: 'put',
              value: { channels },
              deadline: clock.now() + LIFE_MS,
              result: undefined,
            };
          return current ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined };
        })
        .catch((error: unknown) => log.debug({ err: error }, 'what is watched here is kept later'));
    });
  }

  /** What another node began to listen to was perhaps not heard, nor what this one said. */
  #missed(): void {
    this.#others = undefined;
    this.#timer?.cancel();
    this.#turn();
  }

  async #read(): Promise<void> {
    const { store, clock } = this.#options;
    const now = clock.now();
    for (const node of await store.due(watches, now, DEAD_AT_ONCE))
      await store.update(watches, node, () => ({ kind: 'remove', result: undefined }));
    const read = new Map<string, readonly number[]>();
    for await (const { key, value } of store.scan(watches))
      if (key !== this.#node) read.set(key, value.channels);
    this.#others ??= new Map();
    for (const [node, { heardAt }] of this.#others) if (heardAt + LIFE_MS <= now) this.#others.delete(node);
    for (const [node, channels] of read) {
      const told = this.#others.get(node);
      // what was heard since is not in the record yet
      const newer = told && told.heardAt >= now ? told.channels : [];
      this.#others.set(node, { channels: new Set([...channels, ...newer]), heardAt: now });
    }
  }

  #hear(text: string): void {
    const [node = '', number] = text.split(' ');
    if (node === this.#node) return;
    const channel = Number(number);
    const told = this.#others?.get(node);
    told?.channels.add(channel);
    if (told) told.heardAt = this.#options.clock.now();
    else this.#others?.set(node, { channels: new Set([channel]), heardAt: this.#options.clock.now() });
    this.#options.onWatch(channel);
  }
}
