import { changeMember, settled, type Group, type MemberChange } from './group.js';
import type { Groups } from './groups.js';

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

  /** The sessions have ended: any node may run it next. */
  async release(): Promise<void> {
    if (!this.#end()) return;
    await this.#groups.release(this.#current);
  }

  /** The group has ended for good. */
  async remove(): Promise<void> {
    if (!this.#end()) return;
    await this.#groups.remove(this.#current);
  }

  /** Another process has it. */
  abandon(): void {
    this.#end();
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#current = settled(this.#current);
    return true;
  }
}
