import type { ResourceId, UserId } from '../address/wv-address.js';
import { element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import { CspRefusal, type StatusCode } from '../status.js';
import { putOut, pickScreenName } from './group-join.js';
import { groupChanged, joinedElement, leftElement } from './group-presentation.js';
import { defaultGroupProperties } from './group-properties.js';
import {
  changeGroup,
  deadlineOf,
  groups,
  indexMembers,
  joinedOf,
  membersOf,
  type GroupRecord,
  type JoinedUser,
} from './group-store.js';
import { cancelFor, inviteFor, tellInviter, type InvitationRecord } from './invitations.js';

/** A group as somebody outside sees it. */
export interface GroupView {
  readonly name: string;
  /** Who has joined, with the sessions of this server; users elsewhere have none. */
  readonly joined: readonly {
    readonly user: UserId;
    readonly screenName: string;
    readonly sessions: readonly string[];
  }[];
}

/** Groups in which users of another system are, for whoever joins the two. */
export interface OutsideGroups {
  find(group: ResourceId): Promise<GroupView | undefined>;
  /**
   * Makes a private group of the server for these members, or adds them. It deletes itself a week after the last one has left.
   * @returns those who were no members before
   */
  open(group: ResourceId, name: string, members: readonly UserId[]): Promise<readonly UserId[]>;
  /** Takes members out again who have neither joined nor accepted an invitation. @returns whether the group is gone with the last one */
  withdraw(group: ResourceId, members: readonly UserId[]): Promise<boolean>;
  /** A user elsewhere joined, or is called otherwise now. @returns the screen name, numbered when the wanted one is taken */
  join(group: ResourceId, user: UserId, screenName: string): Promise<string>;
  /** A user elsewhere left. */
  leave(group: ResourceId, user: UserId): Promise<void>;
  /** Takes users of this server out; their clients hear why. */
  putOut(group: ResourceId, users: readonly UserId[], code: StatusCode): Promise<void>;
  /** Invites a user of this server for somebody elsewhere; the answer comes to the port. */
  invite(invitation: InvitationRecord, note: string | undefined): Promise<void>;
  cancel(invitation: InvitationRecord): Promise<void>;
  /** Tells who invited a user elsewhere what that one answered. */
  answered(invitation: InvitationRecord, accepted: boolean): Promise<void>;
}

export function outsideGroups(context: ImpsContext): OutsideGroups {
  return {
    async find(id) {
      const group = await context.store.get(groups, id);
      return (
        group && {
          name: group.properties['Name'] ?? '',
          joined: joinedOf(group).map(([user, { screenName, sessions }]) => ({
            user,
            screenName,
            sessions: sessions.map((session) => session.id),
          })),
        }
      );
    },
    async open(id, name, members) {
      const wanted = Object.fromEntries(members.map((user) => [user, { role: 'User' as const, own: {} }]));
      const added = await context.store.update(groups, id, (current) => {
        const value = current
          ? { ...current, members: { ...wanted, ...current.members } }
          : newGroup(id, name, wanted, context.clock.now());
        const result = members.filter((user) => !current?.members[user]);
        return { kind: 'put', value, deadline: deadlineOf(context, value), result };
      });
      await indexMembers(context, id, members, []);
      return added;
    },
    withdraw: async (id, members) => (await ifThere(withdrawMembers(context, id, members))) ?? false,
    join: (id, user, wanted) => joinElsewhere(context, id, user, wanted),
    leave: (id, user) => leaveElsewhere(context, id, user),
    putOut: (id, users, code) => ifThere(putOut(context, id, users, code)),
    invite: (invitation, note) =>
      inviteFor(context, invitation, [
        element('GroupID', invitation.group),
        ...(note === undefined ? [] : [element('InviteNote', note)]),
      ]),
    cancel: (invitation) => cancelFor(context, invitation),
    answered: (invitation, accepted) => tellInviter(context, invitation, accepted),
  };
}

/** How long a group stays that nobody is in: its focus may invite again, and phones come back to it. */
const EMPTY_SECONDS = 604_800;

const newGroup = (
  id: ResourceId,
  name: string,
  members: GroupRecord['members'],
  createdAt: number,
): GroupRecord => ({
  id,
  // nobody may change it here
  owner: id as string as UserId,
  createdAt,
  properties: {
    ...defaultGroupProperties,
    Name: name.slice(0, 200),
    AccessType: 'Restricted',
    Type: 'Private',
    Searchable: 'F',
    AutoDelete: 'T',
    Validity: String(EMPTY_SECONDS),
  },
  members,
  rejected: [],
  invited: [],
  joined: {},
});

async function withdrawMembers(
  context: ImpsContext,
  id: ResourceId,
  users: readonly UserId[],
): Promise<boolean> {
  const { out, isGone } = await changeGroup(context, id, (group) => {
    const leaving = users.filter((user) => !group.joined[user] && !group.invited.includes(user));
    const left = membersOf(group).filter(([user]) => !leaving.includes(user));
    const empty = left.length === 0 && joinedOf(group).length === 0;
    return {
      value: empty ? undefined : { ...group, members: Object.fromEntries(left) },
      result: { out: leaving, isGone: empty },
    };
  });
  await indexMembers(context, id, [], out);
  return isGone;
}

async function joinElsewhere(
  context: ImpsContext,
  id: ResourceId,
  user: UserId,
  wanted: string,
): Promise<string> {
  const { group, joined, changed } = await changeGroup(context, id, (current) => {
    const before = current.joined[user];
    // who is here with a session is called as it wants itself
    if (before && before.sessions.length > 0)
      return { value: current, result: { group: current, joined: before, changed: false } };
    const screenName = freeName(current, user, wanted);
    if (before?.screenName === screenName)
      return { value: current, result: { group: current, joined: before, changed: false } };
    const now: JoinedUser = { sessions: [], own: {}, ...before, screenName };
    const value = { ...current, joined: { ...current.joined, [user]: now } };
    return { value, result: { group: value, joined: now, changed: true } };
  });
  if (changed)
    await groupChanged(context, group, (version) => [
      joinedElement(group, [[user, joined]], version, 'notice'),
    ]);
  return joined.screenName;
}

function freeName(group: GroupRecord, user: UserId, wanted: string): string {
  try {
    return pickScreenName(group, user, wanted);
  } catch (error) {
    if (!(error instanceof CspRefusal)) throw error;
    return pickScreenName(group, user, undefined);
  }
}

async function leaveElsewhere(context: ImpsContext, id: ResourceId, user: UserId): Promise<void> {
  const outcome = await ifThere(
    changeGroup(context, id, (current) => {
      const before = current.joined[user];
      if (!before || before.sessions.length > 0) return { value: current, result: undefined };
      const joined = Object.fromEntries(joinedOf(current).filter(([other]) => other !== user));
      const value = { ...current, joined };
      return { value, result: { group: value, before } };
    }),
  );
  if (outcome)
    await groupChanged(context, outcome.group, () => [leftElement(outcome.group, [outcome.before])]);
}

/** A group that went meanwhile is no failure. */
async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof CspRefusal) return undefined;
    throw error;
  }
}
