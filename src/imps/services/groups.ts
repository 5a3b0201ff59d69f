import { ownerOf, parseResourceId, type ResourceId, type UserId } from '../address/wv-address.js';
import { child, element, flagOf, textOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { countOf } from '../state/count.js';
import { keyOf } from '../state/records.js';
import { CspRefusal, result, status } from '../status.js';
import { notifyTypes } from './general-notifications.js';
import { join, screenNameOf } from './group-join.js';
import { groupChanged, groupProperties, ownProperties } from './group-presentation.js';
import {
  defaultGroupProperties,
  readGroupProperties,
  readOwnProperties,
  readWelcome,
} from './group-properties.js';
import {
  changeGroup,
  deadlineOf,
  groupOf,
  groups,
  indexAutoJoin,
  indexMembers,
  joinedGroups,
  joinedOf,
  keepOwn,
  memberships,
  membersOf,
  ownOf,
  requireRole,
  type GroupRecord,
} from './group-store.js';

/** The group that a request names. @throws CspRefusal 800 */
export function groupId(context: ImpsContext, primitive: Element): ResourceId {
  const id = parseResourceId(textOf(primitive, 'GroupID'), context.config.domain);
  if (id === undefined) throw new CspRefusal(800);
  return id;
}

const groupIdElement = (id: ResourceId): Element => element('GroupID', id);

/** Makes a group in the name of its creator, who is its administrator. */
export const createGroup: Handler = async (context, { session, primitive }) => {
  const id = parseResourceId(textOf(primitive, 'GroupID'), context.config.domain);
  if (id === undefined || ownerOf(id) !== session.user) throw new CspRefusal(806);
  const properties = readGroupProperties(child(primitive, 'GroupProperties'));
  const own = readOwnProperties(child(primitive, 'OwnProperties'));
  await checkGroupLimit(context, session.user);
  const group: GroupRecord = {
    id,
    owner: session.user,
    createdAt: context.clock.now(),
    properties: { ...defaultGroupProperties, ...properties },
    welcome: readWelcome(child(primitive, 'GroupProperties')),
    members: { [session.user]: { role: 'Admin', own } },
    rejected: [],
    invited: [],
    joined: {},
  };
  await context.store.update(groups, id, (current) => {
    if (current) throw new CspRefusal(801);
    return { kind: 'put', value: group, deadline: deadlineOf(context, group), result: undefined };
  });
  await indexMembers(context, id, [session.user], []);
  if (flagOf(primitive, 'JoinGroup')) {
    const notices = flagOf(primitive, 'SubscribeNotification') ?? false;
    await join(context, session, id, screenNameOf(primitive), notices, own);
  }
  await notifyTypes(context, session.user, 'GC', [groupIdElement(id)], { except: session.id });
  return status(200);
};

/** @throws CspRefusal 814 */
export async function checkGroupLimit(context: ImpsContext, user: GroupRecord['owner']): Promise<void> {
  const limit = context.config.limits.groupsPerUser;
  const owned = await countOf(context.store.scan(groups, { prefix: user.replace(/@.*$/, '/'), limit }));
  if (owned >= limit) throw new CspRefusal(814);
}

export const deleteGroup: Handler = async (context, { session, primitive }) => {
  const id = groupId(context, primitive);
  const gone = await changeGroup(context, id, (group) => {
    requireRole(group, session.user, ['Admin']);
    return { value: undefined, result: group };
  });
  await dissolve(context, gone, session.id);
  return status(200);
};

/** A group is gone: who had joined is told so, and so is every member. */
export async function dissolve(context: ImpsContext, group: GroupRecord, except?: string): Promise<void> {
  for (const [, { sessions }] of joinedOf(group)) {
    for (const { id } of sessions) {
      await context.store.update(joinedGroups, keyOf(id, group.id), () => ({
        kind: 'remove',
        result: undefined,
      }));
      if (id === except) continue;
      await context.outbox.add(id, element('LeaveGroup-Response', groupIdElement(group.id), result(800)));
    }
  }
  const members = membersOf(group).map(([user]) => user);
  const autoJoining = Object.keys(group.autoJoin ?? {}) as UserId[];
  await indexMembers(context, group.id, [], [...members, ...autoJoining]);
  for (const user of members) {
    await notifyTypes(
      context,
      user,
      'GD',
      [groupIdElement(group.id)],
      except === undefined ? {} : { except },
    );
  }
  await context.ports.groups.dissolved(group.id);
}

export const getGroupProps: Handler = async (context, { session, primitive }) => {
  const group = await groupOf(context, groupId(context, primitive));
  return element('GetGroupProps-Response', groupProperties(group), ownProperties(group, session.user));
};

export const setGroupProps: Handler = async (context, { session, primitive }) => {
  const given = child(primitive, 'GroupProperties');
  const properties = readGroupProperties(given);
  const welcome = readWelcome(given);
  const own = readOwnProperties(child(primitive, 'OwnProperties'));
  const { user } = session;
  const { before, group } = await changeGroup(context, groupId(context, primitive), (current) => {
    if (given) requireRole(current, session.user, ['Admin']);
    const member = current.members[session.user];
    const joined = current.joined[session.user];
    if (!member && !joined && !given) throw new CspRefusal(810);
    const members = member
      ? { ...current.members, [session.user]: { ...member, own: { ...member.own, ...own } } }
      : current.members;
    const joinedNow = joined
      ? { ...current.joined, [session.user]: { ...joined, own: { ...joined.own, ...own } } }
      : current.joined;
    const value: GroupRecord = {
      ...current,
      properties: { ...current.properties, ...properties },
      welcome: welcome ?? current.welcome,
      members,
      joined: joinedNow,
    };
    const kept = keepOwn(context, value, user);
    return { value: kept, result: { before: current, group: kept } };
  });
  await indexAutoJoin(context, before, group, user);
  if (given) await groupChanged(context, group, () => [groupProperties(group)], session.id);
  return status(200);
};

/** Groups that nobody has joined and that delete themselves then. */
export async function deleteEmptyGroups(context: ImpsContext, limit: number): Promise<void> {
  for (const key of await context.store.due(groups, context.clock.now(), limit)) {
    const id = key as ResourceId;
    const gone = await context.store.update<GroupRecord, GroupRecord | undefined>(groups, id, (current) =>
      current && Object.keys(current.joined).length === 0
        ? { kind: 'remove', result: current }
        : { kind: 'keep', result: undefined },
    );
    if (gone) await dissolve(context, gone);
  }
}

/** A user is no more: the user's groups go, and the others lose the member. */
export async function leaveAllGroups(context: ImpsContext, user: UserId): Promise<void> {
  for await (const { value } of context.store.scan(memberships, { prefix: keyOf(user, '') })) {
    const group = await context.store.get(groups, value.group);
    if (group?.owner === user) {
      await context.store.update(groups, group.id, () => ({ kind: 'remove', result: undefined }));
      await dissolve(context, group);
      continue;
    }
    if (group)
      await changeGroup(context, group.id, (current) => ({
        value: {
          ...current,
          members: Object.fromEntries(membersOf(current).filter(([id]) => id !== user)),
          autoJoin: Object.fromEntries(Object.entries(current.autoJoin ?? {}).filter(([id]) => id !== user)),
        },
        result: undefined,
      }));
    await indexMembers(context, value.group, [], [user]);
  }
}

/** Groups that the user wants to join at login: no more than one may make. */
export async function autoJoinGroups(
  context: ImpsContext,
  user: GroupRecord['owner'],
): Promise<GroupRecord[]> {
  const found: GroupRecord[] = [];
  for await (const { value } of context.store.scan(memberships, { prefix: keyOf(user, '') })) {
    const group = await context.store.get(groups, value.group);
    if (group && ownOf(group, user)?.['AutoJoin'] === 'T') found.push(group);
    if (found.length >= context.config.limits.groupsPerUser) break;
  }
  return found;
}
