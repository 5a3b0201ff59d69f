import { closeSync, fdatasync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import type { BatchWriter } from './batch.js';
import type { FolderGuard } from './folder-guard.js';
import { journalSignature, segmentPath } from './journal-files.js';

/** Where a journal was before a batch; see {@link Journal.rollBack}. */
export interface JournalMark {
  readonly length: number;
  readonly sequence: number;
}

export interface JournalOptions {
  readonly folder: string;
  readonly guard: FolderGuard;
  /** The segment after this one is the first to be written. */
  readonly lastSegment: number;
  readonly nextSequence: number;
  /** False when the kernel alone says when the disk takes what was written. */
  readonly syncs: boolean;
  /** Writes what every segment must begin with. */
  readonly preamble: (batch: BatchWriter) => void;
  /** A buffer for it. */
  readonly batch: BatchWriter;
}

/**
 * The journal as it is written: append-only files, "segments". What {@link append} has written survives
 * `kill -9`, because the kernel has it; what {@link sync} has seen survives a power cut.
 */
export class Journal {
  readonly #options: JournalOptions;
  #segment: number;
  /** Undefined when no segment could be begun yet. */
  #fd: number | undefined;
  /** Octets of the segment that hold whole batches. */
  #length = 0;
  #nextSequence: number;
  /** True when the segment takes no more: there is none, or a failed write could not be undone. */
  #torn = true;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#segment = options.lastSegment;
    this.#nextSequence = options.nextSequence;
  }

  get segment(): number {
    return this.#segment;
  }

  /** Octets in the current segment. */
  get length(): number {
    return this.#length;
  }

  get mark(): JournalMark {
    return { length: this.#length, sequence: this.#nextSequence };
  }

  /** Writes a whole batch or, when it throws, nothing. */
  append(batch: BatchWriter): void {
    if (this.#torn) this.rotate();
    this.#options.guard.checkSegment(this.#fd!);
    batch.seal(this.#nextSequence);
    try {
      write(this.#fd!, batch.bytes, batch.length);
    } catch (error) {
      this.#truncate();
      throw error;
    }
    this.#length += batch.length;
    this.#nextSequence++;
  }

  /** Takes back what was appended to the current segment since `mark`, and begins a new one with the next batch. */
  rollBack(mark: JournalMark): void {
    const length = this.#length;
    this.#length = mark.length;
    // when the batches cannot be taken back their numbers are used up
    if (this.#truncate()) this.#nextSequence = mark.sequence;
    else this.#length = length;
    this.#torn = true;
  }

  /** Begins a new segment. When that fails it throws and the current one goes on. */
  rotate(): void {
    this.#options.guard.checkDataFile();
    const old = this.#fd;
    this.#fd = this.#create(this.#segment + 1);
    this.#segment++;
    this.#torn = false;
    // nobody needs to know how this sync ends: the checkpoint that follows waits for the records themselves
    if (old === undefined) return;
    if (this.#options.syncs) fdatasync(old, () => closeSync(old));
    else closeSync(old);
  }

  /** Has the disk itself take what was appended to the current segment so far. */
  sync(done: (error: Error | null) => void): void {
    fdatasync(this.#fd!, done);
  }

  /** Writes and takes back 64 kB. @throws when the disk would not take them. */
  probe(): void {
    if (this.#torn) this.rotate();
    this.#options.guard.checkSegment(this.#fd!);
    try {
      write(this.#fd!, Buffer.alloc(65_536), 65_536);
    } finally {
      this.#truncate();
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  #truncate(): boolean {
    try {
      ftruncateSync(this.#fd!, this.#length);
      return true;
    } catch {
      this.#torn = true;
      return false;
    }
  }

  #create(segment: number): number {
    const { folder, batch, preamble } = this.#options;
    const path = segmentPath(folder, segment);
    const fd = openSync(path, 'ax');
    try {
      batch.clear();
      preamble(batch);
      batch.seal(this.#nextSequence);
      write(fd, journalSignature, journalSignature.length);
      write(fd, batch.bytes, batch.length);
    } catch (error) {
      closeSync(fd);
      unlinkSync(path);
      throw error;
    }
    this.#nextSequence++;
    this.#length = journalSignature.length + batch.length;
    return fd;
  }
}

function write(fd: number, bytes: Buffer, length: number): void {
  for (let written = 0; written < length;) written += writeSync(fd, bytes, written, length - written);
}
