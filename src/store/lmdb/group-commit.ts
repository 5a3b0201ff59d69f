import type { Clock, Timer } from '../../base/clock.js';
import type { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { storeError } from '../errors.js';
import { BatchWriter, entryKind } from './batch.js';
import type { Encoded } from './codec.js';
import { reasonOf } from './files.js';
import type { Journal } from './journal.js';
import type { LmdbTable } from './lmdb-table.js';
import type { SyncMode } from './options.js';
import type { Slice } from './slabs.js';
import type { Slot, Version } from './slot.js';

/** Whom to tell how the batch ended. */
export interface Waiter {
  readonly result: unknown;
  readonly resolve: (result: never) => void;
  readonly reject: (error: ParleyError) => void;
}

/** An update whose batch is not committed yet; the slice is its value, encoded, in the batch. */
export interface Update extends Waiter, Slice {
  readonly table: LmdbTable;
  readonly slot: Slot;
  readonly version: Version;
}

export interface GroupCommitOptions {
  readonly journal: Journal;
  readonly sync: SyncMode;
  readonly clock: Clock;
  readonly log: Logger;
  /** Takes the updates that the journal has now. */
  readonly onCommit: (updates: readonly Update[]) => void;
  /** When the next batch should wait, what it waits for. */
  readonly backlog: () => Promise<void> | undefined;
}

interface Batch {
  readonly writer: BatchWriter;
  readonly updates: Update[];
  readonly waiters: Waiter[];
}

const newBatch = (writer = new BatchWriter()): Batch => ({ writer, updates: [], waiters: [] });
const earlyFlushOctets = 1024 * 1024;
const largestBatch = 64 * 1024 * 1024;
const syncEveryMs = 1000;
const probeEveryMs = 1000;
const empty: Encoded = { bytes: Buffer.alloc(0), start: 0, end: 0 };

/**
 * Collects the updates of one turn of the event loop, writes them to the journal in one piece, and then tells all
 * who wait. When that fails nobody was told, and everything that is staged is dropped, as it may rest on what failed.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #staged = newBatch();
  #spare = new BatchWriter();
  readonly #declaration = new BatchWriter(4096);
  /** In mode `commit`: written, and not yet on the disk. */
  #syncing: Batch | undefined;
  #scheduled = false;
  #held = false;
  #unsynced = false;
  #syncTimer: Timer | undefined;
  #probeTimer: Timer | undefined;
  #trouble: string | undefined;
  #whenIdle: (() => void)[] = [];

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Why the last batch failed; undefined since one was written again. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** True when nothing is staged and nothing on its way. */
  get isIdle(): boolean {
    return this.#syncing === undefined && this.#staged.waiters.length === 0;
  }

  /** @param value the encoded value, undefined to remove the record. @throws ParleyError `store-unavailable`. */
  stage(table: LmdbTable, slot: Slot, version: Version, value: Encoded | undefined, waiter: Waiter): void {
    const { writer, updates } = this.#staged;
    if (writer.length > largestBatch) throw storeError('store-unavailable', 'too many updates wait');
    this.#declare(table);
    const { bytes, start, end } = value ?? empty;
    const kind = value ? entryKind.put : entryKind.remove;
    const at = writer.add(kind, table.id, slot.key, version.deadline, bytes, start, end);
    const { result, resolve, reject } = waiter;
    const update = {
      result,
      resolve,
      reject,
      table,
      slot,
      version,
      bytes: writer.bytes,
      start: at,
      end: at + end - start,
    };
    updates.push(update);
    slot.staged = version;
    this.wait(update);
    if (writer.length > earlyFlushOctets) this.#flush();
  }

  /** Tells `waiter` how the batch that is being collected ended, and with it all before it. */
  wait(waiter: Waiter): void {
    this.#staged.waiters.push(waiter);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  /** Resolves when nothing is staged and nothing on its way. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Finds out whether the journal can be written, also when nobody updates anything: while it cannot, nobody is sent. */
  probe(): void {
    this.#probeTimer = undefined;
    if (this.#syncing) return;
    try {
      this.#options.journal.probe();
      this.#recovered();
    } catch (error) {
      this.#failed(error);
    }
  }

  close(): void {
    this.#syncTimer?.cancel();
    this.#probeTimer?.cancel();
  }

  /** Tells the journal about a table, or about new structures of its values, before an update needs it. */
  #declare(table: LmdbTable): void {
    if (table.declared === table.codec.generation) return;
    this.#declaration.clear();
    table.declare(this.#declaration);
    try {
      this.#options.journal.append(this.#declaration);
    } catch (error) {
      throw this.#failed(error);
    }
    table.declared = table.codec.generation;
  }

  #flush(): void {
    if (this.#syncing || this.#held || this.#staged.waiters.length === 0) return;
    const { journal, sync, backlog } = this.#options;
    const hold = backlog();
    if (hold) {
      this.#held = true;
      void hold.then(() => {
        this.#held = false;
        this.#flush();
      });
      return;
    }
    const batch = this.#staged;
    const mark = journal.mark;
    try {
      if (batch.updates.length > 0) journal.append(batch.writer);
    } catch (error) {
      this.#reject(this.#failed(error), batch);
      return;
    }
    this.#staged = newBatch(this.#spare);
    this.#spare = batch.writer;
    if (sync !== 'commit' || batch.updates.length === 0) {
      this.#finish(batch);
      return;
    }
    this.#syncing = batch;
    journal.sync((error) => {
      this.#syncing = undefined;
      if (!error) {
        this.#finish(batch);
        this.#flush();
        return;
      }
      journal.rollBack(mark);
      const failure = this.#failed(error);
      this.#reject(failure, batch);
      this.#reject(failure, this.#staged);
    });
  }

  #finish(batch: Batch): void {
    if (batch.updates.length > 0) {
      this.#recovered();
      this.#options.onCommit(batch.updates);
      this.#syncLater();
    }
    batch.writer.clear();
    for (const waiter of batch.waiters) waiter.resolve(waiter.result as never);
    this.#announceIdle();
  }

  #reject(error: ParleyError, { writer, updates, waiters }: Batch): void {
    writer.clear();
    if (writer === this.#staged.writer) this.#staged = newBatch(writer);
    for (const { table, slot } of updates) table.unstage(slot);
    for (const waiter of waiters) waiter.reject(error);
    this.#announceIdle();
  }

  #announceIdle(): void {
    if (!this.isIdle) return;
    const resolvers = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of resolvers) resolve();
  }

  #failed(error: unknown): ParleyError {
    const reason = `journal: ${reasonOf(error)}`;
    if (this.#trouble === undefined) this.#options.log.error({ err: error }, 'the store cannot commit');
    this.#trouble = reason;
    this.#probeTimer ??= this.#options.clock.after(probeEveryMs, () => this.probe());
    return storeError('store-unavailable', reason, error);
  }

  #recovered(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    this.#probeTimer?.cancel();
    this.#probeTimer = undefined;
    this.#options.log.info({}, 'the store commits again');
  }

  #syncLater(): void {
    if (this.#options.sync !== 'interval' || this.#syncTimer) {
      this.#unsynced = true;
      return;
    }
    this.#syncTimer = this.#options.clock.after(syncEveryMs, () => {
      this.#unsynced = false;
      this.#options.journal.sync((error) => {
        this.#syncTimer = undefined;
        if (error) {
          // the kernel may have dropped what it could not write: the next batch goes to a new file
          this.#options.journal.rollBack(this.#options.journal.mark);
          this.#failed(error);
        } else if (this.#unsynced) this.#syncLater();
      });
    });
  }
}
