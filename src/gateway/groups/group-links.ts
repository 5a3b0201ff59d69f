import type { ResourceId } from '../../imps/index.js';
import type { SipMessage } from '../../sip/message/message.js';
import { table, type Store } from '../../store/store.js';

/** That a group of the IMPS server and a CPM group session are one. */
export interface GroupLink {
  readonly group: ResourceId;
  /** Group session identity, without parameters. */
  readonly focus: string;
  readonly contributionId: string;
  readonly conversationId: string | undefined;
  readonly subject: string | undefined;
}

/** By group. */
const links = table<GroupLink>('gateway-groups');
const contributions = table<{ readonly group: ResourceId }>('gateway-group-contributions');

/** Which groups stand on both sides. */
export class GroupLinks {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  of(group: ResourceId): Promise<GroupLink | undefined> {
    return this.#store.get(links, group);
  }

  async byContribution(contributionId: string): Promise<GroupLink | undefined> {
    const found = await this.#store.get(contributions, contributionId);
    return found && this.of(found.group);
  }

  /** @param byContribution whether it is the group that its Contribution-ID finds; one that has one keeps it */
  async put(link: GroupLink, { byContribution }: { readonly byContribution: boolean }): Promise<void> {
    await this.#store.update(links, link.group, () => ({ kind: 'put', value: link, result: undefined }));
    if (!byContribution) return;
    await this.#store.update(contributions, link.contributionId, (current) =>
      current
        ? { kind: 'keep', result: undefined }
        : { kind: 'put', value: { group: link.group }, result: undefined },
    );
  }

  async remove({ group, contributionId }: GroupLink): Promise<void> {
    await this.#store.update(links, group, () => ({ kind: 'remove', result: undefined }));
    await this.#store.update(contributions, contributionId, (current) =>
      current?.group === group ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
    );
  }
}

/** Group session identity of a focus, without parameters (RFC 4579 §3.1). */
export const focusOf = (message: SipMessage): string | undefined => bareUri(message.contacts[0]?.uriText);

export const bareUri = <T extends string | undefined>(uri: T): T => uri?.split(/[;?]/, 1)[0] as T;
