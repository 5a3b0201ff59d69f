import type { Slabs, Slice } from './slabs.js';

/** A record as callers see it; `value` is undefined when there is none. */
export interface Version {
  readonly value: unknown;
  /** Milliseconds since the epoch, Infinity for none. */
  readonly deadline: number;
}

/** A stored value begins with its deadline, a double. */
export const deadlineOctets = 8;

const nothing = Buffer.alloc(0);

/**
 * What is in memory of one record: its newest committed version, and of that the encoded value when the files do not
 * have it yet (then the slot is dirty) and the decoded one while it is among those used last.
 * The slice is the value as the files will hold it: deadline, then data.
 */
export class Slot implements Slice {
  readonly key: string;
  /** The generation of memory that it belongs to; one of an earlier generation is not changed any more. */
  readonly generation: number;
  /** The decoded value, undefined when it must be decoded or when there is no record. */
  value: unknown = undefined;
  /** True when there is no record. */
  removed = true;
  /** Milliseconds since the epoch, Infinity for none. */
  deadline = Infinity;
  /** Whether the files must still get this version. */
  dirty = false;
  /** What the newest update that waits for its commit will make of the record. */
  staged: Version | undefined = undefined;
  /** The due index has a hint for this record at this time or earlier; see `DueIndex`. */
  hintedAt = Infinity;
  /** When a hint for this record is in memory only and must reach the files with it, its time. */
  unfiledHint = Infinity;
  bytes: Buffer = nothing;
  start = 0;
  end = 0;
  #capacity = 0;

  constructor(key: string, generation: number) {
    this.key = key;
    this.generation = generation;
  }

  /** Makes `version`, encoded in `encoded`, the committed one. */
  put(encoded: Slice, version: Version, slabs: Slabs): void {
    const length = encoded.end - encoded.start + deadlineOctets;
    if (length > this.#capacity) {
      const room = slabs.allocate(length);
      this.bytes = room.bytes;
      this.start = room.start;
      this.#capacity = room.end - room.start;
    }
    this.bytes.writeDoubleLE(version.deadline, this.start);
    encoded.bytes.copy(this.bytes, this.start + deadlineOctets, encoded.start, encoded.end);
    this.end = this.start + length;
    this.removed = false;
    this.value = version.value;
    this.deadline = version.deadline;
    this.dirty = true;
  }

  remove(): void {
    this.removed = true;
    this.value = undefined;
    this.deadline = Infinity;
    this.dirty = true;
  }

  /** Takes what the files have. */
  load(version: Version | undefined): void {
    this.removed = version === undefined;
    this.value = version?.value;
    this.deadline = version?.deadline ?? Infinity;
    this.hintedAt = this.deadline;
  }
}
