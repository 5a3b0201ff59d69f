import { open, type Database, type RootDatabase } from 'lmdb';
import { pack, unpack } from 'msgpackr';
import type { ParleyError } from '../../base/errors.js';
import { Channels } from '../channels.js';
import { storeError } from '../errors.js';
import { checkKey, checkRecordSize, checkTableName } from '../keys.js';
import type { StoreContext } from '../open.js';
import type { Change, ScanRange, Store, StoredRecord, Table } from '../store.js';

type Version = { value: unknown; deadline: number | undefined } | undefined;
interface Files {
  records: Database<Buffer, Buffer>;
  due: Database<Buffer, Buffer>;
  pending: Map<string, Version>;
}
interface Waiter {
  write: (() => void) | undefined;
  settle: (error?: Error) => void;
}

const dueKey = (time: number, key: string): Buffer =>
  Buffer.from(Math.max(0, Math.trunc(time)).toString(16).padStart(12, '0') + key);

/** The LMDB backend: all updates of one turn of the event loop are one transaction. */
export class LmdbStore implements Store {
  readonly #env: RootDatabase<Buffer, Buffer>;
  readonly #channels: Channels;
  readonly #tables = new Map<string, Files>();
  #waiters: Waiter[] = [];
  #trouble: string | undefined;
  #closed = false;

  private constructor(path: string, { log }: StoreContext) {
    this.#channels = new Channels(log);
    this.#env = open<Buffer, Buffer>({
      path,
      noSubdir: false,
      maxDbs: 128,
      encoding: 'binary',
      keyEncoding: 'binary',
    });
  }

  static async open(path: string, context: StoreContext): Promise<LmdbStore> {
    try {
      return new LmdbStore(path, context);
    } catch (error) {
      throw storeError('store-broken', `${path}: ${String(error)}`, error);
    }
  }

  async get<T>(table: Table<T>, key: string): Promise<T | undefined> {
    checkKey(key);
    return this.#current(this.#files(table.name), key)?.value as T | undefined;
  }

  update<T, R>(table: Table<T>, key: string, fn: (current: T | undefined) => Change<T, R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      checkKey(key);
      const files = this.#files(table.name);
      const before = this.#current(files, key);
      const change = fn(before?.value as T | undefined);
      const settle = (error?: Error): void => (error ? reject(error) : resolve(change.result));
      if (change.kind === 'keep') {
        if (files.pending.has(key)) this.#stage({ write: undefined, settle });
        else settle();
        return;
      }
      const after: Version =
        change.kind === 'put' ? { value: change.value, deadline: change.deadline } : undefined;
      const bytes = after && pack([after.deadline, after.value]);
      if (bytes) checkRecordSize(bytes.length, key);
      files.pending.set(key, after);
      const write = (): void => {
        const name = Buffer.from(key);
        if (before?.deadline !== undefined) files.due.removeSync(dueKey(before.deadline, key));
        if (after?.deadline !== undefined) files.due.putSync(dueKey(after.deadline, key), Buffer.alloc(0));
        if (bytes) files.records.putSync(name, bytes);
        else files.records.removeSync(name);
      };
      this.#stage({ write, settle });
    });
  }

  async *scan<T>(table: Table<T>, range: ScanRange = {}): AsyncGenerator<StoredRecord<T>> {
    const { records } = this.#files(table.name);
    const prefix = Buffer.from(range.prefix ?? '');
    const after = Buffer.from(range.after ?? '');
    let start = Buffer.compare(prefix, after) > 0 ? prefix : Buffer.concat([after, Buffer.of(0)]);
    let left = range.limit ?? Infinity;
    while (left > 0) {
      await this.#settled();
      const page = [...records.getRange({ start, limit: Math.min(left, 256) })];
      for (const { key, value } of page) {
        if (!key.subarray(0, prefix.length).equals(prefix)) return;
        yield { key: key.toString(), value: (unpack(value) as [unknown, T])[1] };
        left--;
      }
      const last = page.at(-1);
      if (!last) return;
      start = Buffer.concat([last.key, Buffer.of(0)]);
    }
  }

  async due<T>(table: Table<T>, time: number, limit: number): Promise<string[]> {
    await this.#settled();
    const end = dueKey(time + 1, '');
    return [...this.#files(table.name).due.getKeys({ end, limit })].map((key) => key.toString().slice(12));
  }

  async publish(channel: string, payload: string): Promise<void> {
    this.#channels.deliver(channel, payload);
  }

  subscribe(channel: string, listener: (payload: string) => void): () => void {
    return this.#channels.subscribe(channel, listener);
  }

  trouble(): string | undefined {
    return this.#trouble;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#settled();
    this.#channels.clear();
    await this.#env.close();
  }

  #files(name: string): Files {
    if (this.#closed) throw storeError('store-unavailable', 'it is closed');
    let files = this.#tables.get(name);
    if (!files) {
      checkTableName(name);
      const options = { encoding: 'binary', keyEncoding: 'binary' } as const;
      files = {
        records: this.#env.openDB<Buffer, Buffer>({ name: `records:${name}`, ...options }),
        due: this.#env.openDB<Buffer, Buffer>({ name: `due:${name}`, ...options }),
        pending: new Map(),
      };
      this.#tables.set(name, files);
    }
    return files;
  }

  #current(files: Files, key: string): Version {
    if (files.pending.has(key)) return files.pending.get(key);
    const bytes = files.records.get(Buffer.from(key));
    if (!bytes) return undefined;
    const [deadline, value] = unpack(bytes) as [number | undefined, unknown];
    return { value, deadline };
  }

  #stage(waiter: Waiter): void {
    if (this.#waiters.push(waiter) === 1) setImmediate(() => this.#commit());
  }

  #settled(): Promise<void> {
    if (this.#waiters.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#stage({ write: undefined, settle: () => resolve() }));
  }

  #commit(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    let failure: ParleyError | undefined;
    try {
      this.#env.transactionSync(() => waiters.forEach((waiter) => waiter.write?.()));
      this.#trouble = undefined;
    } catch (error) {
      this.#trouble = String(error);
      failure = storeError('store-unavailable', this.#trouble, error);
    }
    for (const files of this.#tables.values()) files.pending.clear();
    for (const { settle } of waiters) settle(failure);
  }
}
