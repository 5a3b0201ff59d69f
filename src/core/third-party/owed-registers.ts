import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import { table, type Change, type Store } from '../../store/store.js';

/** Of which registration a server is to be told. */
export interface Owed {
  /** Key of the registration set. */
  readonly set: string;
  /** The identity that To names. */
  readonly identity: string;
  /** The criterion, by its server and its place. */
  readonly server: string;
  readonly priority: number;
}

/** That a server is still to be told of a user's registration, as it then is. */
export interface OwedRegister extends Owed {
  /** Greater than that of any note of the same before, within a process. */
  readonly noted: number;
}

interface Row extends OwedRegister {
  /** The running process that is to tell. */
  readonly node: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

export interface OwedRegistersOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** This process, by a name that no other one ever has. */
  readonly node: string;
  /** Whether a process, by its name, runs and tells its servers itself. */
  readonly isAlive: (node: string) => boolean;
}

const rows = table<Row>('third-party-registers');
/** What nobody has told for so long, nobody waits for: a registration has been refreshed or is over. */
const STALE_MS = 86_400_000;

/**
 * Third-party REGISTERs that are not answered yet, in the store: a process that starts again, or another node, sends what a crash
 * has left. A server that gets one twice learns nothing new.
 */
export class OwedRegisters {
  readonly #options: OwedRegistersOptions;
  #notes = 0;

  constructor(options: OwedRegistersOptions) {
    this.#options = options;
  }

  /** Notes that one is to be sent. Resolves when that is committed, or cannot be. */
  async note({ set, identity, server, priority }: Owed): Promise<OwedRegister> {
    const { node, clock } = this.#options;
    const owed: OwedRegister = { set, identity, server, priority, noted: ++this.#notes };
    const value: Row = { ...owed, node, since: clock.now() };
    await this.#change(value, () => ({ kind: 'put', value, result: undefined }));
    return owed;
  }

  /** It was answered, or has been given up; what was noted since is still to be sent. */
  settle(owed: OwedRegister): void {
    void this.#change(owed, (row) => ({
      kind: row?.node === this.#options.node && row.noted === owed.noted ? 'remove' : 'keep',
      result: undefined,
    }));
  }

  /** Those that processes which are no more have left, taken over by this one. */
  async *orphans(): AsyncGenerator<OwedRegister> {
    const { store, clock, node, isAlive } = this.#options;
    for await (const { key, value } of store.scan(rows)) {
      if (value.node === node || isAlive(value.node)) continue;
      const taken = await store.update(rows, key, (row): Change<Row, boolean> => {
        if (row?.node !== value.node) return { kind: 'keep', result: false };
        if (row.since + STALE_MS < clock.now()) return { kind: 'remove', result: false };
        return { kind: 'put', value: { ...row, node }, result: true };
      });
      if (taken) yield value;
    }
  }

  #change(owed: Owed, change: (row: Row | undefined) => Change<Row, undefined>): Promise<void> {
    const { store, log } = this.#options;
    return store
      .update(rows, keyOf(owed), change)
      .catch((error: unknown) =>
        log.warn({ err: error, set: owed.set }, 'a crash would lose a third-party REGISTER'),
      );
  }
}

/** Of fixed length: identities and URIs may be longer than a key. */
const keyOf = ({ set, identity, server, priority }: Owed): string =>
  createHash('sha256').update(`${set}\n${identity}\n${server}\n${priority}`).digest('base64url');
