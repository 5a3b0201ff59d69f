import { storeError } from '../errors.js';
import { entryKind, type BatchWriter } from './batch.js';
import type { Codec } from './codec.js';
import { DueIndex } from './due-index.js';
import { reasonOf, type TableFiles } from './files.js';
import { GenerationCache } from './generation-cache.js';
import { deadlineOctets, MemRecord, type Slabs, type Slice } from './memtable.js';

/** A record as callers see it; `value` is undefined when there is none. */
export interface Version {
  readonly value: unknown;
  /** Milliseconds since the epoch, Infinity for none. */
  readonly deadline: number;
}

/** An update that waits for its batch to be committed; the slice is its value, encoded, in the batch. */
export interface Staged extends Slice {
  readonly table: LmdbTable;
  readonly key: string;
  readonly version: Version;
  /** The deadline that the record had before. */
  readonly deadlineBefore: number;
}

const absent: Version = { value: undefined, deadline: Infinity };

/** One table: staged updates over memtables over the files, and a cache of decoded records. */
export class LmdbTable {
  readonly name: string;
  /** Its number in the journal. */
  readonly id: number;
  readonly files: TableFiles;
  readonly dueIndex: DueIndex;
  /** The newest update of each record that is staged and not committed. */
  readonly staged = new Map<string, Staged>();
  /** How many generations of structures the journal's current segment was told of. */
  declared = -1;
  #active = new Map<string, MemRecord>();
  #frozen = new Map<string, MemRecord>();
  readonly #cache: GenerationCache<Version>;

  constructor(name: string, id: number, files: TableFiles, cacheRecords: number) {
    this.name = name;
    this.id = id;
    this.files = files;
    this.#cache = new GenerationCache(cacheRecords);
    this.dueIndex = new DueIndex(this, files);
  }

  get codec(): Codec {
    return this.files.codec;
  }

  /** Records whose newest version is in memory. */
  get memRecords(): number {
    return this.#active.size;
  }

  /** The frozen memtable, which the checkpoint writes to the files. */
  get frozen(): ReadonlyMap<string, MemRecord> {
    return this.#frozen;
  }

  /** The record as staged updates will leave it. */
  current(key: string): Version {
    return this.staged.get(key)?.version ?? this.committed(key);
  }

  committed(key: string): Version {
    const cached = this.#cache.get(key);
    if (cached) return cached;
    const version = this.#load(key);
    this.#cache.set(key, version);
    return version;
  }

  deadlineOf(key: string): number {
    return this.memRecord(key)?.deadline ?? this.files.readDeadline(key) ?? Infinity;
  }

  memRecord(key: string): MemRecord | undefined {
    return this.#active.get(key) ?? this.#frozen.get(key);
  }

  /** Keys in memory, those of removed records included; a key may come twice. */
  *memKeys(): Generator<string> {
    yield* this.#frozen.keys();
    yield* this.#active.keys();
  }

  /** Makes a staged update, which the journal has now, the committed version. */
  commit(update: Staged, slabs: Slabs): void {
    const { key, version } = update;
    this.apply(key, version.value === undefined, version.deadline, update, update.deadlineBefore, slabs);
    this.#cache.set(key, version);
    if (this.staged.get(key) === update) this.staged.delete(key);
  }

  /** Puts a version into memory. */
  apply(
    key: string,
    removed: boolean,
    deadline: number,
    value: Slice,
    deadlineBefore: number,
    slabs: Slabs,
  ): void {
    let record = this.#active.get(key);
    if (!record) {
      // a record that rests in the files has a hint at its deadline or earlier
      record = new MemRecord(this.#frozen.get(key)?.hintedAt ?? deadlineBefore);
      this.#active.set(key, record);
    }
    if (removed) record.remove();
    else record.put(value, deadline, slabs.allocate);
    if (deadline < record.hintedAt) {
      this.dueIndex.add({ time: deadline, key });
      record.hintedAt = record.unfiledHint = deadline;
    }
  }

  /** Writes what the journal must know before it can hold updates of this table. */
  declare(batch: BatchWriter): void {
    const { structures } = this.codec;
    batch.add(entryKind.table, this.id, this.name, Infinity, structures, 0, structures.length);
  }

  freeze(): void {
    this.#frozen = this.#active;
    this.#active = new Map();
    this.dueIndex.freeze();
  }

  /** The files have the frozen memtable now. */
  dropFrozen(): void {
    this.#frozen = new Map();
    this.dueIndex.dropFrozen();
  }

  #load(key: string): Version {
    const record = this.memRecord(key);
    if (!record) return this.#read(key) ?? absent;
    if (record.removed) return absent;
    const value = this.codec.decode(record.bytes, record.start + deadlineOctets, record.end);
    return { value, deadline: record.deadline };
  }

  #read(key: string): Version | undefined {
    try {
      return this.files.read(key);
    } catch (error) {
      throw storeError('store-unavailable', reasonOf(error), error);
    }
  }
}
