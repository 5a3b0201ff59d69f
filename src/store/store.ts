import type { Soon } from '../base/soon.js';

/**
 * The port behind which Parley keeps its records. Two backends fill it: LMDB in-process, and Redis or
 * Redis Cluster when there are several nodes. One contract suite (`test/contract/`) holds for both.
 */

/**
 * A table by name, with the type of its records. A record is plain data: objects, arrays, strings, numbers, booleans,
 * null and `Uint8Array`, no class instances; at most 8 MiB encoded. It is never mutated: stores hand out what they
 * keep. Objects whose property names are data (a map by instance ID) cost more than arrays of objects.
 */
export interface Table<T> {
  readonly name: string;
  readonly form: RecordForm<T> | undefined;
  /** Its records hardly ever change, and are read again and again: stores may keep more of them at hand. */
  readonly isMostlyRead: boolean;
}

/** How records of a table are stored, where that is not as they are: plain data that takes less room and time. */
export interface RecordForm<T> {
  pack(record: T): unknown;
  /** @param stored what {@link pack} gave, or a record as it was stored before its table had a form. */
  unpack(stored: unknown): T;
}

/** Names a table. Names are `a-z` and `-`, at most 48. */
export function table<T>(name: string, form?: RecordForm<T>): Table<T> {
  return { name, form, isMostlyRead: false };
}

/** Names a table whose records change seldom, and are read with most requests. */
export function readTable<T>(name: string): Table<T> {
  return { name, form: undefined, isMostlyRead: true };
}

/**
 * What an update does with its record.
 * A `put` replaces the record; `deadline` (milliseconds since the epoch) says when {@link Store.due} gives it back,
 * and without one it is never due.
 */
export type Change<T, R> =
  | { readonly kind: 'keep'; readonly result: R }
  | { readonly kind: 'put'; readonly value: T; readonly deadline?: number | undefined; readonly result: R }
  | { readonly kind: 'remove'; readonly result: R };

/** Which part of a table a scan walks, in ascending order of keys (by UTF-8 octets). */
export interface ScanRange {
  /** Only keys that begin so. */
  readonly prefix?: string;
  /** Only keys after this one. */
  readonly after?: string;
  /** At most so many records. */
  readonly limit?: number;
}

export interface StoredRecord<T> {
  readonly key: string;
  readonly value: T;
}

/** A key is 1 to 1024 octets of well-formed UTF-8; else the calls that take one reject with `store-key-invalid`. */
export interface Store {
  /** The record as last committed or as a pending update of this node will leave it, or undefined. */
  get<T>(table: Table<T>, key: string): Promise<T | undefined>;

  /** As {@link get}, at once where the store need not wait for anything: what {@link get} rejects with is thrown then. */
  read<T>(table: Table<T>, key: string): Soon<T | undefined>;

  /**
   * Atomic read-modify-write of one record. `fn` must be pure: it may run again on conflict.
   * Resolves with the change's result once the change is committed, that is, once `kill -9` cannot undo it.
   * Updates of one record take effect in the order of the calls. What `fn` throws is thrown, and nothing changes.
   * @throws ParleyError `store-unavailable` when it cannot be known that the change happened, `store-record-too-large`.
   */
  update<T, R>(table: Table<T>, key: string, fn: (current: T | undefined) => Change<T, R>): Promise<R>;

  /** Walks a table in order of keys. Records that change meanwhile are seen before or after their change. */
  scan<T>(table: Table<T>, range?: ScanRange): AsyncIterable<StoredRecord<T>>;

  /**
   * Keys of records whose deadline is `time` or earlier, earliest first (those of one time in order of keys), at most
   * `limit`.
   * A key stays due until an update gives its record a later deadline, none, or removes it.
   */
  due<T>(table: Table<T>, time: number, limit: number): Promise<string[]>;

  /** Tells every node, this one included, that something happened. Delivery is at most once: state is in records. */
  publish(channel: string, payload: string): Promise<void>;

  /**
   * @param missed called when events may not have come, because the way to the store was interrupted: what they would have told is to
   * be read again.
   * @returns a function that ends the subscription.
   */
  subscribe(channel: string, listener: (payload: string) => void, missed?: () => void): () => void;

  /**
   * Calls `listener` when records that were acknowledged are gone, since the store came back empty.
   * @returns a function that ends it.
   */
  onEmptied(listener: () => void): () => void;

  /** Undefined when reads and commits work, else the reason why not, for `/readyz`. */
  trouble(): string | undefined;

  /** Commits what is pending and lets go of the files or connections. */
  close(): Promise<void>;
}
