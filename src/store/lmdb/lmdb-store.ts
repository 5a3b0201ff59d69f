import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import { Channels } from '../channels.js';
import { storeError } from '../errors.js';
import { asDeadline, checkRecordSize } from '../keys.js';
import type { StoreContext } from '../open.js';
import type { Change, RecordForm, ScanRange, Store, StoredRecord, Table } from '../store.js';
import { BatchWriter, entryKind } from './batch.js';
import { Checkpoint } from './checkpoint.js';
import { LmdbFiles } from './files.js';
import { FolderGuard } from './folder-guard.js';
import { GroupCommit } from './group-commit.js';
import { removeSegments, replay, segmentsIn } from './journal-files.js';
import { Journal } from './journal.js';
import { LmdbTable } from './lmdb-table.js';
import { Slabs } from './slabs.js';
import { lmdbDefaults, type LmdbOptions } from './options.js';
import { scanTable } from './scan.js';

/**
 * The LMDB backend. An update is committed by one append to a journal that it shares with all updates of its turn
 * of the event loop; the newest versions are in memory, and a checkpoint writes them to LMDB in order of keys.
 * (LMDB alone copies about two pages for each update of a large table, 20 µs of CPU where this takes 5.)
 */
export class LmdbStore implements Store {
  readonly #options: LmdbOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #channels: Channels;
  readonly #files: LmdbFiles;
  readonly #journal: Journal;
  readonly #commit: GroupCommit;
  readonly #checkpoint: Checkpoint;
  readonly #tables = new Map<string, LmdbTable>();
  #slabs = new Slabs();
  #checkpointTimer: Timer | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Opens a folder, made when it is not there. The work is that of reading the journal, whatever the files hold.
   * @throws ParleyError `store-in-use` or `store-broken`.
   */
  constructor(folder: string, { clock, log }: StoreContext, options: Partial<LmdbOptions> = {}) {
    this.#options = { ...lmdbDefaults, ...options };
    this.#clock = clock;
    this.#log = log;
    this.#channels = new Channels(log);
    this.#files = new LmdbFiles(folder);
    const { sync } = this.#options;
    this.#checkpoint = new Checkpoint({ folder, files: this.#files, sync, clock, log });
    const { segment, nextSequence } = this.#replay(folder);
    this.#journal = new Journal({
      folder,
      guard: new FolderGuard(folder),
      lastSegment: segment,
      nextSequence,
      syncs: sync !== 'none',
      preamble: (batch) => this.#declareAll(batch),
      batch: new BatchWriter(4096),
    });
    this.#commit = new GroupCommit({
      journal: this.#journal,
      sync,
      clock,
      log,
      onCommit: (updates) => {
        for (const update of updates) update.table.commit(update.slot, update.version, update, this.#slabs);
        this.#checkpointWhenDue();
      },
      backlog: () => this.#backlog(),
    });
    this.#commit.probe();
    if (nextSequence > 1) this.#freeze(segment);
  }

  async get<T>(table: Table<T>, key: string): Promise<T | undefined> {
    return this.read(table, key);
  }

  read<T>(table: Table<T>, key: string): T | undefined {
    const from = this.#table(table);
    const slot = from.find(key);
    if (!slot) return undefined;
    return (slot.staged ? slot.staged.value : from.valueOf(slot)) as T | undefined;
  }

  update<T, R>(table: Table<T>, key: string, fn: (current: T | undefined) => Change<T, R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const into = this.#table(table);
      const slot = into.slot(key);
      const before = (slot.staged ? slot.staged.value : into.valueOf(slot)) as T | undefined;
      const change = fn(before);
      const waiter = { result: change.result, resolve, reject };
      if (change.kind === 'put') {
        const encoded = into.codec.encode(change.value);
        checkRecordSize(encoded.end - encoded.start, key);
        const version = { value: change.value, deadline: asDeadline(change.deadline) };
        this.#commit.stage(into, slot, version, encoded, waiter);
      } else if (change.kind === 'remove' && before !== undefined) {
        this.#commit.stage(into, slot, { value: undefined, deadline: Infinity }, undefined, waiter);
      } else if (slot.staged) {
        this.#commit.wait(waiter);
      } else {
        resolve(change.result);
      }
    });
  }

  scan<T>(table: Table<T>, range: ScanRange = {}): AsyncIterable<StoredRecord<T>> {
    return scanTable(this.#table(table), range) as AsyncIterable<StoredRecord<T>>;
  }

  async due<T>(table: Table<T>, time: number, limit: number): Promise<string[]> {
    return this.#table(table).dueIndex.due(time, limit);
  }

  async publish(channel: string, payload: string): Promise<void> {
    this.#channels.deliver(channel, payload);
  }

  /** Its files do not come back empty: a folder that is deleted is never written again. */
  onEmptied(): () => void {
    return () => undefined;
  }

  subscribe(channel: string, listener: (payload: string) => void): () => void {
    return this.#channels.subscribe(channel, listener);
  }

  trouble(): string | undefined {
    return this.#commit.trouble ?? this.#checkpoint.trouble;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#commit.idle();
    this.#commit.close();
    this.#checkpointTimer?.cancel();
    await this.#checkpoint.close();
    this.#journal.close();
    // a checkpoint that was given up has left its frozen memtables, and the journal has them
    if (this.trouble() === undefined) {
      this.#freeze(this.#journal.segment);
      await this.#checkpoint.close();
    }
    this.#channels.clear();
    await this.#files.close();
  }

  #table<T>({ name, form, isMostlyRead }: Table<T>): LmdbTable {
    if (this.#closed) throw storeError('store-unavailable', 'it is closed');
    const table = this.#tables.get(name) ?? this.#openTable(name, this.#tables.size);
    // one that the journal has opened has none yet
    table.codec.form ??= form as RecordForm<unknown> | undefined;
    if (isMostlyRead) table.keepMoreDecoded(this.#options.decodedWhereRead);
    return table;
  }

  #openTable(name: string, id: number): LmdbTable {
    const table = new LmdbTable(name, id, this.#files.table(name), this.#options.decodedRecords);
    this.#tables.set(name, table);
    return table;
  }

  /** How long updates must wait, so that memory stays in its bounds: a checkpoint writes what an earlier one holds. */
  #backlog(): Promise<void> | undefined {
    const { memoryLimit, journalLimit } = this.#options;
    const isFull = this.#slabs.octets > memoryLimit || this.#journal.length > journalLimit;
    return isFull && this.#checkpoint.isRunning ? this.#checkpoint.progress() : undefined;
  }

  #checkpointWhenDue(): void {
    const { memoryOctets, journalOctets, checkpointMs } = this.#options;
    this.#checkpointTimer ??= this.#clock.after(checkpointMs, () => {
      this.#checkpointTimer = undefined;
      if (!this.#checkpoint.isRunning) this.#beginCheckpoint();
    });
    const full = this.#slabs.octets >= memoryOctets || this.#journal.length >= journalOctets;
    if (full && !this.#checkpoint.isRunning) this.#beginCheckpoint();
  }

  #beginCheckpoint(): void {
    const last = this.#journal.segment;
    try {
      this.#journal.rotate();
    } catch (error) {
      this.#log.warn({ err: error }, 'the journal cannot begin a new segment');
      return;
    }
    this.#freeze(last);
  }

  /** Hands what is in memory, the same as the journal up to `last`, to the checkpoint. */
  #freeze(last: number): void {
    const tables = [...this.#tables.values()];
    for (const table of tables) table.freeze();
    this.#slabs = new Slabs();
    this.#checkpoint.start(tables, last);
  }

  #declareAll(batch: BatchWriter): void {
    for (const table of this.#tables.values()) table.declare(batch);
  }

  /** Brings back to memory what the journal has and the files may not have. */
  #replay(folder: string): { segment: number; nextSequence: number } {
    const applied = this.#files.appliedSegment;
    removeSegments(folder, applied);
    const segments = segmentsIn(folder);
    const tables: LmdbTable[] = [];
    const { nextSequence, octetsDropped, batchesMissing } = replay(folder, segments, (entry) => {
      if (entry.kind === entryKind.table) {
        const table = this.#tables.get(entry.key) ?? this.#openTable(entry.key, this.#tables.size);
        table.codec.adopt(entry.bytes.subarray(entry.start, entry.end));
        tables[entry.table] = table;
        return;
      }
      const removed = entry.kind === entryKind.remove;
      tables[entry.table]!.replay(entry.key, removed, entry.deadline, entry, this.#slabs);
    });
    if (octetsDropped > 0) this.#log.warn({ octets: octetsDropped }, 'the journal ended within a batch');
    if (batchesMissing > 0) this.#log.error({ batches: batchesMissing }, 'the journal has lost batches');
    return { segment: segments.at(-1) ?? applied, nextSequence };
  }
}
