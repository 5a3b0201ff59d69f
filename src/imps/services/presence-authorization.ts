import { table } from '../../store/store.js';
import type { ResourceId, UserId } from '../address/wv-address.js';
import { element, type Element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import { keyOf } from '../state/records.js';
import { presenceAttributes } from '../vocabulary/presence.js';
import { toEachSession } from '../delivery/user-requests.js';
import { listsOf, type Contact } from './contact-list-store.js';
import { notifyTypes } from './general-notifications.js';
import { followList, grantedNow } from './presence-subscriptions.js';

/** Attributes that somebody may see; an empty list grants none. */
export interface Grant {
  readonly attributes: readonly string[];
  /** The owner wants to hear when somebody who is not authorized asks. */
  readonly notify: boolean;
}

/** Attribute lists of one user. */
export interface GrantsRecord {
  readonly users: Readonly<Record<string, Grant>>;
  readonly lists: Readonly<Record<string, Grant>>;
  readonly byDefault?: Grant | undefined;
}

/** What the owner said, before 1.3, to somebody who asked. */
export interface AuthorizationRecord {
  readonly state: 'GRANTED' | 'DENIED' | 'PENDING';
  readonly attributes: readonly string[];
}

export const grants = table<GrantsRecord>('imps-attribute-lists');
export const noGrants: GrantsRecord = { users: {}, lists: {} };
export const authorizations = table<AuthorizationRecord>('imps-authorizations');

export const allAttributes: ReadonlySet<string> = new Set(presenceAttributes.map(({ name }) => name));
const none: ReadonlySet<string> = new Set();

interface Permission {
  /** Undefined when the owner has decided nothing. */
  readonly attributes: ReadonlySet<string> | undefined;
  /** How the owner wants to hear of somebody who asks for more. */
  readonly notice?: { readonly type: 'ANU' | 'ANC' | 'AND'; readonly place: readonly Element[] } | undefined;
}

/**
 * What a user may see of `owner`: by the list for that user; else by all lists for contact lists that hold him; else by
 * the default list; else by what the owner answered him.
 */
async function permissionOf(context: ImpsContext, owner: UserId, watcher: UserId): Promise<Permission> {
  if (owner === watcher) return { attributes: allAttributes };
  if (await context.ports.presence.hides(owner, watcher)) return { attributes: none };
  const record = (await context.store.get(grants, owner)) ?? noGrants;
  const forUser = record.users[watcher];
  if (forUser) {
    return {
      attributes: new Set(forUser.attributes),
      notice: forUser.notify ? { type: 'ANU', place: [] } : undefined,
    };
  }
  if (Object.keys(record.lists).length > 0) {
    const { lists } = await listsOf(context, owner);
    const holding = lists.filter(
      (list) => record.lists[list.id] && list.members.some((contact) => contact.user === watcher),
    );
    if (holding.length > 0) {
      const telling = holding.filter((list) => record.lists[list.id]!.notify);
      const place = element(
        'ContactListIDList',
        telling.map((list) => element('ContactList', list.id)),
      );
      return {
        attributes: new Set(holding.flatMap((list) => record.lists[list.id]!.attributes)),
        notice: telling.length > 0 ? { type: 'ANC', place: [place] } : undefined,
      };
    }
  }
  if (record.byDefault) {
    return {
      attributes: new Set(record.byDefault.attributes),
      notice: record.byDefault.notify ? { type: 'AND', place: [element('DefaultList', true)] } : undefined,
    };
  }
  return { attributes: await answeredBy(context, owner, watcher) };
}

/** Attributes that a user may see; undefined when the owner has decided nothing. */
export const granted = async (
  context: ImpsContext,
  owner: UserId,
  watcher: UserId,
): Promise<ReadonlySet<string> | undefined> => (await permissionOf(context, owner, watcher)).attributes;

/**
 * Somebody asks for attributes; none names all that he may see. The owner hears of it when he has decided nothing, or
 * when the list that applies wants him to know of one who asks for more than it grants.
 * @returns what he may see
 */
export async function askFor(
  context: ImpsContext,
  owner: UserId,
  watcher: UserId,
  asked: readonly string[],
): Promise<ReadonlySet<string> | undefined> {
  const { attributes, notice } = await permissionOf(context, owner, watcher);
  if (attributes === undefined) await askOwner(context, owner, watcher, asked);
  else if (notice) {
    const missing = asked.filter((name) => !attributes.has(name));
    if (missing.length > 0 || attributes.size === 0) {
      const list = element(
        'PresenceSubList',
        missing.map((name) => element(name)),
      );
      const who = element('UserIDList', element('UserID', watcher));
      await notifyTypes(context, owner, notice.type, [list, who, ...notice.place]);
    }
  }
  return attributes;
}

const isElsewhere = async ({ ports: { router } }: ImpsContext, user: UserId): Promise<boolean> =>
  (await router.knows(user)) || router.mayKnow(user);

async function answeredBy(
  context: ImpsContext,
  owner: UserId,
  watcher: UserId,
): Promise<ReadonlySet<string> | undefined> {
  const answered = await context.store.get(authorizations, keyOf(owner, watcher));
  // what a user elsewhere shows is decided there
  if (!answered && !(await context.ports.users.find(owner)) && (await isElsewhere(context, owner)))
    return allAttributes;
  if (!answered || answered.state === 'PENDING') return undefined;
  if (answered.state === 'DENIED') return none;
  return answered.attributes.length > 0 ? new Set(answered.attributes) : allAttributes;
}

/** Asks the owner about somebody who is not authorized: once, until it is answered. */
async function askOwner(
  context: ImpsContext,
  owner: UserId,
  watcher: UserId,
  attributes: readonly string[],
): Promise<void> {
  const asked = await context.store.update<AuthorizationRecord, boolean>(
    authorizations,
    keyOf(owner, watcher),
    (current) =>
      current
        ? { kind: 'keep', result: true }
        : { kind: 'put', value: { state: 'PENDING', attributes: [] }, result: false },
  );
  const list = element(
    'PresenceSubList',
    attributes.map((name) => element(name)),
  );
  await notifyTypes(context, owner, 'ANU', [list, element('UserIDList', element('UserID', watcher))]);
  if (asked) return;
  const request = element('PresenceAuth-Request', element('UserID', watcher), list);
  await toEachSession(context, owner, request);
}

/** Members of a list that are added with AuthorizeAndGrant may see what the default list shows, or all. */
export async function authorizeAndGrant(
  context: ImpsContext,
  owner: UserId,
  added: readonly Contact[],
): Promise<void> {
  await context.store.update(grants, owner, (current = noGrants) => {
    const grant: Grant = current.byDefault ?? { attributes: [...allAttributes], notify: false };
    const users = { ...current.users };
    for (const { user } of added) users[user] ??= grant;
    return { kind: 'put', value: { ...current, users }, result: undefined };
  });
  for (const { user } of added) await grantedNow(context, owner, user);
}

/** Members of a contact list changed: subscriptions of the list follow, and so does who is authorized by it. */
export async function contactsChanged(
  context: ImpsContext,
  owner: UserId,
  list: ResourceId,
  added: readonly Contact[],
  removed: readonly Contact[],
): Promise<void> {
  await followList(context, owner, list, added, removed);
  const record = await context.store.get(grants, owner);
  if (!record?.lists[list]) return;
  for (const { user } of [...added, ...removed]) await grantedNow(context, owner, user);
}
