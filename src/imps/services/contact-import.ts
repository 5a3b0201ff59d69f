import {
  ownerOf,
  parseResourceId,
  parseUserId,
  type ResourceId,
  type UserId,
} from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';
import { CspRefusal } from '../status.js';
import { contactLists, noLists, type ContactList } from './contact-list-store.js';

/** One contact of one list, as an operator brings it from elsewhere or takes it there. */
export interface ContactEntry {
  readonly user: UserId;
  /** Address of the list, or only its name. */
  readonly list: string;
  /** Of the list; its name when absent. */
  readonly displayName?: string | undefined;
  /** Whether the list is the user's default one. */
  readonly default: boolean;
  readonly contact: string;
  /** What the user calls the contact. */
  readonly name?: string | undefined;
}

/**
 * Puts a contact into a list, which is made when it is not there. The user's clients are not told: they ask for their lists at login.
 * @returns false when it is there already
 * @throws CspRefusal 752 for a list that is not the user's, 531 for no address, 753 and 754 for too many
 */
export async function importContact(context: ImpsContext, entry: ContactEntry): Promise<boolean> {
  const { user } = entry;
  const { limits } = context.config;
  const { id, contact } = addressesOf(context, entry);
  return context.store.update(contactLists, user, (record = noLists) => {
    const known = record.lists.find((one) => one.id === id);
    const name = entry.name ?? '';
    if (known?.members.some((member) => member.user === contact && member.name === name))
      return { kind: 'keep', result: false };
    if (!known && record.lists.length >= limits.contactLists) throw new CspRefusal(753);
    const others = (known?.members ?? []).filter((member) => member.user !== contact);
    if (others.length >= limits.contacts) throw new CspRefusal(754);
    const changed: ContactList = {
      id,
      displayName:
        known?.displayName ?? entry.displayName ?? id.slice(id.indexOf('/') + 1, id.lastIndexOf('@')),
      members: [...others, { user: contact, name }],
    };
    const lists = known
      ? record.lists.map((one) => (one.id === id ? changed : one))
      : [...record.lists, changed];
    const defaultList = entry.default ? id : (record.defaultList ?? id);
    return { kind: 'put', value: { lists, defaultList }, result: true };
  });
}

/**
 * Takes a contact out of a list; the list goes with its last one.
 * @returns false when it is not there
 * @throws CspRefusal 752 for a list that is not the user's, 531 for no address
 */
export async function withdrawContact(context: ImpsContext, entry: ContactEntry): Promise<boolean> {
  const { id, contact } = addressesOf(context, entry);
  return context.store.update(contactLists, entry.user, (record = noLists) => {
    const known = record.lists.find((one) => one.id === id);
    if (!known?.members.some(({ user }) => user === contact)) return { kind: 'keep', result: false };
    const members = known.members.filter(({ user }) => user !== contact);
    const lists = record.lists
      .map((one) => (one === known ? { ...one, members } : one))
      .filter((one) => one.id !== id || members.length > 0);
    if (lists.length === 0) return { kind: 'remove', result: true };
    const isThere = lists.some((one) => one.id === record.defaultList);
    return {
      kind: 'put',
      value: { lists, defaultList: isThere ? record.defaultList : lists[0]!.id },
      result: true,
    };
  });
}

/** @throws CspRefusal 752, 531 */
function addressesOf(
  { config: { domain } }: ImpsContext,
  { user, list, contact: text }: ContactEntry,
): { readonly id: ResourceId; readonly contact: UserId } {
  const at = user.lastIndexOf('@');
  const id = parseResourceId(
    list.includes('/') ? list : `${user.slice(0, at)}/${list}${user.slice(at)}`,
    domain,
  );
  if (id === undefined || ownerOf(id) !== user) throw new CspRefusal(752);
  const contact = parseUserId(text, domain);
  if (contact === undefined) throw new CspRefusal(531);
  return { id, contact };
}

/** The contacts of users in order of their addresses, after those of one user. */
export async function* exportContacts(
  context: ImpsContext,
  after: UserId | undefined,
): AsyncIterable<ContactEntry> {
  for await (const { key, value } of context.store.scan(contactLists, after === undefined ? {} : { after })) {
    for (const { id, displayName, members } of value.lists) {
      const list = { user: key as UserId, list: id, displayName, default: id === value.defaultList };
      for (const { user, name } of members) yield { ...list, contact: user, name };
    }
  }
}
