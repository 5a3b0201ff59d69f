import { groupError } from './errors.js';
import {
  holdsMembership,
  nextState,
  type Endpoint,
  type Invitation,
  type Member,
  type MemberEvent,
  type Role,
} from './member.js';
import { fieldsOf, type Invitee } from './recipient.js';

/** `pre-defined` groups are kept by the operator; `long-lived` ones outlive their sessions, `ad-hoc` ones for a while. */
export type GroupKind = 'ad-hoc' | 'long-lived' | 'pre-defined';
/** `open` groups take anyone of the domain who joins, `closed` ones only members. */
export type GroupAccess = 'open' | 'closed';

/** A group as it is stored. */
export interface Group {
  /** User part of the group session identity. */
  readonly id: string;
  /** Group session identity without parameters: `sip:gs-7f3c9a@ims.test`. */
  readonly uri: string;
  readonly kind: GroupKind;
  readonly access: GroupAccess;
  readonly contributionId: string;
  readonly conversationId: string;
  readonly subject?: string | undefined;
  readonly creator: string;
  readonly maximum: number;
  /** Members connected or invited below which the session ends. */
  readonly minimum: number;
  readonly members: readonly Member[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The process whose sessions the endpoints are; undefined while there are none. */
  readonly holder?: string | undefined;
  /** Counts who has held it: what an earlier focus, of the same process too, has still to store comes too late. */
  readonly term?: number | undefined;
}

/** Sessions of one member: more than anybody has devices. */
const MOST_SESSIONS = 16;
/** Members that a group remembers, those without a place too, for each one that it may have. */
const REMEMBERED = 2;

/** What happened to one member. */
export interface MemberChange {
  readonly identity: string;
  readonly event: MemberEvent;
  /** The session that came (`connect`) or went (`drop`, `leave`). */
  readonly endpoint?: Endpoint;
  readonly disconnection?: Member['disconnection'];
}

/** A user who asks something of a group. */
export interface Participant {
  readonly identity: string;
  /** Key of the registration set of a user here, else the identity. */
  readonly owner: string;
  /** What others are to see instead of the identity. */
  readonly alias?: string | undefined;
}

/** @param identity by which the group knows the member. */
export function findMember(group: Group, identity: string): Member | undefined {
  return group.members.find((member) => member.identity === identity);
}

/** The member that a user is, under whichever of its identities. */
export function memberOf(group: Group, { identity, owner }: Participant): Member | undefined {
  return findMember(group, identity) ?? group.members.find((member) => member.owner === owner);
}

/**
 * The group after a change; the same object when nothing changes. One of several sessions that ends leaves its member connected.
 * @throws ParleyError `group-too-many` for one session more than a member may have.
 */
export function changeMember(group: Group, change: MemberChange): Group {
  const index = group.members.findIndex((member) => member.identity === change.identity);
  const member = group.members[index];
  const changed = member && changedMember(member, change);
  return changed === undefined || changed === member
    ? group
    : { ...group, members: group.members.with(index, changed) };
}

function changedMember(member: Member, { event, endpoint, disconnection }: MemberChange): Member | undefined {
  const others = member.endpoints.filter((one) => one.id !== endpoint?.id);
  if (event === 'connect') {
    if (member.state !== 'connected' && nextState(member.state, event) === undefined) return undefined;
    if (endpoint && others.length >= MOST_SESSIONS)
      throw groupError('group-too-many', `${MOST_SESSIONS} sessions`);
    const endpoints = endpoint ? [...others, endpoint] : others;
    return { ...member, state: 'connected', endpoints, invitation: undefined, disconnection: undefined };
  }
  if (event === 'drop' && others.length > 0) return { ...member, endpoints: others };
  const state = nextState(member.state, event);
  if (state === undefined) return undefined;
  const nickname = state === 'away' ? member.nickname : undefined;
  return { ...member, state, endpoints: [], nickname, invitation: undefined, disconnection };
}

/**
 * Adds those whom the group does not know and invites again those who are out.
 * @param recipients by the identities that the group knows them by. @param inviter likewise.
 * @returns the group, and who of them is to be invited.
 * @throws ParleyError `group-full`.
 */
export function inviteAll(
  group: Group,
  recipients: readonly Invitee[],
  inviter: string,
  alias: () => string,
): { group: Group; invited: readonly Invitee[] } {
  const members = [...group.members];
  const invited: Invitee[] = [];
  for (const recipient of recipients) {
    const index = members.findIndex((member) => member.identity === recipient.identity);
    const known = members[index];
    const invitation: Invitation = { target: recipient.target, inviter, ...fieldsOf(recipient) };
    if (!known) members.push({ ...newMember(recipient, alias), invitation });
    else {
      const state = nextState(known.state, 'invite');
      if (state === undefined) continue;
      members[index] = { ...known, state, invitation, disconnection: undefined };
    }
    invited.push(recipient);
  }
  if (members.filter(holdsMembership).length > group.maximum)
    throw groupError('group-full', `${group.maximum}`);
  return { group: remembering({ ...group, members }), invited };
}

/**
 * The group without those of whom it remembers too many: first who refused, then who left, at last who was put out; the longest known
 * first. They are strangers from then on. Without this whoever may add could let the record of the group grow without end.
 */
function remembering(group: Group): Group {
  const { members, maximum } = group;
  const surplus = members.length - REMEMBERED * maximum;
  if (surplus <= 0) return group;
  const order = ['refused', 'left', 'removed'];
  const forgettable = members
    .filter(({ state, role }) => order.includes(state) && role === 'participant')
    .sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const forgotten = new Set(forgettable.slice(0, surplus));
  return { ...group, members: members.filter((member) => !forgotten.has(member)) };
}

function newMember({ identity, owner, copyControl, anonymize }: Invitee, alias: () => string): Member {
  return {
    identity,
    owner,
    state: 'invited',
    role: 'participant',
    endpoints: [],
    copyControl,
    ...(anonymize ? { alias: alias() } : {}),
  };
}

/**
 * A member that comes in by itself: the creator, somebody who joins an open group, and who comes back. One that had left, or had refused,
 * has a place again from then on. @throws ParleyError `group-full`
 */
export function addMember(group: Group, user: Participant, role: Role): Group {
  const { alias } = user;
  const known = memberOf(group, user);
  const holds = known !== undefined && holdsMembership(known);
  if (!holds && group.members.filter(holdsMembership).length >= group.maximum)
    throw groupError('group-full', `${group.maximum}`);
  if (known) {
    const hides = alias !== undefined && known.alias === undefined && known.state !== 'connected';
    const returns = known.state === 'left' || known.state === 'refused';
    if (!hides && !returns) return group;
    const changed: Member = {
      ...known,
      ...(hides ? { alias } : {}),
      ...(returns ? { state: 'away', disconnection: undefined } : {}),
    };
    return { ...group, members: group.members.map((one) => (one === known ? changed : one)) };
  }
  return remembering({ ...group, members: [...group.members, memberAs(user, role)] });
}

/** A new group with its members, each user once, however often named. @throws ParleyError `group-full` */
export function foundGroup(empty: Group, chairman: Participant, users: readonly Participant[]): Group {
  const members = new Map([[chairman.owner, memberAs(chairman, 'chairman')]]);
  for (const user of users)
    if (!members.has(user.owner)) members.set(user.owner, memberAs(user, 'participant'));
  if (members.size > empty.maximum) throw groupError('group-full', `${empty.maximum}`);
  return { ...empty, members: [...members.values()] };
}

const memberAs = ({ identity, owner, alias }: Participant, role: Role): Member => ({
  ...{ identity, owner, role, alias },
  state: 'away',
  endpoints: [],
  copyControl: 'to',
});

/**
 * The group with the nickname of a member, who has none with an empty name. Names compare without case and without outer space.
 * @returns undefined when another member has it.
 */
export function nicknamed(group: Group, identity: string, name: string): Group | undefined {
  const folded = (text: string | undefined): string | undefined =>
    text?.normalize('NFKC').trim().toLowerCase();
  const wanted = folded(name);
  const taken = group.members.some(
    (member) => member.identity !== identity && wanted !== '' && folded(member.nickname) === wanted,
  );
  if (taken) return undefined;
  const members = group.members.map((member) =>
    member.identity === identity ? { ...member, nickname: wanted === '' ? undefined : name } : member,
  );
  return { ...group, members };
}

/** Whether as many as the minimum are connected or ring. */
export function reachesMinimum({ members, minimum }: Group): boolean {
  return members.filter(({ state }) => state === 'connected' || state === 'invited').length >= minimum;
}

/** Whether too few are left: nobody rings, and fewer than the minimum are connected. */
export function isBelowMinimum(group: Group): boolean {
  const count = (state: Member['state']): number =>
    group.members.filter((member) => member.state === state).length;
  return count('invited') === 0 && count('connected') < group.minimum;
}

/** The group without sessions: they ended with the focus that had them, and nobody rings any more. */
export function settled(group: Group): Group {
  if (group.members.every((member) => !isPresent(member) && member.invitation === undefined)) return group;
  const members = group.members.map((member): Member => {
    if (isPresent(member)) return { ...member, state: 'away', endpoints: [], invitation: undefined };
    return member.invitation === undefined ? member : { ...member, invitation: undefined };
  });
  return { ...group, members };
}

/** The group of a process that is gone: what those who rang were asked stays, until they are invited again or come by themselves. */
export function orphaned(group: Group): Group {
  const members = group.members.map((member): Member =>
    isPresent(member) ? { ...member, state: 'away', endpoints: [] } : member,
  );
  return { ...group, members };
}

const isPresent = ({ state }: Member): boolean => state === 'connected' || state === 'invited';

/**
 * Whom of them a member may invite by starting the group again: whom a chairman has put out comes back by a chairman alone.
 * @param by and the recipients by the identities that the group knows them by.
 */
export function invitable<T extends Pick<Member, 'identity'>>(
  group: Group,
  by: string,
  recipients: readonly T[],
): T[] {
  if (findMember(group, by)?.role === 'chairman') return [...recipients];
  return recipients.filter(({ identity }) => findMember(group, identity)?.state !== 'removed');
}

/**
 * Who may add: every connected member; whom a chairman has put out comes back by a chairman alone. Who may remove or close: a chairman;
 * everybody may remove itself. @throws ParleyError `group-not-a-member`, `group-not-allowed`
 */
export function checkRight(group: Group, by: string, action: 'add' | 'remove', whom: string): void {
  const member = findMember(group, by);
  if (member?.state !== 'connected') throw groupError('group-not-a-member');
  const isAnybodys = action === 'add' ? findMember(group, whom)?.state !== 'removed' : whom === by;
  if (!isAnybodys && member.role !== 'chairman') throw groupError('group-not-allowed');
}
