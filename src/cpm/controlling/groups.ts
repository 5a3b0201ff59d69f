import type { Clock } from '../../base/clock.js';
import { table, type Store } from '../../store/store.js';
import { groupError } from './errors.js';
import { orphaned, settled, type Group } from './group.js';
import type { Member } from './member.js';
import { removeMessages } from './message-log.js';

const groups = table<Group>('groups');
/** Group by Contribution-ID, so that a restart finds the group that it restarts. */
const contributions = table<string>('group-contributions');

export interface GroupsOptions {
  /** This process, as the holder of groups. */
  readonly holder: string;
  /** Whether another holder lives; what a dead one held may be taken. */
  isAlive(holder: string): boolean;
  /** Milliseconds for which an ad-hoc group is kept after its last session. */
  readonly keepMs: number;
}

/** A group that this process runs from now, with those who rang when its holder went, or who runs it. */
export type Claim = { readonly group: Group; readonly rang: readonly Member[] } | { readonly holder: string };

/** The groups of all nodes, as the store has them. A group has one focus at a time: that of its holder. */
export class Groups {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #options: GroupsOptions;

  constructor(store: Store, clock: Clock, options: GroupsOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#options = options;
  }

  get holder(): string {
    return this.#options.holder;
  }

  /** A group as it stands: sessions of a process that is gone have ended. */
  async get(id: string): Promise<Group | undefined> {
    const group = await this.#store.get(groups, id);
    return group && this.#seen(group);
  }

  /** Whether this process holds a group, as the store has it. */
  async holds(id: string): Promise<boolean> {
    return (await this.#store.get(groups, id))?.holder === this.holder;
  }

  /** Whether another node that lives runs a group. */
  async isElsewhere(id: string): Promise<boolean> {
    const holder = (await this.get(id))?.holder;
    return holder !== undefined && holder !== this.holder;
  }

  /** The id of the group with that Contribution-ID. */
  idOf(contributionId: string): Promise<string | undefined> {
    return this.#store.get(contributions, contributionId);
  }

  /** Makes this process the holder, unless another one lives that is. Undefined for a group that does not exist. */
  claim(id: string): Promise<Claim | undefined> {
    return this.#store.update<Group, Claim | undefined>(groups, id, (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const { holder } = current;
      if (holder !== undefined && this.#lives(holder) && holder !== this.holder)
        return { kind: 'keep', result: { holder } };
      const isOrphan = holder !== undefined && holder !== this.holder;
      const left = isOrphan ? orphaned(current) : settled(current);
      const group = { ...left, holder: this.holder, term: (current.term ?? 0) + 1 };
      const rang = group.members.filter(({ invitation }) => invitation !== undefined);
      return { kind: 'put', value: group, deadline: this.#deadline(group), result: { group, rang } };
    });
  }

  /**
   * Stores a new group. @returns the id of the one that has the Contribution-ID already, or its own.
   * @throws ParleyError `group-exists` when another has its id.
   */
  async add(group: Group): Promise<string> {
    const isNew = await this.#store.update<Group, boolean>(groups, group.id, (current) =>
      current ? { kind: 'keep', result: false } : { ...this.#put(group), result: true },
    );
    if (!isNew) throw groupError('group-exists', group.id);
    for (;;) {
      const id = await this.#store.update(contributions, group.contributionId, (current) =>
        current === undefined
          ? { kind: 'put', value: group.id, result: group.id }
          : { kind: 'keep', result: current },
      );
      if (id === group.id) return id;
      if (await this.#store.get(groups, id)) {
        await this.#store.update(groups, group.id, () => ({ kind: 'remove', result: undefined }));
        return id;
      }
      // that group went and its name stayed
      await this.#forget(group.contributionId, id);
    }
  }

  /** Stores the group of its holder, in its term. @throws ParleyError `group-moved` when another process has taken it, `group-unknown`. */
  async put(group: Group): Promise<void> {
    const mine = await this.#store.update(groups, group.id, (current) =>
      this.#isOf(group, current)
        ? { ...this.#put(group), result: 'stored' as const }
        : { kind: 'keep', result: current ? ('moved' as const) : ('gone' as const) },
    );
    if (mine === 'moved') throw groupError('group-moved', group.id);
    if (mine === 'gone') throw groupError('group-unknown', group.id);
  }

  /**
   * Changes a group that has no sessions.
   * @throws ParleyError `group-unknown`, `group-moved` while a node runs it; what `change` throws.
   */
  async edit(id: string, change: (group: Group) => Group): Promise<Group> {
    const result = await this.#store.update<Group, Group | 'unknown' | 'moved'>(groups, id, (current) => {
      if (!current) return { kind: 'keep', result: 'unknown' };
      if (current.holder !== undefined && this.#lives(current.holder))
        return { kind: 'keep', result: 'moved' };
      const changed = change({ ...settled(current), holder: undefined });
      return { ...this.#put(changed), result: changed };
    });
    if (result === 'unknown') throw groupError('group-unknown', id);
    if (result === 'moved') throw groupError('group-moved', id);
    return result;
  }

  /** Lets go of a group that has no sessions any more, unless somebody has come for it since: any node may run it next. */
  async release(group: Group): Promise<void> {
    await this.#store.update(groups, group.id, (current) =>
      this.#isOf(group, current)
        ? this.#put({ ...settled(group), holder: undefined })
        : { kind: 'keep', result: undefined },
    );
  }

  /** Removes a group, and what waits in it. */
  async remove({ id, contributionId }: Pick<Group, 'id' | 'contributionId'>): Promise<void> {
    await this.#store.update(groups, id, () => ({ kind: 'remove', result: undefined }));
    await this.#forget(contributionId, id);
    await removeMessages(this.#store, id);
  }

  /** Removes ad-hoc groups whose time is over, at most `limit`. @returns those that it removed. */
  async sweep(limit: number): Promise<Group[]> {
    const removed: Group[] = [];
    for (const key of await this.#store.due(groups, this.#clock.now(), limit)) {
      const gone = await this.#store.update<Group, Group | undefined>(groups, key, (current) => {
        if (!current) return { kind: 'keep', result: undefined };
        return current.holder !== undefined && this.#lives(current.holder)
          ? this.#put(current)
          : { kind: 'remove', result: current };
      });
      if (!gone) continue;
      await this.#forget(gone.contributionId, gone.id);
      removed.push(gone);
    }
    return removed;
  }

  async *all(after?: string, limit = 1000): AsyncIterable<Group> {
    const range = after === undefined ? { limit } : { after, limit };
    for await (const { value } of this.#store.scan(groups, range)) yield this.#seen(value);
  }

  /** Whether the group is still this process's, and of no later focus than the one that has it so. */
  #isOf({ term }: Group, stored: Group | undefined): boolean {
    return stored?.holder === this.holder && stored.term === term;
  }

  #seen(group: Group): Group {
    return group.holder !== undefined && this.#lives(group.holder)
      ? group
      : { ...settled(group), holder: undefined };
  }

  #lives(holder: string): boolean {
    return holder === this.holder || this.#options.isAlive(holder);
  }

  #put(group: Group): { kind: 'put'; value: Group; deadline: number | undefined; result: undefined } {
    return { kind: 'put', value: group, deadline: this.#deadline(group), result: undefined };
  }

  /** A group that runs has one too, which is put off: a process that is killed leaves none behind for ever. */
  #deadline({ kind }: Group): number | undefined {
    return kind === 'ad-hoc' ? this.#clock.now() + this.#options.keepMs : undefined;
  }

  #forget(contributionId: string, id: string): Promise<void> {
    return this.#store.update(contributions, contributionId, (current) =>
      current === id ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
    );
  }
}
