import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { changeMember, settled, type Group, type MemberChange } from './group.js';
import type { Groups } from './groups.js';

/**
 * Why the sessions of a group end. Members may start it again after `inactive`, `minimum`, `cancelled` and `stopped`, which is the end of
 * the process; a group that never came about and one that was closed are removed; one that has `moved` is another process's.
 */
export type EndOfSession = 'inactive' | 'minimum' | 'cancelled' | 'never' | 'closed' | 'moved' | 'stopped';

/** When what has happened and could not be stored is tried again, milliseconds: longer each time, up to the last. */
const TRY_AGAIN_MS = [1_000, 5_000, 30_000] as const;

/** A change that waits to be stored. */
interface Step {
  readonly change: (group: Group) => Group;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A group that this process runs. A change is true, and told, once it is stored: what could not be stored has not happened. Changes that
 * come while one is being stored are stored together. After the end nothing is stored any more.
 */
export class LiveGroup {
  readonly #groups: Groups;
  readonly #clock: Clock;
  readonly #onChange: (identities: readonly string[]) => void;
  #current: Group;
  #over = false;
  #steps: Step[] = [];
  /** While changes are being stored. */
  #storing: Promise<void> | undefined;

  /** @param onChange gets whose state changed. */
  constructor(
    group: Group,
    { groups, clock }: { readonly groups: Groups; readonly clock: Clock },
    onChange: (identities: readonly string[]) => void,
  ) {
    this.#current = group;
    this.#groups = groups;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get current(): Group {
    return this.#current;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Resolves when what was asked for until now is stored, or could not be. */
  async stored(): Promise<void> {
    await this.#storing;
  }

  /** Resolves with true when something changed. @throws ParleyError `group-moved`, `store-unavailable` */
  async change(change: MemberChange): Promise<boolean> {
    let changed = false;
    await this.apply((group) => {
      const next = changeMember(group, change);
      changed = next !== group;
      return next;
    });
    return changed;
  }

  /**
   * A change that nothing undoes, such as the end of a session: it is asked for again until it can be stored.
   * @param holds whether it is still so. @returns as {@link change}. @throws ParleyError `group-moved`, `group-unknown`
   */
  async happened(change: MemberChange, holds = (): boolean => true): Promise<boolean> {
    for (let attempt = 0; holds(); attempt++) {
      try {
        return await this.change(change);
      } catch (error) {
        if (error instanceof ParleyError && (error.code === 'group-moved' || error.code === 'group-unknown'))
          throw error;
        const wait = TRY_AGAIN_MS[Math.min(attempt, TRY_AGAIN_MS.length - 1)]!;
        await new Promise<void>((resolve) => this.#clock.after(wait, resolve));
      }
    }
    return false;
  }

  /** @param change gives the group as it is to be. What it throws is thrown, and changes nothing. @throws as {@link change} */
  apply(change: (group: Group) => Group): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#steps.push({ change, resolve, reject });
      this.#storing ??= this.#store();
    });
  }

  /** The sessions have ended: any node may run the group next, or it is no more, or another process has it already. */
  async end(why: EndOfSession): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    if (this.#storing) await this.#storing;
    this.#current = settled(this.#current);
    if (why === 'moved') return;
    if (why === 'closed' || why === 'never') await this.#groups.remove(this.#current);
    else await this.#groups.release(this.#current);
  }

  async #store(): Promise<void> {
    // what comes in the same turn is stored together
    await Promise.resolve();
    while (this.#steps.length > 0) {
      const before = this.#current;
      const { group, done } = applied(before, this.#steps.splice(0));
      try {
        if (group !== before && !this.#over) await this.#groups.put(group);
      } catch (error) {
        for (const { reject } of done) reject(error);
        continue;
      }
      this.#current = group;
      if (group !== before && !this.#over) this.#onChange(changedBetween(before, group));
      for (const { resolve } of done) resolve();
    }
    this.#storing = undefined;
  }
}

/** One change after the other; who asks for one that cannot be is told, and the others go on. */
function applied(before: Group, steps: readonly Step[]): { group: Group; done: readonly Step[] } {
  let group = before;
  const done = steps.filter(({ change, reject }) => {
    try {
      group = change(group);
      return true;
    } catch (error) {
      reject(error);
      return false;
    }
  });
  return { group, done };
}

function changedBetween(before: Group, after: Group): string[] {
  const known = new Set(before.members);
  return after.members.filter((member) => !known.has(member)).map(({ identity }) => identity);
}
