import { table } from '../../store/store.js';
import type { ResourceId, UserId } from '../address/wv-address.js';
import { child, element, type Element } from '../codec/element.js';
import { inVersion } from '../codec/in-version.js';
import type { ImpsContext } from '../context.js';
import { keyOf, type SessionRecord } from '../state/records.js';
import type { Contact } from './contact-list-store.js';
import { allAttributes, askFor, granted } from './presence-authorization.js';
import { presenceOf } from './presence-store.js';

/** That a session watches a user; a subscription lives as long as its session. */
export interface SubscriptionRecord {
  readonly watched: UserId;
  readonly watcher: UserId;
  readonly session: string;
  /** Attributes asked for; empty means all. */
  readonly attributes: readonly string[];
  /** What the subscription came by: contact lists, {@link DIRECT} for the user itself. It lasts as long as one of them. */
  readonly sources?: readonly string[] | undefined;
  readonly since: number;
}

/** The session subscribed to the user itself, and to no list that holds it. */
const DIRECT = '';

/** A subscription to a list that follows its members. */
interface ListSubscriptionRecord {
  readonly attributes: readonly string[];
}

/** By watched user, watcher and session. */
export const subscriptions = table<SubscriptionRecord>('imps-subscriptions');
/** The same turned around: by session and watched user. */
const watching = table<{ readonly watched: UserId }>('imps-watching');
/** Who is watched by anybody; `last` is the number of the last subscription, so that an older end does not undo it. */
const watchedUsers = table<{ readonly last: number }>('imps-watched-users');
const listSubscriptions = table<ListSubscriptionRecord>('imps-list-subscriptions');

const subscriptionKey = (watched: UserId, watcher: UserId, session: string): string =>
  keyOf(watched, watcher, session);

/** Starts a subscription, or changes its attributes, and sends the current values. */
export async function subscribe(
  context: ImpsContext,
  session: SessionRecord,
  watched: UserId,
  attributes: readonly string[],
  list?: ResourceId,
): Promise<void> {
  const value: SubscriptionRecord = {
    watched,
    watcher: session.user,
    session: session.id,
    attributes,
    since: context.clock.now(),
  };
  await context.store.update(watching, keyOf(session.id, watched), () => ({
    kind: 'put',
    value: { watched },
    result: undefined,
  }));
  await context.store.update(
    subscriptions,
    subscriptionKey(watched, session.user, session.id),
    (current) => ({
      kind: 'put',
      value: { ...value, sources: [...new Set([...(current?.sources ?? []), list ?? DIRECT])] },
      result: undefined,
    }),
  );
  await context.store.update(watchedUsers, keyOf(watched), (current) => ({
    kind: 'put',
    value: { last: (current?.last ?? 0) + 1 },
    result: undefined,
  }));
  if (await context.ports.presence.watch(watched, session.user)) return;
  const allowed = await askFor(context, watched, session.user, attributes);
  if (allowed !== undefined) await notifySession(context, session, watched, attributes, allowed, undefined);
}

/**
 * Ends a subscription.
 * @param list the contact list by which it came; what came by another list or by the user itself stays. Whole without.
 */
export async function unsubscribe(
  context: ImpsContext,
  session: SessionRecord,
  watched: UserId,
  list?: ResourceId,
): Promise<void> {
  const key = subscriptionKey(watched, session.user, session.id);
  const had = await context.store.update<SubscriptionRecord, 'none' | 'some' | 'left'>(
    subscriptions,
    key,
    (current) => {
      if (!current) return { kind: 'keep', result: 'none' };
      const sources = list === undefined ? [] : (current.sources ?? []).filter((source) => source !== list);
      if (sources.length > 0) return { kind: 'put', value: { ...current, sources }, result: 'left' };
      return { kind: 'remove', result: 'some' };
    },
  );
  if (had === 'left') return;
  await context.store.update(watching, keyOf(session.id, watched), () => ({
    kind: 'remove',
    result: undefined,
  }));
  if (had === 'none') return;
  await forgetUnwatched(context, watched);
  await context.ports.presence.unwatch(watched, session.user);
}

/** Whether any session watches the user. */
export const isWatched = async ({ store }: ImpsContext, user: UserId): Promise<boolean> =>
  (await store.get(watchedUsers, keyOf(user))) !== undefined;

/** Whether a session of the watcher watches the user. */
export async function watches({ store }: ImpsContext, watched: UserId, watcher: UserId): Promise<boolean> {
  for await (const _one of store.scan(subscriptions, { prefix: keyOf(watched, watcher, ''), limit: 1 }))
    return true;
  return false;
}

/** A subscription is in the store before its user is marked as watched: one that begins meanwhile marks it again. */
async function forgetUnwatched({ store }: ImpsContext, user: UserId): Promise<void> {
  const marked = await store.get(watchedUsers, keyOf(user));
  for await (const _left of store.scan(subscriptions, { prefix: keyOf(user, ''), limit: 1 })) return;
  await store.update(watchedUsers, keyOf(user), (current) =>
    current?.last === marked?.last
      ? { kind: 'remove', result: undefined }
      : { kind: 'keep', result: undefined },
  );
}

/** Has the session's subscription of a list follow the list's members, until it ends. */
export const follow = (
  context: ImpsContext,
  session: SessionRecord,
  list: ResourceId,
  attributes: readonly string[],
): Promise<void> =>
  context.store.update(listSubscriptions, keyOf(session.id, list), () => ({
    kind: 'put',
    value: { attributes },
    result: undefined,
  }));

export const unfollow = (context: ImpsContext, session: SessionRecord, list: ResourceId): Promise<void> =>
  context.store.update(listSubscriptions, keyOf(session.id, list), () => ({
    kind: 'remove',
    result: undefined,
  }));

/** Members of a list came or went: the sessions of its owner that follow it follow. */
export async function followList(
  context: ImpsContext,
  owner: UserId,
  list: ResourceId,
  added: readonly Contact[],
  removed: readonly Contact[],
): Promise<void> {
  for (const session of await context.sessions.ofUser(owner)) {
    const following = await context.store.get(listSubscriptions, keyOf(session.id, list));
    if (!following) continue;
    for (const { user } of added) await subscribe(context, session, user, following.attributes, list);
    for (const { user } of removed) await unsubscribe(context, session, user, list);
  }
}

/** A list is no more: nobody follows it, should it be made again. */
export async function forgetList(context: ImpsContext, owner: UserId, list: ResourceId): Promise<void> {
  for (const session of await context.sessions.ofUser(owner)) await unfollow(context, session, list);
}

/** A session ended: it watches nobody any more. */
export async function dropSubscriptions(context: ImpsContext, session: SessionRecord): Promise<void> {
  const prefix = keyOf(session.id, '');
  for await (const { value } of context.store.scan(watching, { prefix })) {
    await unsubscribe(context, session, value.watched);
  }
  for await (const { key } of context.store.scan(listSubscriptions, { prefix })) {
    await context.store.update(listSubscriptions, key, () => ({ kind: 'remove', result: undefined }));
  }
}

/** A user is no more: nobody watches it. */
export async function dropWatchers({ store }: ImpsContext, user: UserId): Promise<void> {
  const gone = () => ({ kind: 'remove', result: undefined }) as const;
  for await (const { key, value } of store.scan(subscriptions, { prefix: keyOf(user, '') })) {
    await store.update(watching, keyOf(value.session, user), gone);
    await store.update(subscriptions, key, gone);
  }
  await store.update(watchedUsers, keyOf(user), gone);
}

/** Tells every watcher what changed, as far as each asked for it and may see it. */
export async function presenceChanged(
  context: ImpsContext,
  watched: UserId,
  changed: readonly string[],
): Promise<void> {
  if (changed.length === 0) return;
  await context.ports.presence.changed(watched);
  const names = new Set(changed);
  for await (const { value } of context.store.scan(subscriptions, { prefix: keyOf(watched, '') })) {
    const session = await context.sessions.find(value.session);
    if (!session) continue;
    const allowed = await granted(context, watched, value.watcher);
    if (allowed) await notifySession(context, session, watched, value.attributes, allowed, names);
  }
}

/** The owner decided about a watcher: he hears what he may see from now on. */
export async function grantedNow(context: ImpsContext, watched: UserId, watcher: UserId): Promise<void> {
  await context.ports.presence.changed(watched);
  const allowed = await granted(context, watched, watcher);
  if (allowed === undefined) return;
  for await (const { value } of context.store.scan(subscriptions, { prefix: keyOf(watched, watcher, '') })) {
    const session = await context.sessions.find(value.session);
    if (session) await notifySession(context, session, watched, value.attributes, allowed, undefined);
  }
}

/** Tells one watcher of a user elsewhere, whose presence is not kept here: of the list, what each of its sessions asked for. */
export async function tellWatcher(
  context: ImpsContext,
  watched: UserId,
  watcher: UserId,
  list: Element,
): Promise<void> {
  for await (const { value } of context.store.scan(subscriptions, { prefix: keyOf(watched, watcher, '') })) {
    const session = await context.sessions.find(value.session);
    if (!session) continue;
    const { attributes } = value;
    const asked = list.children.filter(({ name }) => attributes.length === 0 || attributes.includes(name));
    if (asked.length === 0) continue;
    const shown = inVersion(element('PresenceSubList', asked), session.version);
    await tell(context, session.id, watched, shown);
  }
}

/** What waits unread of that user's presence is told together with what is new: of each attribute the newest. */
const tell = (context: ImpsContext, session: string, watched: UserId, list: Element): Promise<void> =>
  context.outbox.addNews(
    session,
    `presence ${watched}`,
    presenceNotification(watched, list),
    (before, now) => {
      const [old, fresh] = [before, now].map(
        (notification) => child(child(notification, 'Presence'), 'PresenceSubList')?.children ?? [],
      );
      const names = new Set(fresh!.map(({ name }) => name));
      const kept = old!.filter(({ name }) => !names.has(name));
      return presenceNotification(watched, element('PresenceSubList', kept, fresh));
    },
  );

const presenceNotification = (watched: UserId, list: Element): Element =>
  element('PresenceNotification-Request', element('Presence', element('UserID', watched), list));

async function notifySession(
  context: ImpsContext,
  session: SessionRecord,
  watched: UserId,
  asked: readonly string[],
  allowed: ReadonlySet<string>,
  changed: ReadonlySet<string> | undefined,
): Promise<void> {
  const wanted = asked.length > 0 ? asked : [...allAttributes];
  const names = new Set(wanted.filter((name) => allowed.has(name) && (!changed || changed.has(name))));
  if (names.size === 0) return;
  const list = await presenceOf(context, watched, names, session.version);
  if (list.children.length === 0) return;
  await tell(context, session.id, watched, list);
}
