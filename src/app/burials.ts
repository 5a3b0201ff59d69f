import { table, type Store } from '../store/store.js';

interface BurialRow {
  /** Of the dead node's record. */
  readonly key: string;
  /** The node that is at it. */
  readonly by: string;
}

const burials = table<BurialRow>('node-burials');

/** A dead node, and where its record was. */
export interface Burial {
  readonly instance: string;
  readonly key: string;
}

/**
 * Dead nodes whose connections are still to be cleared away, in the store: when the node that is at it dies too, or cannot reach the
 * store, it is done all the same. By instance.
 */
export class Burials {
  readonly #store: Store;
  readonly #self: string;

  /** @param self instance of this node. */
  constructor(store: Store, self: string) {
    this.#store = store;
    this.#self = self;
  }

  /** @returns whether this node is to do it: another has not begun. */
  begin({ instance, key }: Burial): Promise<boolean> {
    return this.#store.update<BurialRow, boolean>(burials, instance, (current) =>
      current
        ? { kind: 'keep', result: current.by === this.#self }
        : { kind: 'put', value: { key, by: this.#self }, result: true },
    );
  }

  end({ instance }: Burial): Promise<void> {
    return this.#store.update(burials, instance, () => ({ kind: 'remove', result: undefined }));
  }

  /** What this node has begun and not ended, and takes over from nodes that live no more. */
  async *open(isAlive: (instance: string) => boolean): AsyncGenerator<Burial> {
    for await (const { key: instance, value } of this.#store.scan(burials)) {
      const { by } = value;
      if (by !== this.#self && (isAlive(by) || !(await this.#takeOver(instance, by)))) continue;
      yield { instance, key: value.key };
    }
  }

  #takeOver(instance: string, from: string): Promise<boolean> {
    return this.#store.update<BurialRow, boolean>(burials, instance, (current) =>
      current?.by === from
        ? { kind: 'put', value: { ...current, by: this.#self }, result: true }
        : { kind: 'keep', result: false },
    );
  }
}
