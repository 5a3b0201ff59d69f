import { table } from '../../store/store.js';
import type { ResourceId, UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';

export interface Contact {
  readonly user: UserId;
  /** The name its owner gave it; empty when none. */
  readonly name: string;
}

export interface ContactList {
  readonly id: ResourceId;
  readonly displayName: string;
  readonly members: readonly Contact[];
}

/** All contact lists of one user: changing one may change which is the default. */
export interface ContactListsRecord {
  readonly lists: readonly ContactList[];
  readonly defaultList?: ResourceId | undefined;
}

export const contactLists = table<ContactListsRecord>('imps-contact-lists');
export const noLists: ContactListsRecord = { lists: [] };

export const listsOf = async (context: ImpsContext, user: UserId): Promise<ContactListsRecord> =>
  (await context.store.get(contactLists, user)) ?? noLists;

/** Members of a list, or undefined when the user has none of that address. */
export async function listMembers(
  context: ImpsContext,
  owner: UserId,
  id: string,
): Promise<readonly Contact[] | undefined> {
  return (await listsOf(context, owner)).lists.find((list) => list.id === id)?.members;
}
