import { parseUserId, type UserId } from '../address/wv-address.js';
import { child, childrenOf, element, textOf, textsOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { CspRefusal, Failures, codeFor, status } from '../status.js';
import { exists } from './contact-lists.js';
import { notifyTypes, type NotificationType } from './general-notifications.js';
import { putOut } from './group-join.js';
import { membersElements } from './group-presentation.js';
import {
  changeGroup,
  groupOf,
  indexMembers,
  membersOf,
  requireRole,
  type GroupRecord,
  type Member,
  type Role,
} from './group-store.js';
import { groupId } from './groups.js';

/** Users of a UserList or UserIDList, whichever the version has. */
function listed(context: ImpsContext, parent: Element | undefined, failures: Failures): UserId[] {
  const texts = [
    ...textsOf(child(parent, 'UserIDList'), 'UserID'),
    ...childrenOf(child(parent, 'UserList'), 'User').map((user) => textOf(user, 'UserID') ?? ''),
    ...textsOf(parent, 'UserID'),
  ];
  return texts.flatMap((text) => {
    const user = parseUserId(text, context.config.domain);
    if (user === undefined) failures.add(531, element('UserID', text));
    return user ?? [];
  });
}

const tell = async (
  context: ImpsContext,
  users: readonly UserId[],
  type: NotificationType,
  group: string,
): Promise<void> => {
  for (const user of users) await notifyTypes(context, user, type, [element('GroupID', group)]);
};

/** Administrators and moderators other than the one who acts hear that members changed. */
async function tellManagers(
  context: ImpsContext,
  group: GroupRecord,
  actor: UserId,
  users: readonly UserId[],
): Promise<void> {
  const list = element(
    'UserList',
    users.map((user) => element('User', element('UserID', user))),
  );
  for (const [manager, { role }] of membersOf(group)) {
    if (role === 'User' || manager === actor) continue;
    await notifyTypes(context, manager, 'GMU', [element('GroupID', group.id), list]);
  }
}

export const getGroupMembers: Handler = async (context, { session, version, primitive }) => {
  const group = await groupOf(context, groupId(context, primitive));
  requireRole(group, session.user, ['Admin', 'Mod', 'User']);
  return element('GetGroupMembers-Response', membersElements(group, version));
};

export const addGroupMembers: Handler = async (context, { session, primitive }) => {
  const id = groupId(context, primitive);
  const failures = new Failures();
  const wanted: UserId[] = [];
  for (const user of listed(context, primitive, failures)) {
    if (await exists(context, user)) wanted.push(user);
    else failures.add(531, element('UserID', user));
  }
  const { group, added } = await changeGroup(context, id, (current) => {
    requireRole(current, session.user, ['Admin', 'Mod']);
    const fresh = wanted.filter((user) => !current.members[user]);
    const member: Member = { role: 'User', own: {} };
    const members = { ...current.members, ...Object.fromEntries(fresh.map((user) => [user, member])) };
    if (Object.keys(members).length > context.config.limits.groupMembers)
      throw new CspRefusal(403, 'too many members');
    const value = { ...current, members };
    return { value, result: { group: value, added: fresh } };
  });
  await indexMembers(context, id, added, []);
  await tell(context, added, 'GMG', id);
  await tellManagers(context, group, session.user, added);
  const details = failures.details();
  return status(codeFor(wanted.length, details), details);
};

/** Takes memberships back; in a restricted group they also leave. The owner stays. */
export const removeGroupMembers: Handler = async (context, { session, primitive }) => {
  const id = groupId(context, primitive);
  const failures = new Failures();
  const wanted = listed(context, primitive, failures);
  const { group, removed } = await changeGroup(context, id, (current) => {
    requireRole(current, session.user, ['Admin', 'Mod']);
    const gone = wanted.filter((user) => current.members[user] !== undefined && user !== current.owner);
    const members = Object.fromEntries(membersOf(current).filter(([user]) => !gone.includes(user)));
    const value = { ...current, members };
    return { value, result: { group: value, removed: gone } };
  });
  for (const user of wanted) {
    if (!removed.includes(user)) failures.add(user === group.owner ? 816 : 810, element('UserID', user));
  }
  await indexMembers(context, id, [], removed);
  if (group.properties['AccessType'] === 'Restricted') await putOut(context, id, removed, 810);
  await tell(context, removed, 'GMR', id);
  await tellManagers(context, group, session.user, removed);
  const details = failures.details();
  return status(codeFor(removed.length, details), details);
};

/** Gives members their roles: who is listed under Admin, Mod or the ordinary users. */
export const memberAccess: Handler = async (context, { session, primitive }) => {
  const id = groupId(context, primitive);
  const failures = new Failures();
  const roles = new Map<UserId, Role>();
  for (const user of listed(context, primitive, failures)) roles.set(user, 'User');
  for (const user of listed(context, child(primitive, 'Users'), failures)) roles.set(user, 'User');
  for (const user of listed(context, child(primitive, 'Mod'), failures)) roles.set(user, 'Mod');
  for (const user of listed(context, child(primitive, 'Admin'), failures)) roles.set(user, 'Admin');
  const changed = await changeGroup(context, id, (current) => {
    requireRole(current, session.user, ['Admin']);
    const members = { ...current.members };
    const given: UserId[] = [];
    for (const [user, role] of roles) {
      const member = members[user];
      // the owner remains administrator
      if (!member || user === current.owner || member.role === role) continue;
      members[user] = { ...member, role };
      given.push(user);
    }
    return { value: { ...current, members }, result: { given, before: current } };
  });
  let done = 0;
  for (const [user, role] of roles) {
    if (changed.before.members[user] === undefined) failures.add(810, element('UserID', user));
    else if (user === changed.before.owner && role !== 'Admin') failures.add(816, element('UserID', user));
    else done++;
  }
  await tell(context, changed.given, 'GMAU', id);
  const details = failures.details();
  return status(codeFor(done, details), details);
};

/** Reads or changes who may not join; who is put on the list leaves. */
export const rejectList: Handler = async (context, { session, version, primitive }) => {
  const id = groupId(context, primitive);
  const failures = new Failures();
  const added = listed(context, child(primitive, 'AddList'), failures);
  const removed = listed(context, child(primitive, 'RemoveList'), failures);
  // the answer has no place for a failure, so an address that is none is refused before anything is done
  if (failures.details().length > 0) throw new CspRefusal(531);
  const group = await changeGroup(context, id, (current) => {
    requireRole(current, session.user, ['Admin', 'Mod']);
    const kept = current.rejected.filter((user) => !removed.includes(user));
    const fresh = added.filter((user) => !kept.includes(user) && user !== current.owner);
    if (fresh.length === 0 && kept.length === current.rejected.length)
      return { value: current, result: current };
    const rejected = [...kept, ...fresh];
    if (rejected.length > context.config.limits.accessList) throw new CspRefusal(403, 'the list is full');
    const value = { ...current, rejected };
    return { value, result: value };
  });
  if (added.length > 0)
    await putOut(
      context,
      id,
      added.filter((user) => user !== group.owner),
      809,
    );
  const users = group.rejected.map((user) => element('User', element('UserID', user)));
  return element(
    'RejectList-Response',
    users.length > 0 || version !== '1.1' ? element('UserList', users) : undefined,
  );
};
