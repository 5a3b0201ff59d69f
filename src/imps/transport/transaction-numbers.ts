/** Numbers of the plain text syntax: 0 to 999. */
const NUMBERS = 1000;
/** Sessions that numbers are kept for; the one that was given its first number longest ago makes room. */
const SESSIONS = 100_000;

interface Given {
  next: number;
  readonly ids: Map<string, string>;
  readonly numbers: Map<string, string>;
}

/**
 * The server's Transaction-IDs are longer than the three digits of the plain text syntax. Each gets a number for its
 * session, and keeps it until 1000 others came; what is sent again after a restart goes out under a new one.
 */
export class TransactionNumbers {
  readonly #sessions = new Map<string, Given>();

  numberOf(session: string, id: string): string {
    let given = this.#sessions.get(session);
    if (!given) {
      if (this.#sessions.size >= SESSIONS) this.#sessions.delete(this.#sessions.keys().next().value!);
      this.#sessions.set(session, (given = { next: 0, ids: new Map(), numbers: new Map() }));
    }
    const known = given.numbers.get(id);
    if (known !== undefined) return known;
    const number = String(given.next);
    given.next = (given.next + 1) % NUMBERS;
    const before = given.ids.get(number);
    if (before !== undefined) given.numbers.delete(before);
    given.ids.set(number, id);
    given.numbers.set(id, number);
    return number;
  }

  /** @returns the number itself when it stands for nothing here */
  idOf(session: string, number: string): string {
    return this.#sessions.get(session)?.ids.get(number) ?? number;
  }

  forget(session: string): void {
    this.#sessions.delete(session);
  }
}
