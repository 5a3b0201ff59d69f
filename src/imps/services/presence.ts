import { parseResourceId, parseUserId, type UserId } from '../address/wv-address.js';
import {
  child,
  childrenOf,
  element,
  flagOf,
  numberOf,
  textOf,
  textsOf,
  type Element,
} from '../codec/element.js';
import { inVersion } from '../codec/in-version.js';
import type { Handler, ImpsContext, SessionRequest } from '../context.js';
import { keyOf, type SessionRecord } from '../state/records.js';
import { CspRefusal, Failures, codeFor, result, status } from '../status.js';
import { isReachable } from './contact-lists.js';
import { listMembers } from './contact-list-store.js';
import { allAttributes, authorizations, askFor, type AuthorizationRecord } from './presence-authorization.js';
import { attributeNames, presenceOf, publish, setOnline } from './presence-store.js';
import {
  follow,
  grantedNow,
  presenceChanged,
  subscribe,
  subscriptions,
  unfollow,
  unsubscribe,
} from './presence-subscriptions.js';

/** Users of a request, in the shape of 1.3 (UserIDList) or of earlier versions (User, UserID): both are always read. */
export function usersOf(context: ImpsContext, primitive: Element, failures: Failures): UserId[] {
  const texts = [
    ...textsOf(child(primitive, 'UserIDList'), 'UserID'),
    ...textsOf(primitive, 'UserID'),
    ...childrenOf(primitive, 'User').map((user) => textOf(user, 'UserID') ?? propertyUser(user)),
  ];
  return texts.flatMap((text) => {
    const user = parseUserId(text, context.config.domain);
    if (user === undefined) failures.add(531, element('UserID', text));
    return user ?? [];
  });
}

/** One client of the field writes User(Property(Name=UserID, Value=…)) when it unsubscribes. */
const propertyUser = (user: Element): string => textOf(child(user, 'Property'), 'Value') ?? '';

/** Contact lists of a request, in either shape, with their members. */
async function listsOfRequest(
  context: ImpsContext,
  owner: UserId,
  primitive: Element,
  failures: Failures,
): Promise<{ id: NonNullable<ReturnType<typeof parseResourceId>>; members: readonly UserId[] }[]> {
  const texts = [
    ...textsOf(child(primitive, 'ContactListIDList'), 'ContactList'),
    ...textsOf(primitive, 'ContactList'),
  ];
  const found: { id: NonNullable<ReturnType<typeof parseResourceId>>; members: readonly UserId[] }[] = [];
  for (const text of texts) {
    const id = parseResourceId(text, context.config.domain);
    const members = id && (await listMembers(context, owner, id));
    if (id && members) found.push({ id, members: members.map(({ user }) => user) });
    else failures.add(700, element('ContactList', text));
  }
  return found;
}

export const subscribePresence: Handler = async (context, request) => {
  const { session, primitive } = request;
  const attributes = attributeNames(child(primitive, 'PresenceSubList'));
  const failures = new Failures();
  let done = 0;
  for (const user of usersOf(context, primitive, failures)) {
    if (await isReachable(context, user)) {
      await subscribe(context, session, user, attributes);
      done++;
    } else failures.add(531, element('UserID', user));
  }
  for (const { id, members } of await listsOfRequest(context, session.user, primitive, failures)) {
    if (flagOf(primitive, 'AutoSubscribe') === true) await follow(context, session, id, attributes);
    for (const user of members) await subscribe(context, session, user, attributes, id);
    done++;
  }
  const details = failures.details();
  return status(codeFor(done, details), details);
};

export const unsubscribePresence: Handler = async (context, { session, primitive }) => {
  const failures = new Failures();
  let done = 0;
  for (const user of usersOf(context, primitive, failures)) {
    await unsubscribe(context, session, user);
    done++;
  }
  for (const { id, members } of await listsOfRequest(context, session.user, primitive, failures)) {
    await unfollow(context, session, id);
    for (const user of members) await unsubscribe(context, session, user, id);
    done++;
  }
  const details = failures.details();
  return status(codeFor(done, details), details);
};

export const getPresence: Handler = async (context, { session, version, primitive }) => {
  const asked = attributeNames(child(primitive, 'PresenceSubList'));
  const failures = new Failures();
  const users = usersOf(context, primitive, failures);
  for (const { members } of await listsOfRequest(context, session.user, primitive, failures))
    users.push(...members);
  // at once: users elsewhere may take their time
  const outcomes = await Promise.all(
    [...new Set(users)].map(async (user) => {
      const outcome = await visible(context, session, user, asked);
      if (typeof outcome === 'number') return { user, outcome };
      const external = await context.ports.presence.fetch(user, session.user);
      const list = external
        ? inVersion(only(external, outcome), version)
        : await presenceOf(context, user, outcome, version);
      return { user, outcome: element('Presence', element('UserID', user), list) };
    }),
  );
  const shown: Element[] = [];
  for (const { user, outcome } of outcomes)
    if (typeof outcome === 'number') failures.add(outcome, element('UserID', user));
    else shown.push(outcome);
  const details = failures.details();
  return element('GetPresence-Response', result(codeFor(shown.length, details), details), shown);
};

const only = (list: Element, names: ReadonlySet<string>): Element =>
  element(
    'PresenceSubList',
    list.children.filter(({ name }) => names.has(name)),
  );

/** Attributes that a session gets of a user, or why it gets none: 521 when the owner of a ≤1.2 asker was asked. */
async function visible(
  context: ImpsContext,
  session: SessionRecord,
  user: UserId,
  asked: readonly string[],
): Promise<ReadonlySet<string> | 531 | 521> {
  if (user !== session.user && !(await isReachable(context, user))) return 531;
  const allowed = await askFor(context, user, session.user, asked);
  if (allowed === undefined && session.version !== '1.3') return 521;
  const wanted = asked.length > 0 ? asked : [...allAttributes];
  return new Set(wanted.filter((name) => allowed?.has(name) ?? false));
}

export const updatePresence: Handler = async (context, { session, primitive }) => {
  const list = child(primitive, 'PresenceSubList');
  if (!list) throw new CspRefusal(400, 'no PresenceSubList');
  await presenceChanged(context, session.user, await publish(context, session, list));
  return status(200);
};

/** A session began or ended: its client is online, or no longer. */
export async function cameOnline(context: ImpsContext, session: SessionRecord): Promise<void> {
  await presenceChanged(context, session.user, await setOnline(context, session, true));
}
export async function wentOffline(context: ImpsContext, session: SessionRecord): Promise<void> {
  await presenceChanged(context, session.user, await setOnline(context, session, false));
}

export const getWatcherList: Handler = async (context, { session, version, primitive }) => {
  const limit = Math.min(numberOf(primitive, 'MaxWatcherList') ?? 1000, 1000);
  const watchers = new Set<UserId>();
  for await (const { value } of context.store.scan(subscriptions, { prefix: keyOf(session.user, '') })) {
    if (value.watcher !== session.user) watchers.add(value.watcher);
  }
  const listed = [...watchers].slice(0, limit);
  const user = (id: UserId): Element => element('User', element('UserID', id));
  if (version === '1.1') return element('GetWatcherList-Response', listed.map(user));
  return element(
    'GetWatcherList-Response',
    version === '1.3' ? element('WatcherCount', watchers.size) : undefined,
    listed.map((id) =>
      element(
        'Watcher',
        version === '1.3' ? element('UserID', id) : user(id),
        element('WatcherStatus', 'CURRENT_SUBSCRIBER'),
      ),
    ),
  );
};

function decidedUser(context: ImpsContext, { primitive }: Pick<SessionRequest, 'primitive'>): UserId {
  const user = parseUserId(textOf(primitive, 'UserID'), context.config.domain);
  if (user === undefined) throw new CspRefusal(531);
  return user;
}

/** The owner's answer to a PresenceAuth-Request; clients send it as a request or as a response. */
export const presenceAuthUser: Handler = async (context, { session, primitive }) => {
  const watcher = decidedUser(context, { primitive });
  const accepted = flagOf(primitive, 'Acceptance');
  if (accepted === undefined) throw new CspRefusal(400, 'no Acceptance');
  const attributes = attributeNames(child(primitive, 'PresenceSubList'));
  await context.store.update<AuthorizationRecord, undefined>(
    authorizations,
    keyOf(session.user, watcher),
    () => ({
      kind: 'put',
      value: { state: accepted ? 'GRANTED' : 'DENIED', attributes },
      result: undefined,
    }),
  );
  await grantedNow(context, session.user, watcher);
  return status(200);
};

/** Takes an authorization back: the watcher is asked about again. */
export const cancelAuth: Handler = async (context, { session, primitive }) => {
  const watcher = decidedUser(context, { primitive });
  await context.store.update(authorizations, keyOf(session.user, watcher), () => ({
    kind: 'remove',
    result: undefined,
  }));
  return status(200);
};

export const getReactiveAuthStatus: Handler = async (context, { session, primitive }) => {
  const asked = new Set(textsOf(primitive, 'UserID').map((text) => parseUserId(text, context.config.domain)));
  const states: Element[] = [];
  const prefix = keyOf(session.user, '');
  for await (const { key, value } of context.store.scan(authorizations, { prefix, limit: 1000 })) {
    const watcher = key.slice(prefix.length) as UserId;
    if (asked.size > 0 && !asked.has(watcher)) continue;
    const list = value.attributes.map((name) => element(name));
    states.push(
      element(
        'ReactiveAuthStatus',
        element('UserID', watcher),
        element('ReactiveAuthState', value.state),
        list.length > 0 ? element('PresenceSubList', list) : undefined,
      ),
    );
  }
  return element('GetReactiveAuthStatus-Response', element('ReactiveAuthStatusList', states));
};
