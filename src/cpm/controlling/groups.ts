import { table, type Store } from '../../store/store.js';
import { taken, type Group } from './group.js';

const groups = table<Group>('groups');
/** Group by Contribution-ID, so that a restart finds the group that it restarts. */
const contributions = table<string>('group-contributions');

/** The groups of all nodes, as the store has them. */
export class Groups {
  readonly #store: Store;
  readonly holder: string;

  /** @param holder this process: sessions of another one have ended. */
  constructor(store: Store, holder: string) {
    this.#store = store;
    this.holder = holder;
  }

  async get(id: string): Promise<Group | undefined> {
    const group = await this.#store.get(groups, id);
    return group && taken(group, this.holder);
  }

  async byContribution(contributionId: string): Promise<Group | undefined> {
    const id = await this.#store.get(contributions, contributionId);
    return id === undefined ? undefined : this.get(id);
  }

  /** Stores a new group. @returns the one that has the Contribution-ID already, or the new one. */
  async add(group: Group): Promise<Group> {
    await this.put(group);
    const id = await this.#store.update(contributions, group.contributionId, (current) =>
      current === undefined
        ? { kind: 'put', value: group.id, result: group.id }
        : { kind: 'keep', result: current },
    );
    if (id === group.id) return group;
    const other = await this.get(id);
    if (!other) {
      // the group went and its name stayed: the name is the new one's
      await this.#store.update(contributions, group.contributionId, () => ({
        kind: 'put',
        value: group.id,
        result: undefined,
      }));
      return group;
    }
    await this.#store.update(groups, group.id, () => ({ kind: 'remove', result: undefined }));
    return other;
  }

  put(group: Group): Promise<void> {
    return this.#store.update(groups, group.id, () => ({ kind: 'put', value: group, result: undefined }));
  }

  async remove(group: Group): Promise<void> {
    await this.#store.update(groups, group.id, () => ({ kind: 'remove', result: undefined }));
    await this.#store.update(contributions, group.contributionId, (current) =>
      current === group.id ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
    );
  }

  async *all(after?: string, limit = 1000): AsyncIterable<Group> {
    const range = after === undefined ? { limit } : { after, limit };
    for await (const { value } of this.#store.scan(groups, range)) yield taken(value, this.holder);
  }
}
