import type { Change, ScanRange, Store, StoredRecord, Table } from '../../src/store/store.js';

interface Row {
  readonly value: unknown;
  readonly deadline: number | undefined;
}

const byOctets = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/**
 * The Store contract in memory, for unit tests. Records are copied on the way in and frozen, so that a test fails
 * where code keeps class instances in a record or changes one.
 */
export class MemoryStore implements Store {
  readonly #tables = new Map<string, Map<string, Row>>();
  readonly #listeners = new Map<string, Set<(payload: string) => void>>();
  readonly #missed = new Set<() => void>();
  #interrupted = false;
  /** Commits so far, of all tables. */
  commits = 0;
  /** When set, every update fails with it: a store that cannot commit. */
  failure: Error | undefined;
  /** When set, called with every update, which waits for what it gives. */
  delay: (() => Promise<void> | undefined) | undefined;

  #rows(table: string): Map<string, Row> {
    let rows = this.#tables.get(table);
    if (!rows) this.#tables.set(table, (rows = new Map<string, Row>()));
    return rows;
  }

  /** A store with the same records, which are then changed apart. */
  copy(): MemoryStore {
    const copy = new MemoryStore();
    for (const [name, rows] of this.#tables) copy.#tables.set(name, new Map(rows));
    return copy;
  }

  /** How many records a table holds. */
  size(table: Table<unknown>): number {
    return this.#rows(table.name).size;
  }

  async get<T>(table: Table<T>, key: string): Promise<T | undefined> {
    return this.#rows(table.name).get(key)?.value as T | undefined;
  }

  read<T>(table: Table<T>, key: string): Promise<T | undefined> {
    return this.get(table, key);
  }

  async update<T, R>(table: Table<T>, key: string, fn: (current: T | undefined) => Change<T, R>): Promise<R> {
    const wait = this.delay?.();
    if (wait) await wait;
    if (this.failure) throw this.failure;
    const rows = this.#rows(table.name);
    const change = fn(rows.get(key)?.value as T | undefined);
    if (change.kind === 'put') {
      rows.set(key, { value: deepFreeze(structuredClone(change.value)), deadline: change.deadline });
      this.commits++;
    } else if (change.kind === 'remove') {
      rows.delete(key);
      this.commits++;
    }
    return change.result;
  }

  async *scan<T>(table: Table<T>, range: ScanRange = {}): AsyncIterable<StoredRecord<T>> {
    const { prefix = '', after, limit = Infinity } = range;
    const rows = this.#rows(table.name);
    const keys = [...rows.keys()]
      .filter((key) => key.startsWith(prefix) && (after === undefined || byOctets(key, after) > 0))
      .sort(byOctets);
    let given = 0;
    for (const key of keys) {
      if (given >= limit) return;
      const row = rows.get(key);
      if (!row) continue;
      given++;
      yield { key, value: row.value as T };
    }
  }

  async due<T>(table: Table<T>, time: number, limit: number): Promise<string[]> {
    return [...this.#rows(table.name)]
      .filter(([, row]) => row.deadline !== undefined && row.deadline <= time)
      .sort(([, a], [, b]) => a.deadline! - b.deadline!)
      .slice(0, limit)
      .map(([key]) => key);
  }

  /** Whether events get lost, as while the way to a store is interrupted; afterwards those who listen are told. */
  set interrupted(interrupted: boolean) {
    this.#interrupted = interrupted;
    if (!interrupted) for (const missed of this.#missed) missed();
  }

  async publish(channel: string, payload: string): Promise<void> {
    if (this.#interrupted) return;
    for (const listener of this.#listeners.get(channel) ?? []) listener(payload);
  }

  subscribe(channel: string, listener: (payload: string) => void, missed?: () => void): () => void {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    if (missed) this.#missed.add(missed);
    return () => {
      listeners.delete(listener);
      if (missed) this.#missed.delete(missed);
    };
  }

  onEmptied(): () => void {
    return () => undefined;
  }

  trouble(): string | undefined {
    return this.failure?.message;
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
