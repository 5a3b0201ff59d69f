import { storeError } from '../errors.js';
import { checkKey } from '../keys.js';
import { entryKind, type BatchWriter } from './batch.js';
import type { Codec } from './codec.js';
import { DecodedRing } from './decoded-ring.js';
import { DueIndex } from './due-index.js';
import { reasonOf, type TableFiles } from './files.js';
import { KeyGroups } from './key-groups.js';
import type { Slabs, Slice } from './slabs.js';
import { deadlineOctets, Slot, type Version } from './slot.js';

const absentKeys = 16_384;

/** One table: a map of what is in memory, over the frozen one that a checkpoint writes, over the files. */
export class LmdbTable {
  readonly name: string;
  /** Its number in the journal. */
  readonly id: number;
  readonly files: TableFiles;
  readonly dueIndex: DueIndex;
  /** The generation of structures that the journal knows. */
  declared = -1;
  #generation = 0;
  #slots = new Map<string, Slot>();
  #frozen = new Map<string, Slot>();
  #groups = new KeyGroups();
  #frozenGroups = new KeyGroups();
  readonly #decoded: DecodedRing;
  /** Keys that were looked for and have no record, so that asking again costs no look into the files. */
  readonly #absent = new Set<string>();

  /** @param decodedRecords how many records are kept decoded. */
  constructor(name: string, id: number, files: TableFiles, decodedRecords: number) {
    this.name = name;
    this.id = id;
    this.files = files;
    this.#decoded = new DecodedRing(decodedRecords);
    this.dueIndex = new DueIndex(this, files);
  }

  /** @param records how many are kept decoded from now on. */
  keepMoreDecoded(records: number): void {
    this.#decoded.grow(records);
  }

  get codec(): Codec {
    return this.files.codec;
  }

  /** What the checkpoint writes to the files; those that are not dirty are there already. */
  get frozen(): ReadonlyMap<string, Slot> {
    return this.#frozen;
  }

  /**
   * The slot for an update of this record, made when there is none.
   * @throws ParleyError `store-key-invalid`, `store-unavailable` when the files cannot be read.
   */
  slot(key: string): Slot {
    return this.#slots.get(key) ?? this.#keep(this.#load(key));
  }

  /**
   * The slot of a record to be read; undefined when there is none.
   * @throws ParleyError as {@link slot}.
   */
  find(key: string): Slot | undefined {
    const known = this.#slots.get(key);
    if (known) return known;
    if (this.#isEmpty) {
      checkKey(key);
      return undefined;
    }
    if (this.#absent.has(key)) return undefined;
    const slot = this.#load(key);
    if (!slot.removed || slot.staged) return this.#keep(slot);
    if (this.#absent.size >= absentKeys) this.#absent.clear();
    this.#absent.add(key);
    return undefined;
  }

  /** So are those of what hardly anybody uses; then not even the absent keys need be remembered. */
  get #isEmpty(): boolean {
    return this.#slots.size === 0 && this.#frozen.size === 0 && this.files.isEmpty;
  }

  /** The slot that knows the record's newest committed version, if there is one. */
  peek(key: string): Slot | undefined {
    return this.#slots.get(key) ?? this.#frozen.get(key);
  }

  /** The committed value; undefined when there is no record. */
  valueOf(slot: Slot): unknown {
    if (slot.value === undefined && !slot.removed) {
      slot.value = this.#decode(slot);
      this.#keepDecoded(slot);
    }
    return slot.value;
  }

  deadlineOf(key: string): number {
    return this.peek(key)?.deadline ?? this.files.readDeadline(key) ?? Infinity;
  }

  /**
   * Keys in memory that a scan wants, in no order; one may come twice.
   * @param prefix what all that are wanted begin with
   */
  keysInMemory(prefix: string, wanted: (key: string) => boolean): string[] {
    const found: string[] = [];
    const take = (key: string): void => {
      if (wanted(key)) found.push(key);
    };
    const groups = [this.#frozenGroups.holding(prefix), this.#groups.holding(prefix)];
    for (const keys of groups) for (const key of keys ?? []) take(key);
    if (groups[0] !== undefined) return found;
    // looks at every key in memory, and a generator would cost several times as much
    this.#frozen.forEach((_slot, key) => take(key));
    this.#slots.forEach((_slot, key) => take(key));
    return found;
  }

  /** Makes a version the committed one; `encoded` is its value in the batch that the journal has. */
  commit(slot: Slot, version: Version, encoded: Slice, slabs: Slabs): void {
    const into = slot.generation === this.#generation ? slot : this.slot(slot.key);
    const wasDecoded = into.value !== undefined;
    if (version.value === undefined) into.remove();
    else into.put(encoded, version, slabs);
    if (into.staged === version) into.staged = undefined;
    if (!wasDecoded && version.value !== undefined) this.#keepDecoded(into);
    this.#hint(into);
  }

  /** Forgets what was staged, because its batch failed. */
  unstage(slot: Slot): void {
    slot.staged = undefined;
    const newer = this.#slots.get(slot.key);
    if (newer) newer.staged = undefined;
  }

  /** Brings back a version that the journal has. What hints the files have is not known then. */
  replay(key: string, removed: boolean, deadline: number, encoded: Slice, slabs: Slabs): void {
    let slot = this.#slots.get(key);
    if (!slot) this.#insert((slot = new Slot(key, this.#generation)));
    if (removed) slot.remove();
    else slot.put(encoded, { value: undefined, deadline }, slabs);
    this.#hint(slot);
  }

  /** Writes what the journal must know before it can hold updates of this table. */
  declare(batch: BatchWriter): void {
    const { structures } = this.codec;
    batch.add(entryKind.table, this.id, this.name, Infinity, structures, 0, structures.length);
  }

  freeze(): void {
    this.#generation++;
    this.#frozen = this.#slots;
    this.#slots = new Map();
    this.#frozenGroups = this.#groups;
    this.#groups = new KeyGroups();
    this.dueIndex.freeze();
  }

  /** The files have all that is frozen now. */
  dropFrozen(): void {
    this.#frozen = new Map();
    this.#frozenGroups = new KeyGroups();
    this.dueIndex.dropFrozen();
  }

  #load(key: string): Slot {
    checkKey(key);
    const slot = new Slot(key, this.#generation);
    const frozen = this.#frozen.get(key);
    if (frozen) {
      slot.removed = frozen.removed;
      slot.value = this.valueOf(frozen);
      slot.deadline = frozen.deadline;
      slot.hintedAt = frozen.hintedAt;
      slot.staged = frozen.staged;
    } else {
      slot.load(this.#read(key));
    }
    return slot;
  }

  #keep(slot: Slot): Slot {
    this.#absent.delete(slot.key);
    this.#insert(slot);
    this.#keepDecoded(slot);
    return slot;
  }

  #insert(slot: Slot): void {
    this.#slots.set(slot.key, slot);
    this.#groups.add(slot.key);
  }

  #decode(slot: Slot): unknown {
    const source = slot.dirty ? slot : this.#frozen.get(slot.key);
    if (!source?.dirty) return this.#read(slot.key)?.value;
    return this.codec.decode(source.bytes, source.start + deadlineOctets, source.end);
  }

  #keepDecoded(slot: Slot): void {
    const out = this.#decoded.push(slot);
    // without its value a slot that is not dirty is of no use
    if (!out || out.dirty || out.staged || this.#slots.get(out.key) !== out) return;
    this.#slots.delete(out.key);
    this.#groups.delete(out.key);
  }

  #hint(slot: Slot): void {
    if (slot.deadline >= slot.hintedAt) return;
    this.dueIndex.add({ time: slot.deadline, key: slot.key });
    slot.hintedAt = slot.unfiledHint = slot.deadline;
  }

  #read(key: string): Version | undefined {
    try {
      return this.files.read(key);
    } catch (error) {
      throw storeError('store-unavailable', reasonOf(error), error);
    }
  }
}
