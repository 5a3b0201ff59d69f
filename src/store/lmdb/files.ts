import { accessSync, constants, mkdirSync } from 'node:fs';
import { open, type Database, type RootDatabase } from 'lmdb';
import { pack, unpack } from 'msgpackr';
import { ParleyError } from '../../base/errors.js';
import { storeError } from '../errors.js';
import { checkTableName } from '../keys.js';
import { Codec } from './codec.js';
import { checkDataFile } from './data-file.js';

import { isAlive, thisProcess, type ProcessIdentity } from './process-identity.js';
import { deadlineOctets, type Version } from './slot.js';

type Octets = Database<Buffer, Buffer>;

const encodings = { encoding: 'binary', keyEncoding: 'binary' } as const;
const nothing = Buffer.alloc(0);

/** A hint of the due index: a record may be due at that time. Order of hints is by time, then by octets of the key. */
export interface Hint {
  readonly time: number;
  readonly key: string;
}

const timeDigits = 12;
const hintKey = (time: number, key: string): Buffer =>
  Buffer.from(time.toString(16).padStart(timeDigits, '0') + key);
const firstAfter = (key: Buffer): Buffer => Buffer.concat([key, Buffer.of(0)]);

/** The LMDB environment of a folder: where records rest. Only the checkpoint and the due index write here. */
export class LmdbFiles {
  readonly #env: RootDatabase<Buffer, Buffer>;
  readonly #meta: Octets;

  /**
   * Opens the environment, and claims it for this process.
   * @throws ParleyError `store-in-use` or `store-broken`.
   */
  constructor(folder: string) {
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
      checkDataFile(folder);
      // noSubdir: a dot in the name of the folder must not make it a file
      this.#env = open<Buffer, Buffer>({
        path: folder,
        noSubdir: false,
        maxDbs: 256,
        // a failed commit of what it collects by itself rejects a promise that nobody has
        eventTurnBatching: false,
        ...encodings,
      });
      this.#meta = this.#env.openDB<Buffer, Buffer>({ name: 'meta', ...encodings });
    } catch (error) {
      if (error instanceof ParleyError) throw error;
      throw storeError('store-broken', `${folder}: ${reasonOf(error)}`, error);
    }
    this.#claim(folder);
  }

  /** The last journal segment whose updates are all in the files. */
  get appliedSegment(): number {
    return this.#meta.get(Buffer.from('applied'))?.readDoubleLE() ?? 0;
  }

  table(name: string): TableFiles {
    checkTableName(name);
    const records = this.#env.openDB<Buffer, Buffer>({ name: `records:${name}`, ...encodings });
    const due = this.#env.openDB<Buffer, Buffer>({ name: `due:${name}`, ...encodings });
    return new TableFiles(
      this.#env,
      records,
      due,
      new Codec(this.#meta.get(Buffer.from(`structures:${name}`))),
    );
  }

  async putStructures(name: string, structures: Buffer): Promise<void> {
    await transact(this.#env, () => this.#meta.put(Buffer.from(`structures:${name}`), structures));
  }

  async putAppliedSegment(segment: number): Promise<void> {
    const value = Buffer.alloc(8);
    value.writeDoubleLE(segment);
    await transact(this.#env, () => this.#meta.put(Buffer.from('applied'), value));
  }

  /** Resolves when all that was committed is on the disk itself. */
  async flushed(): Promise<void> {
    await this.#env.flushed;
  }

  /** Has the next read see the newest commit. */
  refresh(): void {
    this.#env.resetReadTxn();
  }

  async close(): Promise<void> {
    try {
      this.#meta.removeSync(Buffer.from('owner'));
    } finally {
      await this.#env.close();
    }
  }

  /** LMDB's lock is held within, so that of two processes only one finds the folder free. */
  #claim(folder: string): void {
    const owner = this.#env.transactionSync(() => {
      const stored = this.#meta.get(Buffer.from('owner'));
      const found = stored && (unpack(stored) as ProcessIdentity);
      if (found && isAlive(found)) return found;
      this.#meta.putSync(Buffer.from('owner'), pack(thisProcess()));
      return undefined;
    });
    if (!owner) return;
    void this.#env.close();
    throw storeError('store-in-use', `${folder} is open in process ${owner.pid}`);
  }
}

/** One table in the files. */
export class TableFiles {
  readonly codec: Codec;
  readonly #env: RootDatabase<Buffer, Buffer>;
  readonly #records: Octets;
  readonly #due: Octets;
  readonly #writer: TableWriter;
  #isEmpty: boolean;

  constructor(env: RootDatabase<Buffer, Buffer>, records: Octets, due: Octets, codec: Codec) {
    this.#env = env;
    this.#records = records;
    this.#due = due;
    this.codec = codec;
    this.#isEmpty = records.getKeysCount({ limit: 1 }) === 0;
    // within a batch the promises that LMDB gives are of no use
    this.#writer = {
      put: (key, stored) => {
        this.#isEmpty = false;
        void records.put(Buffer.from(key), stored);
      },
      remove: (key) => void records.remove(Buffer.from(key)),
      putHint: ({ time, key }) => void due.put(hintKey(time, key), nothing),
      removeHint: ({ time, key }) => void due.remove(hintKey(time, key)),
    };
  }

  /** Whether it has held no record since the store was opened. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  read(key: string): Version | undefined {
    const bytes = this.#records.getBinaryFast(Buffer.from(key));
    if (!bytes) return undefined;
    const deadline = bytes.readDoubleLE(0);
    return { value: this.codec.decode(bytes, deadlineOctets, bytes.length), deadline };
  }

  /** The deadline of a record, Infinity for none, undefined when there is no record. */
  readDeadline(key: string): number | undefined {
    return this.#records.getBinaryFast(Buffer.from(key))?.readDoubleLE(0);
  }

  /** Records whose keys begin with `prefix` and come after `after`, in order, at most `limit`. */
  page(prefix: string, after: string | undefined, limit: number): { key: string; value: unknown }[] {
    const first = Buffer.from(prefix);
    const next = after === undefined ? first : firstAfter(Buffer.from(after));
    const start = Buffer.compare(first, next) > 0 ? first : next;
    const page: { key: string; value: unknown }[] = [];
    for (const { key, value } of this.#records.getRange(start.length > 0 ? { start, limit } : { limit })) {
      if (!key.subarray(0, first.length).equals(first)) break;
      page.push({ key: key.toString(), value: this.codec.decode(value, deadlineOctets, value.length) });
    }
    return page;
  }

  /** The first hints at `time` or before. */
  hints(time: number, limit: number): Hint[] {
    const hints: Hint[] = [];
    for (const key of this.#due.getKeys({ end: hintKey(time + 1, ''), limit })) {
      const text = key.toString();
      hints.push({ time: parseInt(text.slice(0, timeDigits), 16), key: text.slice(timeDigits) });
    }
    return hints;
  }

  /** Has the next read see the newest commit. */
  refresh(): void {
    this.#records.resetReadTxn();
  }

  /**
   * Commits what `writes` writes, all or nothing; the work is done by LMDB's own thread.
   * @throws ParleyError `store-unavailable` when it was not committed.
   */
  transact(writes: (writer: TableWriter) => void): Promise<void> {
    return transact(this.#env, () => writes(this.#writer));
  }
}

/** Within {@link TableFiles.transact}: what it may do. */
export interface TableWriter {
  readonly put: (key: string, stored: Buffer) => void;
  readonly remove: (key: string) => void;
  readonly putHint: (hint: Hint) => void;
  readonly removeHint: (hint: Hint) => void;
}

async function transact(env: RootDatabase<Buffer, Buffer>, writes: () => unknown): Promise<void> {
  try {
    await env.batch(writes);
  } catch (error) {
    const { commitError } = error as { readonly commitError?: Promise<unknown> };
    const cause = await Promise.resolve(commitError).then(
      () => error,
      (reason: unknown) => reason,
    );
    throw storeError('store-unavailable', reasonOf(cause), cause);
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
