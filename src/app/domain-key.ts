import { randomBytes } from 'node:crypto';
import type { Logger } from '../base/log.js';
import { table, type Store } from '../store/store.js';

const keys = table<Uint8Array>('keys');

/** The keys that all nodes of the domain share. */
export class DomainKeys {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #known = new Map<string, Uint8Array>();

  constructor(store: Store, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  /** A key of 16 octets, made at the first start. */
  async get(name: string): Promise<Uint8Array> {
    const key = await this.#keep(name, new Uint8Array(randomBytes(16)));
    this.#known.set(name, key);
    return key;
  }

  /** Puts the keys back into a store that has lost them, so that nodes that start make no others. */
  async restore(): Promise<void> {
    for (const [name, key] of this.#known) {
      const kept = await this.#keep(name, key);
      if (Buffer.compare(kept, key) !== 0)
        this.#log.error({ key: name }, 'another node has made another key: this node must be started again');
    }
  }

  #keep(name: string, mine: Uint8Array): Promise<Uint8Array> {
    return this.#store.update(keys, name, (current) =>
      current ? { kind: 'keep', result: current } : { kind: 'put', value: mine, result: mine },
    );
  }
}
