import type { ResourceId, UserId } from '../address/wv-address.js';
import { userPartOf } from '../address/wv-address.js';
import { child, element, flagOf, textOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { keyOf, type SessionRecord } from '../state/records.js';
import { CspRefusal, result, status, type StatusCode } from '../status.js';
import { notifyTypes } from './general-notifications.js';
import { ageOf } from './public-profiles.js';
import { adminMapList, groupChanged, joinedElement, leftElement, userMapList } from './group-presentation.js';
import { readOwnProperties } from './group-properties.js';
import {
  changeGroup,
  groupOf,
  indexAutoJoin,
  joinedGroups,
  joinedOf,
  keepOwn,
  ownOf,
  type GroupRecord,
  type JoinedUser,
} from './group-store.js';
import { autoJoinGroups, groupId } from './groups.js';

/** The screen name that a request asks for. */
export const screenNameOf = (primitive: Element): string | undefined =>
  textOf(child(primitive, 'ScreenName'), 'SName')?.trim() || undefined;

/**
 * Joins a session to a group.
 * @throws CspRefusal 800, 807 already joined, 809 rejected, 810 members only, 811 screen name in use, 816, 817 full
 */
export async function join(
  context: ImpsContext,
  session: SessionRecord,
  id: ResourceId,
  screenName: string | undefined,
  notices: boolean,
  own: Readonly<Record<string, string>>,
): Promise<{ readonly group: GroupRecord; readonly joined: JoinedUser }> {
  const { user } = session;
  const age = await ageOf(context, user);
  const outcome = await changeGroup(context, id, (group) => {
    admit(context, group, user, age);
    const before = group.joined[user];
    if (before?.sessions.some((entry) => entry.id === session.id)) throw new CspRefusal(807);
    const joined: JoinedUser = {
      screenName: pickScreenName(group, user, screenName ?? before?.screenName),
      sessions: [...(before?.sessions ?? []), { id: session.id, notices }],
      own: { ...ownOf(group, user), ...before?.own, ...own },
    };
    const value = keepOwn(context, { ...group, joined: { ...group.joined, [user]: joined } }, user);
    return { value, result: { before: group, group: value, joined, first: before === undefined } };
  });
  await indexAutoJoin(context, outcome.before, outcome.group, user);
  await context.store.update(joinedGroups, keyOf(session.id, id), () => ({
    kind: 'put',
    value: { group: id },
    result: undefined,
  }));
  const { group, joined, first } = outcome;
  if (first) {
    await groupChanged(
      context,
      group,
      (version) => [joinedElement(group, [[user, joined]], version, 'notice')],
      session.id,
    );
  }
  return outcome;
}

/** Who may come in. Members and the owner need no invitation. */
function admit(context: ImpsContext, group: GroupRecord, user: UserId, age: number | undefined): void {
  const { properties } = group;
  const isMember = group.members[user] !== undefined;
  if (group.rejected.includes(user)) throw new CspRefusal(809);
  if (properties['AccessType'] === 'Restricted' && !isMember) throw new CspRefusal(810);
  if (properties['RequireInvitation'] === 'T' && !isMember && !group.invited.includes(user))
    throw new CspRefusal(816);
  const minimum = Number(properties['MinimumAge'] ?? 0);
  if (minimum > 0 && !isMember && (age ?? 0) < minimum) throw new CspRefusal(816);
  const limit = Math.min(Number(properties['MaxActiveUsers'] || Infinity), context.config.limits.joinedUsers);
  if (!group.joined[user] && Object.keys(group.joined).length >= limit) throw new CspRefusal(817);
}

/** A wanted name that another has is refused; without a wish the user part is taken, numbered if it must be. */
export function pickScreenName(group: GroupRecord, user: UserId, wanted: string | undefined): string {
  const taken = new Set(
    joinedOf(group).flatMap(([other, { screenName }]) => (other === user ? [] : [screenName])),
  );
  if (wanted !== undefined) {
    if (taken.has(wanted)) throw new CspRefusal(811);
    return wanted;
  }
  const base = userPartOf(user);
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base}${number}`;
  return name;
}

export const joinGroup: Handler = async (context, { session, version, primitive }) => {
  const id = groupId(context, primitive);
  const own = readOwnProperties(child(primitive, 'OwnProperties'));
  const notices = flagOf(primitive, 'SubscribeNotification') ?? false;
  const { group, joined } = await join(context, session, id, screenNameOf(primitive), notices, own);
  const outside = await context.ports.groups.joined(id, session, joined.screenName);
  if (outside !== 200) {
    await leave(context, session.id, session.user, id);
    throw new CspRefusal(outside);
  }
  const wantsList = flagOf(primitive, 'JoinedRequest') ?? false;
  return element(
    'JoinGroup-Response',
    wantsList ? joinedElement(group, joinedOf(group), version, 'response') : undefined,
    version === '1.3'
      ? element('ScreenName', element('SName', joined.screenName), element('GroupID', id))
      : undefined,
    group.welcome,
  );
};

/** Takes a session out of a group; the user leaves with the last one. @returns false when it was not in it */
async function leave(context: ImpsContext, session: string, user: UserId, id: ResourceId): Promise<boolean> {
  await context.store.update(joinedGroups, keyOf(session, id), () => ({ kind: 'remove', result: undefined }));
  const outcome = await changeGroup(context, id, (group) => {
    const joined = group.joined[user];
    if (!joined?.sessions.some((entry) => entry.id === session)) return { value: group, result: undefined };
    const sessions = joined.sessions.filter((entry) => entry.id !== session);
    const joinedNow: Record<UserId, JoinedUser> = { ...group.joined };
    if (sessions.length > 0) joinedNow[user] = { ...joined, sessions };
    else delete joinedNow[user];
    const value = { ...group, joined: joinedNow };
    return { value, result: { group: value, left: sessions.length === 0 ? joined : undefined } };
  });
  if (!outcome) return false;
  const { group, left } = outcome;
  if (left) await groupChanged(context, group, () => [leftElement(group, [left])]);
  return true;
}

export const leaveGroup: Handler = async (context, { session, primitive }) => {
  const id = groupId(context, primitive);
  if (!(await leave(context, session.id, session.user, id))) throw new CspRefusal(808);
  await context.ports.groups.left(id, session, 'left');
  return element('LeaveGroup-Response', element('GroupID', id), result(200));
};

/** Takes users out of a group against their will; their sessions are told why. */
export async function putOut(
  context: ImpsContext,
  id: ResourceId,
  users: readonly UserId[],
  code: StatusCode,
): Promise<void> {
  const outcome = await changeGroup(context, id, (group) => {
    const out = joinedOf(group).filter(([user]) => users.includes(user));
    const joined = Object.fromEntries(joinedOf(group).filter(([user]) => !users.includes(user)));
    const value = out.length === 0 ? group : { ...group, joined };
    const result = {
      group: value,
      users: out.map(([user]) => user),
      out: out.map(([, joinedUser]) => joinedUser),
    };
    return { value, result };
  });
  for (const { sessions } of outcome.out) {
    for (const session of sessions) {
      await context.store.update(joinedGroups, keyOf(session.id, id), () => ({
        kind: 'remove',
        result: undefined,
      }));
      await context.outbox.add(
        session.id,
        element('LeaveGroup-Response', element('GroupID', id), result(code)),
      );
    }
  }
  if (outcome.out.length === 0) return;
  for (const user of outcome.users) await notifyTypes(context, user, 'GR', [element('GroupID', id)]);
  await groupChanged(context, outcome.group, () => [leftElement(outcome.group, outcome.out)]);
}

/** A session ended: it leaves every group. */
export async function leaveAllGroups(context: ImpsContext, session: SessionRecord): Promise<void> {
  for await (const { value } of context.store.scan(joinedGroups, { prefix: keyOf(session.id, '') })) {
    try {
      await leave(context, session.id, session.user, value.group);
      await context.ports.groups.left(value.group, session, 'ended');
    } catch (error) {
      if (!(error instanceof CspRefusal)) throw error; // 800: the group went before
    }
  }
}

/** Joins the groups that the user wants to be in, after service negotiation; an error is not told (document 004 §6.1.1). */
export async function autoJoin(context: ImpsContext, session: SessionRecord): Promise<void> {
  for (const { id } of await autoJoinGroups(context, session.user)) {
    try {
      const { joined } = await join(context, session, id, undefined, true, {});
      const outside = await context.ports.groups.joined(id, session, joined.screenName);
      if (outside === 200) continue;
      await leave(context, session.id, session.user, id);
      throw new CspRefusal(outside);
    } catch (error) {
      if (!(error instanceof CspRefusal)) throw error;
      context.trail.record({
        code: 'imps.auto-join-failed',
        outcome: 'noted',
        clause: 'document 004 §6.1.1',
        subject: session.user,
        trace: session.id,
        detail: `${id} ${error.status}`,
      });
    }
  }
}

export const getJoinedUsers: Handler = async (context, { session, primitive }) => {
  const group = await groupOf(context, groupId(context, primitive));
  const role = group.members[session.user]?.role;
  const privileged = role === 'Admin' || role === 'Mod';
  if (!privileged && !group.joined[session.user]) throw new CspRefusal(808);
  return element('GetJoinedUsers-Response', privileged ? adminMapList(group) : userMapList(joinedOf(group)));
};

/** Asks for, starts or stops notices of changes in a group that the session has joined. */
export const subscribeGroupNotice: Handler = async (context, { session, primitive }) => {
  const type = textOf(primitive, 'SubscribeType')?.trim();
  if (type !== 'G' && type !== 'S' && type !== 'U') throw new CspRefusal(402, 'SubscribeType');
  const notices = await changeGroup(context, groupId(context, primitive), (group) => {
    const joined = group.joined[session.user];
    const own = joined?.sessions.find((entry) => entry.id === session.id);
    if (!joined || !own) throw new CspRefusal(808);
    if (type === 'G') return { value: group, result: own.notices };
    const sessions = joined.sessions.map((entry) =>
      entry === own ? { ...entry, notices: type === 'S' } : entry,
    );
    const value = { ...group, joined: { ...group.joined, [session.user]: { ...joined, sessions } } };
    return { value, result: type === 'S' };
  });
  return type === 'G' ? element('SubscribeGroupNotice-Response', element('Value', notices)) : status(200);
};
