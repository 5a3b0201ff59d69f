import { groupError } from './errors.js';
import type { CopyControl, EntryFields } from './recipient.js';

/**
 * Where a user stands in a group. `invited` rings, `away` lost its last session and may come back, `left` went for good,
 * `refused` did not accept, `removed` was put out.
 */
export type MemberState = 'invited' | 'connected' | 'away' | 'left' | 'refused' | 'removed';

/** What happens to a member: with all its devices (`invite`, `refuse`, `leave`, `remove`), or with the first or last of them. */
export type MemberEvent = 'invite' | 'connect' | 'refuse' | 'drop' | 'leave' | 'remove';

/** Where each event leads; one that is absent cannot happen there and changes nothing. */
const transitions: Readonly<Record<MemberState, Readonly<Partial<Record<MemberEvent, MemberState>>>>> = {
  invited: { connect: 'connected', refuse: 'refused', drop: 'away', leave: 'left', remove: 'removed' },
  connected: { drop: 'away', leave: 'left', remove: 'removed' },
  away: { invite: 'invited', connect: 'connected', leave: 'left', remove: 'removed' },
  left: { invite: 'invited', connect: 'connected', remove: 'removed' },
  refused: { invite: 'invited', connect: 'connected', remove: 'removed' },
  removed: { invite: 'invited' },
};

export type Role = 'chairman' | 'participant';

/** One session of a member: one of its devices (RFC 4575 §5.7). */
export interface Endpoint {
  /** Opaque: neither GRUU nor Instance ID is shown to others. */
  readonly id: string;
  readonly joining: 'dialed-in' | 'dialed-out';
}

/** How a member's last session ended (RFC 4575 §5.7.6). */
export type DisconnectionMethod = 'departed' | 'booted' | 'failed' | 'busy';

/** What is asked of one who rings. */
export interface Invitation extends EntryFields {
  /** Request-URI. */
  readonly target: string;
  /** Who invites, by the identity that the group knows it by. */
  readonly inviter: string;
}

export interface Member {
  /** Address of record under which the group knows the user, whichever of its identities the user comes with later. */
  readonly identity: string;
  /** Whose identity that is: key of the registration set of a user here, else the identity. */
  readonly owner: string;
  readonly state: MemberState;
  readonly role: Role;
  /** Its sessions at this node; none of them outlives the process. */
  readonly endpoints: readonly Endpoint[];
  readonly copyControl: CopyControl;
  /** What others see instead of the identity. */
  readonly alias?: string | undefined;
  /** Free for others once the member has lost its place (RFC 7701 §7.1). */
  readonly nickname?: string | undefined;
  /** While it rings, and until it is invited again once the process is gone that had the group. */
  readonly invitation?: Invitation | undefined;
  readonly disconnection?: { readonly method: DisconnectionMethod; readonly reason: string } | undefined;
}

/** The state after an event; undefined when it changes nothing there. */
export function nextState(state: MemberState, event: MemberEvent): MemberState | undefined {
  return transitions[state][event];
}

/** Whether messages are kept for the member while it has no session. */
export function holdsMembership({ state }: Member): boolean {
  return state === 'connected' || state === 'away' || state === 'invited';
}

/** What others see of the member. */
export function shownAs(member: Member): string {
  return member.alias ?? member.identity;
}

/** How a final response to the invitation is shown (RFC 4575 §5.7.6). */
export function refusalOf(status: number, reason: string): NonNullable<Member['disconnection']> {
  const method = status === 486 || status === 600 ? 'busy' : 'failed';
  return { method, reason: `SIP;cause=${status};text="${reason.replace(/[\\"\r\n]/g, ' ')}"` };
}

/** @throws ParleyError `group-not-a-member` unless that user may come in by itself. */
export function mayJoin(member: Member | undefined): void {
  if (!member || nextState(member.state, 'connect') === undefined) {
    if (member?.state === 'connected') return;
    throw groupError('group-not-a-member', member?.state);
  }
}
