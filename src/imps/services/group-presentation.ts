import type { UserId } from '../address/wv-address.js';
import { element, type Element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import type { CspVersion } from '../vocabulary/versions.js';
import { joinedOf, membersOf, type GroupRecord, type JoinedUser, type Role } from './group-store.js';

const screenNameElement = (name: string, group: GroupRecord): Element =>
  element('ScreenName', element('SName', name), element('GroupID', group.id));

/** A joined user by screen name, with the User-ID unless its owner hides it. */
const mapping = (user: UserId, { screenName, own }: JoinedUser, reveals: boolean): Element =>
  element(
    'Mapping',
    element('SName', screenName),
    reveals || own['ShowID'] !== 'F' ? element('UserID', user) : undefined,
  );

/** UserMapList of joined users. */
export const userMapList = (users: readonly [UserId, JoinedUser][]): Element =>
  element(
    'UserMapList',
    users.length === 0
      ? undefined
      : element(
          'UserMapping',
          users.map(([user, joined]) => mapping(user, joined, false)),
        ),
  );

/** Joined users as an administrator or moderator sees them: by role, with every User-ID. */
export function adminMapList(group: GroupRecord): Element {
  const of = (name: string, role: Role): Element | undefined => {
    const users = joinedOf(group).filter(([user]) => (group.members[user]?.role ?? 'User') === role);
    return users.length === 0
      ? undefined
      : element(
          name,
          users.map(([user, joined]) => mapping(user, joined, true)),
        );
  };
  return element(
    'AdminMapList',
    of('AdminMapping', 'Admin'),
    of('ModMapping', 'Mod'),
    of('UserMapping', 'User'),
  );
}

/** Joined users in the shape that each version has in JoinGroup-Response and GroupChangeNotice. */
export function joinedElement(
  group: GroupRecord,
  users: readonly [UserId, JoinedUser][],
  version: CspVersion,
  where: 'response' | 'notice',
): Element {
  if (version === '1.1') {
    const list = element(
      'UserList',
      users.map(([, joined]) => screenNameElement(joined.screenName, group)),
    );
    return where === 'notice' ? element('Joined', list) : list;
  }
  const list = userMapList(users);
  return version === '1.3' || where === 'notice' ? element('Joined', list) : list;
}

export const leftElement = (group: GroupRecord, users: readonly JoinedUser[]): Element =>
  element(
    'Left',
    element(
      'UserList',
      users.map(({ screenName }) => screenNameElement(screenName, group)),
    ),
  );

const property = (name: string, value: string): Element =>
  element('Property', element('Name', name), element('Value', value));

export function groupProperties(group: GroupRecord): Element {
  const active = String(Object.keys(group.joined).length);
  return element(
    'GroupProperties',
    Object.entries(group.properties).map(([name, value]) => property(name, value)),
    property('ActiveUsers', active),
    group.welcome,
  );
}

export function ownProperties(group: GroupRecord, user: UserId): Element {
  const member = group.members[user];
  const own = { ...member?.own, ...group.joined[user]?.own };
  return element(
    'OwnProperties',
    property('PrivilegeLevel', member?.role ?? 'User'),
    Object.entries(own).map(([name, value]) => property(name, value)),
  );
}

/** Members by role; ordinary ones in Users before 1.3. */
export function membersElements(group: GroupRecord, version: CspVersion): (Element | undefined)[] {
  const list = (role: Role): Element | undefined => {
    const users = membersOf(group).filter(([, member]) => member.role === role);
    if (users.length === 0) return undefined;
    return element(
      'UserList',
      users.map(([user]) => element('User', element('UserID', user))),
    );
  };
  const admin = list('Admin');
  const mod = list('Mod');
  const user = list('User');
  return [
    admin && element('Admin', admin),
    mod && element('Mod', mod),
    version === '1.3' ? user : user && element('Users', user),
  ];
}

/** Tells every session that wants to hear of it, except one, what changed in a group. */
export async function groupChanged(
  context: ImpsContext,
  group: GroupRecord,
  change: (version: CspVersion) => readonly (Element | undefined)[],
  except?: string,
): Promise<void> {
  for (const [, joined] of joinedOf(group)) {
    for (const { id, notices } of joined.sessions) {
      if (!notices || id === except) continue;
      const session = await context.sessions.find(id);
      if (!session) continue;
      if (session.functions !== undefined && !session.functions.includes('GRCHN')) continue;
      await context.outbox.add(
        id,
        element('GroupChangeNotice', element('GroupID', group.id), change(session.version)),
      );
    }
  }
}
