import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import { reasonOf, type LmdbFiles } from './files.js';
import { removeSegments } from './journal-files.js';
import type { LmdbTable } from './lmdb-table.js';
import type { SyncMode } from './options.js';
import { sortedKeys } from './sorted-keys.js';

export interface CheckpointOptions {
  readonly folder: string;
  readonly files: LmdbFiles;
  readonly sync: SyncMode;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Records of one transaction: few enough for a turn of 1 ms; for many more LMDB's cost of a page grows. */
const recordsPerTransaction = 1024;
const retryMs = 1000;

/**
 * Writes frozen memtables to the files, in order of keys, and then removes the journal segments that hold the same.
 * A crash in the middle is harmless: the journal still has all of it, and a record is written whole.
 */
export class Checkpoint {
  readonly #options: CheckpointOptions;
  #running: Promise<void> | undefined;
  #trouble: string | undefined;
  #closing = false;
  #retryTimer: Timer | undefined;
  #retry: (() => void) | undefined;
  #onProgress: (() => void)[] = [];

  constructor(options: CheckpointOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Why the files cannot be written; undefined since they can. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Resolves when it has written some more, has met trouble, or has ended. */
  progress(): Promise<void> {
    return new Promise((resolve) => this.#onProgress.push(resolve));
  }

  /** Writes what the tables have frozen, which is all that the journal has up to the segment `last`. */
  start(tables: readonly LmdbTable[], last: number): void {
    this.#running = this.#run(tables, last).finally(() => {
      this.#running = undefined;
      this.#progressed();
    });
  }

  /** Resolves when none is running. One that fails from now on is given up: the journal keeps what it held. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#retryTimer?.cancel();
    this.#retry?.();
    await this.#running;
  }

  async #run(tables: readonly LmdbTable[], last: number): Promise<void> {
    const { files, folder, sync, log } = this.#options;
    try {
      for (const table of tables) await this.#writeTable(table);
      await this.#persist(() => files.putAppliedSegment(last));
      if (sync !== 'none') await files.flushed();
    } catch (error) {
      log.warn({ err: error }, 'the journal keeps what could not be written to the files');
      return;
    }
    files.refresh();
    for (const table of tables) table.dropFrozen();
    try {
      removeSegments(folder, last);
    } catch (error) {
      log.warn({ err: error }, 'a journal segment that is no longer needed stays');
    }
  }

  async #writeTable(table: LmdbTable): Promise<void> {
    const dirty: string[] = [];
    for (const slot of table.frozen.values()) if (slot.dirty) dirty.push(slot.key);
    if (dirty.length === 0) return;
    await this.#persist(() => this.#options.files.putStructures(table.name, table.codec.structures));
    let keys: string[] = [];
    for (const key of await sortedKeys(dirty)) {
      if (keys.push(key) < recordsPerTransaction) continue;
      await this.#writeRecords(table, keys);
      keys = [];
    }
    await this.#writeRecords(table, keys);
  }

  #writeRecords(table: LmdbTable, keys: readonly string[]): Promise<void> {
    return this.#persist(() =>
      table.files.transact((writer) => {
        for (const key of keys) {
          const slot = table.frozen.get(key)!;
          if (slot.removed) writer.remove(key);
          else writer.put(key, slot.bytes.subarray(slot.start, slot.end));
          if (slot.unfiledHint < Infinity) writer.putHint({ time: slot.unfiledHint, key });
        }
      }),
    );
  }

  /** Does a write until it succeeds: what it writes was acknowledged. @throws only when closing. */
  async #persist(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await write();
        if (this.#trouble !== undefined) this.#options.log.info({}, 'the store writes its files again');
        this.#trouble = undefined;
        this.#progressed();
        return;
      } catch (error) {
        if (this.#trouble === undefined)
          this.#options.log.error({ err: error }, 'the store cannot write its files');
        this.#trouble = `files: ${reasonOf(error)}`;
        this.#progressed();
        if (this.#closing) throw error;
      }
      await new Promise<void>((resolve) => {
        this.#retry = resolve;
        this.#retryTimer = this.#options.clock.after(retryMs, resolve);
      });
    }
  }

  #progressed(): void {
    const resolvers = this.#onProgress;
    this.#onProgress = [];
    for (const resolve of resolvers) resolve();
  }
}
