import type { ResourceId, UserId } from './address/wv-address.js';
import type { Element } from './codec/element.js';
import type { Address } from './delivery/routing.js';
import type { InvitationRecord } from './services/invitations.js';
import type { MessageRecord, SessionRecord, UserRecord } from './state/records.js';
import type { StatusCode } from './status.js';

/** Who may log in. The local implementation keeps its users in the Store. */
export interface UserDirectory {
  find(user: UserId): Promise<UserRecord | undefined>;
  findByMsisdn(msisdn: string): Promise<UserRecord | undefined>;
  /** @returns false when the user exists already */
  create(record: UserRecord): Promise<boolean>;
  /** @returns the record as it is then, or undefined when there is no such user */
  change(user: UserId, fn: (current: UserRecord) => UserRecord): Promise<UserRecord | undefined>;
  remove(user: UserId): Promise<void>;
  /** Every user, in order of addresses, or those after one; a search walks them. */
  all(after?: UserId): AsyncIterable<UserRecord>;
}

/** What became of a message that a router was offered. */
export type RouteVerdict =
  /** The recipient is for the server itself to serve. */
  | { readonly kind: 'local' }
  /** Taken over: whoever took it answers for its delivery and reports it. */
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly status: StatusCode };

/** Decides on each message to a user, before it is stored. A gateway takes those to users of another system. */
export interface MessageRouter {
  /**
   * Resolves `taken` only when the message cannot be lost any more.
   * @param address the recipient's client or application that is meant alone
   */
  route(recipient: UserId, message: MessageRecord, address: Address): Promise<RouteVerdict>;
  /**
   * What became of a message that came by `ImpsServer.deliver` with an `origin`: its delivery when it wanted a report, and
   * that it is lost in any case. It is called again after a crash; when it rejects, the message is taken as it was reported.
   */
  report(recipient: UserId, message: MessageRecord, status: StatusCode): Promise<void>;
  /** True when a user outside the local directory can be reached. */
  knows(user: UserId): Promise<boolean>;
  /** True when the address is one of another domain, where there may be such a user. */
  mayKnow(user: UserId): Promise<boolean>;
  /**
   * True when the address is that of somebody elsewhere, who did not show that it is he: auto-registration does not give it away.
   * @param msisdn that the network asserts
   */
  claims(user: UserId, msisdn: string | undefined): Promise<boolean>;
  /** Whether what a user here laid down elsewhere keeps that sender away, whatever its lists here say. */
  blocks(user: UserId, sender: UserId): Promise<boolean>;
}

/** Presence of users outside the local directory, and what another system knows of those in it. */
export interface PresenceSource {
  /** Whether what the owner laid down elsewhere keeps a watcher from seeing anything, whatever it was granted here. */
  hides(owner: UserId, watcher: UserId): Promise<boolean>;
  /** Current presence as a PresenceSubList, as the watcher may see it; undefined when it is what the server itself has. */
  fetch(user: UserId, watcher: UserId): Promise<Element | undefined>;
  /**
   * Somebody here watches the user: changes are to be given to `ImpsServer.publishPresence`, or to `ImpsServer.presence.tell` where each
   * watcher sees what the user's own system shows to it.
   * @returns whether the latter is so, and the server itself has nothing to tell
   */
  watch(user: UserId, watcher: UserId): Promise<boolean>;
  unwatch(user: UserId, watcher: UserId): Promise<void>;
  /** Presence of a user, or who may see it, changed; users outside are told of too. */
  changed(user: UserId): Promise<void>;
}

/** Who wants to know of sessions: a gateway keeps one registration for each. */
export interface SessionObserver {
  sessionStarted(session: SessionRecord): void;
  /** It negotiated, or its keep-alive timer started anew; not told of every transaction. */
  sessionChanged(session: SessionRecord): void;
  sessionEnded(session: SessionRecord): void;
  /** A user is being removed, whose sessions have ended: what is kept for it goes, since somebody else may get the address. */
  userRemoved(user: UserId): Promise<void>;
}

/** A way to tell a client without CIR channel of its own that something waits: SMS, WAP push. */
export interface Pager {
  /** Bearers and CIR methods it serves: WAPSMS, WAPUDP, SSMS. */
  readonly methods: readonly string[];
  /** Sends a CIR text or offline notification. @returns false when it could not be handed over */
  page(
    method: string,
    address: { readonly msisdn?: string | undefined; readonly ip?: string | undefined },
    text: string,
  ): Promise<boolean>;
}

/** Groups that users of another system are in as well; asked of every group, it knows which those are. */
export interface GroupBridge {
  /**
   * Offered each message to a group or to one screen name of it, when its sender may send it.
   * @param target the user of the screen name
   * @returns 200 when it is safe for all who are to get it, or why nobody gets it; undefined for a group of this server alone
   */
  message(group: ResourceId, message: MessageRecord, target?: UserId): Promise<StatusCode | undefined>;
  /** A session joined. @returns 200, or why it may not: then it leaves again */
  joined(group: ResourceId, session: SessionRecord, screenName: string): Promise<StatusCode>;
  left(group: ResourceId, session: SessionRecord, why: 'left' | 'ended'): Promise<void>;
  dissolved(group: ResourceId): Promise<void>;
  /** A user here invites others at once. @returns the status for those who are not this server's to invite */
  invite(
    invitations: readonly InvitationRecord[],
    inviter: SessionRecord,
  ): Promise<ReadonlyMap<UserId, StatusCode>>;
  /** @returns false when there was no such invitation without an answer */
  cancel(invitation: InvitationRecord): Promise<boolean>;
  /** A user here answered an invitation from elsewhere. */
  answered(invitation: InvitationRecord, session: SessionRecord, accepted: boolean): Promise<void>;
}

export interface ImpsPorts {
  readonly users: UserDirectory;
  readonly router: MessageRouter;
  readonly presence: PresenceSource;
  readonly observer: SessionObserver;
  readonly groups: GroupBridge;
  readonly pagers: readonly Pager[];
}
