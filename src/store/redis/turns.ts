/** Lets what concerns one name happen one after the other, in the order of the calls. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `work` when all earlier work of this name has ended, well or not. */
  take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name);
    const mine = before ? before.then(work, work) : work();
    this.#last.set(name, mine);
    const leave = (): void => {
      if (this.#last.get(name) === mine) this.#last.delete(name);
    };
    mine.then(leave, leave);
    return mine;
  }

  /** Resolves when all work that is known now has ended. */
  async quiet(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }
}
