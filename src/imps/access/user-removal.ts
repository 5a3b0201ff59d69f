import type { Table } from '../../store/store.js';
import type { UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';
import { discard } from '../delivery/courier.js';
import { endSession } from '../lifecycle.js';
import { accessLists } from '../services/access-lists.js';
import { contactLists } from '../services/contact-list-store.js';
import { leaveAllGroups } from '../services/groups.js';
import { invitations } from '../services/invitations.js';
import { authorizations, grants } from '../services/presence-authorization.js';
import { presence } from '../services/presence-store.js';
import { dropWatchers } from '../services/presence-subscriptions.js';
import { profiles } from '../services/public-profiles.js';
import { systemMessages } from '../services/system-messages.js';
import { clients, keyOf, userOutbox, type UserRecord } from '../state/records.js';

/** Records named by the user. */
const own: readonly Table<unknown>[] = [accessLists, contactLists, grants, presence, profiles];
/** Records whose names begin with the user. */
const ofUser: readonly Table<unknown>[] = [authorizations, clients, invitations, systemMessages, userOutbox];
const PAGE = 200;

/**
 * Removes a user with all that is kept for it: who gets the address next must find nothing. The record of the user goes last and lets
 * nobody in meanwhile, so that a removal which was broken off is taken up by asking for it again.
 * @returns the user as it was; undefined when there was none
 */
export async function removeUser(context: ImpsContext, user: UserId): Promise<UserRecord | undefined> {
  const { users } = context.ports;
  const before = await users.find(user);
  if (!before) return undefined;
  await users.change(user, (current) => ({ ...current, state: 'barred' }));
  for (const session of await context.sessions.ofUser(user)) await endSession(context, session, 601);
  await leaveAllGroups(context, user);
  await discardAll(context, user);
  await dropWatchers(context, user);
  for (const table of own) await remove(context, table, user);
  for (const table of ofUser)
    for await (const { key } of context.store.scan(table, { prefix: keyOf(user, '') }))
      await remove(context, table, key);
  await context.ports.observer.userRemoved(user);
  await users.remove(user);
  return before;
}

/** What waits will not be read: its senders hear that the recipient is unknown. */
async function discardAll(context: ImpsContext, user: UserId): Promise<void> {
  for (let found = PAGE; found === PAGE;) {
    found = 0;
    for await (const message of context.mailbox.list(user, '', PAGE)) {
      found++;
      await discard(context, user, message, 531);
    }
  }
}

const remove = (context: ImpsContext, table: Table<unknown>, key: string): Promise<void> =>
  context.store.update(table, key, () => ({ kind: 'remove', result: undefined }));
