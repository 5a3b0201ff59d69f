import type { Owed, OwedRegister } from './owed-registers.js';

/** Of about 200 octets each; more users than this have none of one store. */
const MAXIMUM = 1_000_000;

/**
 * What application servers are still to be told when those before have been answered: what a process that is no more has left, and what
 * was too much for a server at once. Of each it is kept only that it is owed: it says then how the registration is.
 */
export class OwedBacklog {
  readonly #byServer = new Map<string, Map<string, OwedRegister>>();
  #count = 0;

  get servers(): Iterable<string> {
    return this.#byServer.keys();
  }

  /** The same one twice is one, as it was noted last. @returns false when there are too many. */
  add(owed: OwedRegister): boolean {
    let all = this.#byServer.get(owed.server);
    const known = all?.has(keyOf(owed)) === true;
    if (!known && this.#count >= MAXIMUM) return false;
    if (!all) this.#byServer.set(owed.server, (all = new Map<string, OwedRegister>()));
    all.set(keyOf(owed), owed);
    if (!known) this.#count++;
    return true;
  }

  /** The one of a server that has been here longest. */
  take(server: string): OwedRegister | undefined {
    const [oldest] = this.#byServer.get(server)?.values() ?? [];
    if (oldest) this.remove(oldest);
    return oldest;
  }

  /** It is told otherwise. */
  remove(owed: Owed): void {
    const all = this.#byServer.get(owed.server);
    if (!all?.delete(keyOf(owed))) return;
    this.#count--;
    if (all.size === 0) this.#byServer.delete(owed.server);
  }
}

const keyOf = ({ set, identity, priority }: Owed): string => `${set}\n${identity}\n${priority}`;
