import { compareKeys } from '../keys.js';
import type { Hint, TableFiles } from './files.js';
import { Heap } from '../heap.js';
import type { Slot } from './slot.js';

const earlier = (a: Hint, b: Hint): boolean =>
  a.time < b.time || (a.time === b.time && compareKeys(a.key, b.key) < 0);

/** What the index asks of its table. */
export interface DueRecords {
  /** The committed deadline of a record; Infinity when it has none or is not there. */
  deadlineOf(key: string): number;
  /** What is in memory of it. */
  peek(key: string): Slot | undefined;
}

/**
 * Which records of a table are due, found by hints: for each record with a deadline there is a hint at that time
 * *or earlier*. So a refresh to a later deadline costs the index nothing; a hint is moved to where its record is
 * when its time comes. Hints for records that are in the journal only are in memory, and reach the files with
 * their records; after a crash the journal makes them anew.
 */
export class DueIndex {
  readonly #records: DueRecords;
  readonly #files: TableFiles;
  #active = new Heap<Hint>(earlier);
  #frozen = new Heap<Hint>(earlier);

  constructor(records: DueRecords, files: TableFiles) {
    this.#records = records;
    this.#files = files;
  }

  add(hint: Hint): void {
    this.#active.push(hint);
  }

  /** From now on hints belong to the next memtable. */
  freeze(): void {
    this.#frozen = this.#active;
    this.#active = new Heap<Hint>(earlier);
  }

  /** The files have the frozen hints now. */
  dropFrozen(): void {
    this.#frozen = new Heap<Hint>(earlier);
  }

  /** @see Store.due */
  async due(time: number, limit: number): Promise<string[]> {
    const count = Math.max(limit, 64);
    for (;;) {
      const ripe = new Map<string, Hint>();
      let moved = this.#judgeMemory(this.#active, time, count, ripe);
      moved = this.#judgeMemory(this.#frozen, time, count, ripe) || moved;
      const early: { readonly hint: Hint; readonly deadline: number }[] = [];
      for (const hint of this.#files.hints(time, count)) {
        const deadline = this.#judge(hint, ripe);
        if (deadline !== hint.time) early.push({ hint, deadline });
      }
      if (early.length > 0) await this.#move(early);
      else if (!moved) {
        const inOrder = [...ripe.values()].sort((a, b) => (earlier(a, b) ? -1 : 1));
        return inOrder.slice(0, limit).map((hint) => hint.key);
      }
    }
  }

  async #move(early: readonly { readonly hint: Hint; readonly deadline: number }[]): Promise<void> {
    await this.#files.transact((writer) => {
      for (const { hint, deadline } of early) {
        writer.removeHint(hint);
        if (deadline > hint.time && deadline < Infinity) writer.putHint({ time: deadline, key: hint.key });
      }
    });
    this.#files.refresh();
  }

  /** @returns whether a hint was moved or dropped. */
  #judgeMemory(heap: Heap<Hint>, time: number, count: number, ripe: Map<string, Hint>): boolean {
    const back: Hint[] = [];
    let moved = false;
    for (let i = 0; i < count && (heap.peek()?.time ?? Infinity) <= time; i++) {
      const hint = heap.pop()!;
      const deadline = this.#judge(hint, ripe);
      if (deadline === hint.time) back.push(hint);
      else moved = true;
      if (deadline > hint.time && deadline < Infinity) back.push({ time: deadline, key: hint.key });
    }
    for (const hint of back) heap.push(hint);
    return moved;
  }

  /** Holds a hint against its record; when it is too early the caller moves it to the deadline that comes back. */
  #judge(hint: Hint, ripe: Map<string, Hint>): number {
    const deadline = this.#records.deadlineOf(hint.key);
    if (deadline === hint.time) ripe.set(hint.key, hint);
    else if (deadline > hint.time) {
      const slot = this.#records.peek(hint.key);
      if (slot) slot.hintedAt = deadline;
    }
    return deadline;
  }
}
