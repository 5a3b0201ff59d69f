import { fstatSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Sees that the files of an open store are still those of its folder. Who deletes a file that a process has open takes only its
 * name: writing goes on without an error, and what was acknowledged is gone at the next start. Nothing is acknowledged
 * after that any more, and only a restart helps.
 */
export class FolderGuard {
  readonly #dataFile: string;
  readonly #inode: number;
  #lost: string | undefined;

  constructor(folder: string) {
    this.#dataFile = join(folder, 'data.mdb');
    this.#inode = statSync(this.#dataFile).ino;
  }

  /** Before each batch. @param fd the journal segment. @throws when it was deleted, and always from then on. */
  checkSegment(fd: number): void {
    if (this.#lost === undefined && fstatSync(fd).nlink === 0) this.#lost = 'the journal was deleted';
    this.#refuse();
  }

  /** Before each segment. @throws when the data file is not there or is another, and always from then on. */
  checkDataFile(): void {
    if (statSync(this.#dataFile, { throwIfNoEntry: false })?.ino !== this.#inode)
      this.#lost ??= `${this.#dataFile} was deleted or replaced`;
    this.#refuse();
  }

  #refuse(): void {
    if (this.#lost !== undefined) throw new Error(`${this.#lost} under the running process: restart it`);
  }
}
