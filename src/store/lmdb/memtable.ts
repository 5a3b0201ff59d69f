/** An encoded value within a buffer. */
export interface Slice {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

const empty = Buffer.alloc(0);
/** A stored value begins with its deadline, a double. */
export const deadlineOctets = 8;

/** What a memtable knows of one record. The slice is the value as the files will hold it: deadline, then data. */
export class MemRecord implements Slice {
  bytes: Buffer = empty;
  start = 0;
  end = 0;
  #capacity = 0;
  /** True when the newest version is that there is no record. */
  removed = false;
  /** Milliseconds since the epoch, Infinity for none. */
  deadline = Infinity;
  /** The due index has a hint for this record at this time or earlier; see `DueIndex`. */
  hintedAt: number;
  /** When a hint for this record is in memory only and must reach the files with it, its time. */
  unfiledHint = Infinity;

  constructor(hintedAt: number) {
    this.hintedAt = hintedAt;
  }

  /** Copies a value in, over the last one when it fits there. */
  put(value: Slice, deadline: number, allocate: (octets: number) => Slice): void {
    const length = value.end - value.start + deadlineOctets;
    if (length > this.#capacity) {
      const room = allocate(length);
      this.bytes = room.bytes;
      this.start = room.start;
      this.#capacity = room.end - room.start;
    }
    this.bytes.writeDoubleLE(deadline, this.start);
    value.bytes.copy(this.bytes, this.start + deadlineOctets, value.start, value.end);
    this.end = this.start + length;
    this.removed = false;
    this.deadline = deadline;
  }

  remove(): void {
    this.removed = true;
    this.deadline = Infinity;
  }
}

const largestSlab = 1024 * 1024;

/** Where memtables of one generation put their values: outside the heap, freed all at once. */
export class Slabs {
  #slab = empty;
  #used = 0;
  #octets = 0;

  /** Octets handed out. */
  get octets(): number {
    return this.#octets;
  }

  readonly allocate = (octets: number): Slice => {
    // room to grow: the next version often is a few octets longer
    const capacity = (octets + 63) & ~31;
    if (capacity > largestSlab / 4) {
      this.#octets += capacity;
      return { bytes: Buffer.allocUnsafeSlow(capacity), start: 0, end: capacity };
    }
    if (this.#used + capacity > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.min(largestSlab, Math.max(4 * capacity, this.#octets)));
      this.#used = 0;
    }
    const start = this.#used;
    this.#octets += capacity;
    this.#used += capacity;
    return { bytes: this.#slab, start, end: this.#used };
  };
}
