import type { Clock } from '../../base/clock.js';
import type { ImpsPorts } from '../../imps/index.js';
import type { Store } from '../../store/store.js';
import { Entrance, type EntranceOptions } from './entrance.js';
import { FocusInvitations, type FocusInvitationsOptions } from './focus-invitations.js';
import { GroupInvitations, type GroupInvitationsOptions } from './group-invitations.js';
import { GroupLinks } from './group-links.js';
import { Groups, type GroupsOptions } from './groups.js';
import { Legs, type LegsOptions } from './legs.js';
import { OpenInvitations } from './open-invitations.js';

/** What the parts make for each other. */
type Made = 'legs' | 'entrance' | 'links' | 'open' | 'invitations' | 'settled';

export type GroupSideOptions = Omit<
  EntranceOptions & LegsOptions & GroupsOptions & GroupInvitationsOptions & FocusInvitationsOptions,
  Made
> & { readonly store: Store; readonly clock: Clock };

/** Groups of phones as CPM group sessions: the parts, as they need each other. */
export class GroupSide {
  readonly legs: Legs;
  readonly groups: Groups;
  /** Of CPM users by phones. */
  readonly invitations: GroupInvitations;
  /** Of phones by focuses. */
  readonly focusInvitations: FocusInvitations;
  /** What the IMPS server is given. */
  readonly bridge: ImpsPorts['groups'];

  constructor(options: GroupSideOptions) {
    const legs = (): Legs => this.legs;
    const links = new GroupLinks(options.store);
    const entrance = new Entrance({ ...options, legs });
    const shared = { ...options, legs, links, entrance };
    this.invitations = new GroupInvitations({
      ...shared,
      open: new OpenInvitations(options.store, options.clock),
    });
    this.focusInvitations = new FocusInvitations({ ...shared, invitations: this.invitations });
    this.groups = new Groups({
      ...shared,
      settled: (group, wv, came) => this.invitations.settled(group, wv, came),
    });
    this.legs = new Legs(options, {
      opened: (leg) => this.groups.opened(leg),
      message: (leg, message) => this.groups.said(leg, message),
      roster: (leg, document) => this.groups.roster(leg, document),
      ended: (leg, cause) => this.groups.ended(leg, cause),
    });
    this.bridge = {
      message: (group, message, target) => this.groups.message(group, message, target),
      joined: (group, session, screenName) => this.groups.joined(group, session, screenName),
      left: (group, session, why) => this.groups.left(group, session, why),
      dissolved: (group) => this.groups.dissolved(group),
      invite: (invitations, inviter) => this.invitations.invite(invitations, inviter),
      cancel: (invitation) => this.invitations.cancel(invitation),
      answered: async (invitation, session, accepted) =>
        this.focusInvitations.answered(invitation, session.id, accepted),
    };
  }

  /** The phone of an IMPS session has gone. */
  phoneEnded(session: string): void {
    this.legs.phoneEnded(session);
    this.focusInvitations.phoneEnded(session);
  }
}
