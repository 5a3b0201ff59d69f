import type { ResourceId, UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';
import {
  exportAccessEntries,
  importAccessEntry,
  withdrawAccessEntry,
  type AccessEntry,
} from './access-list-import.js';
import { exportContacts, importContact, withdrawContact, type ContactEntry } from './contact-import.js';
import {
  exportGroupMembers,
  importGroupMember,
  withdrawGroupMember,
  type GroupEntry,
} from './group-import.js';

/** How one kind of what users have goes in and out, entry by entry. */
export interface Transfer<Entry, Key extends string> {
  /** @returns false when it is there already. @throws CspRefusal why it cannot be */
  put(entry: Entry): Promise<boolean>;
  /** Takes it back. @returns false when it is not there. @throws CspRefusal */
  withdraw(entry: Entry): Promise<boolean>;
  /** All there are, in order of their keys. @param after the key of the last one seen */
  all(after?: Key): AsyncIterable<Entry>;
}

/** What an operator brings from another server, and takes there. */
export interface Transfers {
  readonly contacts: Transfer<ContactEntry, UserId>;
  readonly access: Transfer<AccessEntry, UserId>;
  readonly groups: Transfer<GroupEntry, ResourceId>;
}

export function transfersOf(context: ImpsContext): Transfers {
  return {
    contacts: {
      put: (entry) => importContact(context, entry),
      withdraw: (entry) => withdrawContact(context, entry),
      all: (after) => exportContacts(context, after),
    },
    access: {
      put: (entry) => importAccessEntry(context, entry),
      withdraw: (entry) => withdrawAccessEntry(context, entry),
      all: (after) => exportAccessEntries(context, after),
    },
    groups: {
      put: (entry) => importGroupMember(context, entry),
      withdraw: (entry) => withdrawGroupMember(context, entry),
      all: (after) => exportGroupMembers(context, after),
    },
  };
}
