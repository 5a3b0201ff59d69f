import type { Logger } from '../base/log.js';

/** The listeners of one process, by channel. A listener that throws harms no other; its error is logged. */
export class Channels {
  readonly #listeners = new Map<string, Set<{ readonly listener: (payload: string) => void }>>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @returns a function that ends the subscription; calling it again does nothing. */
  subscribe(channel: string, listener: (payload: string) => void): () => void {
    const entry = { listener };
    const entries = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, entries.add(entry));
    return () => {
      entries.delete(entry);
      if (entries.size === 0 && this.#listeners.get(channel) === entries) this.#listeners.delete(channel);
    };
  }

  deliver(channel: string, payload: string): void {
    for (const { listener } of [...(this.#listeners.get(channel) ?? [])]) {
      try {
        listener(payload);
      } catch (error) {
        this.#log.error({ err: error, channel }, 'a listener of store events threw');
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
