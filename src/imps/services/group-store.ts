import { table } from '../../store/store.js';
import type { ResourceId, UserId } from '../address/wv-address.js';
import type { Element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import { keyOf } from '../state/records.js';
import { CspRefusal } from '../status.js';

export type Role = 'Admin' | 'Mod' | 'User';

export interface Member {
  readonly role: Role;
  /** AutoJoin, ShowID, PrivateMessaging: `T` or `F`. */
  readonly own: Readonly<Record<string, string>>;
}

export interface JoinedUser {
  readonly screenName: string;
  /** Sessions that joined; each says whether it wants to hear of changes. */
  readonly sessions: readonly { readonly id: string; readonly notices: boolean }[];
  readonly own: Readonly<Record<string, string>>;
}

export interface GroupRecord {
  readonly id: ResourceId;
  readonly owner: UserId;
  readonly createdAt: number;
  readonly properties: Readonly<Record<string, string>>;
  readonly welcome?: Element | undefined;
  readonly members: Readonly<Record<UserId, Member>>;
  readonly rejected: readonly UserId[];
  /** Who accepted an invitation, for groups that require one. */
  readonly invited: readonly UserId[];
  readonly joined: Readonly<Record<UserId, JoinedUser>>;
  /** Own properties of users who are no members and have AutoJoin: what holds while they are away. */
  readonly autoJoin?: Readonly<Record<UserId, JoinedUser['own']>> | undefined;
}

export const groups = table<GroupRecord>('imps-groups');
/** By user and group: of which groups a user is a member, or joins them without being one (AutoJoin). */
export const memberships = table<{ readonly group: ResourceId }>('imps-memberships');
/** By session and group: which groups a session joined. */
export const joinedGroups = table<{ readonly group: ResourceId }>('imps-joined-groups');

export const joinedOf = (group: GroupRecord): [UserId, JoinedUser][] =>
  Object.entries(group.joined) as [UserId, JoinedUser][];
export const membersOf = (group: GroupRecord): [UserId, Member][] =>
  Object.entries(group.members) as [UserId, Member][];

/** @throws CspRefusal 800 */
export async function groupOf(context: ImpsContext, id: ResourceId | undefined): Promise<GroupRecord> {
  const group = id && (await context.store.get(groups, id));
  if (!group) throw new CspRefusal(800);
  return group;
}

/**
 * Changes a group. `fn` gives the record as it is to be, or undefined to delete it.
 * @throws CspRefusal 800, and what `fn` throws
 */
export function changeGroup<R>(
  context: ImpsContext,
  id: ResourceId,
  fn: (current: GroupRecord) => { readonly value: GroupRecord | undefined; readonly result: R },
): Promise<R> {
  return context.store.update(groups, id, (current) => {
    if (!current) throw new CspRefusal(800);
    const { value, result } = fn(current);
    if (value === undefined) return { kind: 'remove', result };
    if (value === current) return { kind: 'keep', result };
    return { kind: 'put', value, deadline: deadlineOf(context, value), result };
  });
}

/** An empty group that deletes itself is due after its Validity; a group that does not is never. */
export function deadlineOf(context: ImpsContext, group: GroupRecord): number | undefined {
  if (group.properties['AutoDelete'] !== 'T' || Object.keys(group.joined).length > 0) return undefined;
  return context.clock.now() + Number(group.properties['Validity'] ?? 0) * 1000;
}

/** How a user is joined: undefined when there is no such group, null when the user has not joined. */
export async function memberOf(
  context: ImpsContext,
  id: ResourceId,
  user: UserId,
): Promise<JoinedUser | null | undefined> {
  const group = await context.store.get(groups, id);
  return group && (group.joined[user] ?? null);
}

/** @throws CspRefusal 816 for a user without one of these roles */
export function requireRole(group: GroupRecord, user: UserId, roles: readonly Role[]): void {
  const role = group.members[user]?.role;
  if (role === undefined || !roles.includes(role)) throw new CspRefusal(816);
}

/** What a user set for a group: as its member, else as one who joins it on every login. */
export const ownOf = ({ members, autoJoin }: GroupRecord, user: UserId): Member['own'] | undefined =>
  members[user]?.own ?? autoJoin?.[user];

/**
 * A group in which the own properties of one who joined it and is no member hold on, as long as AutoJoin is among them.
 * @throws CspRefusal 403 when as many are kept as a group may have members
 */
export function keepOwn(context: ImpsContext, group: GroupRecord, user: UserId): GroupRecord {
  const own = group.joined[user]?.own;
  const others = Object.entries(group.autoJoin ?? {}).filter(([other]) => other !== user);
  if (group.members[user] || own?.['AutoJoin'] !== 'T')
    return group.autoJoin?.[user] ? { ...group, autoJoin: Object.fromEntries(others) } : group;
  if (others.length >= context.config.limits.groupMembers)
    throw new CspRefusal(403, 'too many join on login');
  return { ...group, autoJoin: { ...group.autoJoin, [user]: own } };
}

/** Keeps the index in step with what {@link keepOwn} did. */
export async function indexAutoJoin(
  context: ImpsContext,
  before: GroupRecord,
  after: GroupRecord,
  user: UserId,
): Promise<void> {
  const [had, has] = [before, after].map(({ autoJoin }) => autoJoin?.[user] !== undefined);
  if (has && !had) await indexMembers(context, after.id, [user], []);
  else if (had && !has && !after.members[user]) await indexMembers(context, after.id, [], [user]);
}

/** Keeps the index of memberships in step with a group's members. */
export async function indexMembers(
  context: ImpsContext,
  group: ResourceId,
  added: readonly UserId[],
  removed: readonly UserId[],
): Promise<void> {
  for (const user of added) {
    await context.store.update(memberships, keyOf(user, group), () => ({
      kind: 'put',
      value: { group },
      result: undefined,
    }));
  }
  for (const user of removed) {
    await context.store.update(memberships, keyOf(user, group), () => ({
      kind: 'remove',
      result: undefined,
    }));
  }
}
