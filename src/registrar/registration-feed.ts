import { randomUUID } from 'node:crypto';
import type { Logger } from '../base/log.js';
import type { Store } from '../store/store.js';
import type { Registrar } from './registrar.js';
import type { BindingChange, RegistrationEvent } from './registration.js';

type Listener = (changes: readonly BindingChange[]) => void;

/** A node listens only to the channels of the sets it watches, and hears little else. */
const CHANNELS = 256;

/**
 * Tells the other nodes on one store what the registrar of this node changed, and hears from them of the sets that are
 * watched here. Delivery is at most once; the registration itself is to be read from the store, which has it by then.
 */
export class RegistrationFeed {
  readonly #node = randomUUID();
  readonly #store: Store;
  readonly #log: Logger;
  readonly #listeners = new Map<string, Set<Listener>>();
  /** Watched sets of each channel, and what ends the subscription to it. */
  readonly #channels = new Map<string, { sets: number; readonly end: () => void }>();
  readonly #unlisten: () => void;

  constructor(store: Store, registrar: Registrar, log: Logger) {
    this.#store = store;
    this.#log = log;
    this.#unlisten = registrar.onChange((event) => this.#publish(event));
  }

  /** Calls `listener` with what other nodes change in a set. @returns a function that ends it. */
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
    for (const { end } of this.#channels.values()) end();
    this.#channels.clear();
    this.#listeners.clear();
  }

  #unwatch(set: string, listener: Listener): void {
    const listeners = this.#listeners.get(set);
    if (!listeners?.delete(listener) || listeners.size > 0) return;
    this.#listeners.delete(set);
    const name = channelOf(set);
    const channel = this.#channels.get(name);
    if (!channel || --channel.sets > 0) return;
    this.#channels.delete(name);
    channel.end();
  }

  #join(name: string): void {
    const channel = this.#channels.get(name);
    if (channel) channel.sets++;
    else this.#channels.set(name, { sets: 1, end: this.#store.subscribe(name, (text) => this.#hear(text)) });
  }

  #publish({ set, changes }: RegistrationEvent): void {
    this.#store
      .publish(channelOf(set), `${this.#node} ${set}\n${JSON.stringify(changes)}`)
      .catch((error: unknown) =>
        this.#log.warn({ err: error, set }, 'other nodes were not told of a registration'),
      );
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

function channelOf(set: string): string {
  let hash = 0;
  for (let i = 0; i < set.length; i++) hash = (Math.imul(hash, 31) + set.charCodeAt(i)) | 0;
  return `registrations-${(hash >>> 0) % CHANNELS}`;
}
