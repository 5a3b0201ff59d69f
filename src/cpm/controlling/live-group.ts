import { changeMember, settled, type Group, type MemberChange } from './group.js';
import type { Groups } from './groups.js';

/**
 * Why the sessions of a group end. Members may start it again after `inactive`, `minimum`, `cancelled` and `stopped`, which is the end of
 * the process; a group that never came about and one that was closed are removed; one that has `moved` is another process's.
 */
export type EndOfSession = 'inactive' | 'minimum' | 'cancelled' | 'never' | 'closed' | 'moved' | 'stopped';

/** A group that this process runs. Every change is stored, and told once it is; after the end nothing is stored any more. */
export class LiveGroup {
  readonly #groups: Groups;
  readonly #onChange: (identities: readonly string[]) => void;
  #current: Group;
  #over = false;

  /** @param onChange gets whose state changed. */
  constructor(group: Group, groups: Groups, onChange: (identities: readonly string[]) => void) {
    this.#current = group;
    this.#groups = groups;
    this.#onChange = onChange;
  }

  get current(): Group {
    return this.#current;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Resolves with true when something changed. @throws ParleyError `group-moved`, `store-unavailable` */
  async change(change: MemberChange): Promise<boolean> {
    const changed = changeMember(this.#current, change);
    if (changed === this.#current) return false;
    await this.replace(changed, [change.identity]);
    return true;
  }

  /** @param identities whose state changed. @throws as {@link change} */
  async replace(group: Group, identities: readonly string[]): Promise<void> {
    this.#current = group;
    if (this.#over) return;
    await this.#groups.put(group);
    this.#onChange(identities);
  }

  /** The sessions have ended: any node may run the group next, or it is no more, or another process has it already. */
  async end(why: EndOfSession): Promise<void> {
    if (!this.#end() || why === 'moved') return;
    if (why === 'closed' || why === 'never') await this.#groups.remove(this.#current);
    else await this.#groups.release(this.#current);
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#current = settled(this.#current);
    return true;
  }
}
