import type { UserId } from './address/wv-address.js';
import type { Element } from './codec/element.js';
import type { Address } from './delivery/routing.js';
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
   * What became of a message that came by `ImpsServer.deliver` with an `origin` and wanted a report. It is called again
   * after a crash; when it rejects, the message is taken as it was reported.
   */
  report(recipient: UserId, message: MessageRecord, status: StatusCode): Promise<void>;
  /** True when a user outside the local directory can be reached. */
  knows(user: UserId): Promise<boolean>;
}

/** Presence of users outside the local directory. */
export interface PresenceSource {
  /** Current presence as a PresenceSubList; undefined when the user is none of this source. */
  fetch(user: UserId): Promise<Element | undefined>;
  /** Somebody here watches the user: changes are to be given to `ImpsServer.publishPresence`. */
  watch(user: UserId, watcher: UserId): Promise<void>;
  unwatch(user: UserId, watcher: UserId): Promise<void>;
}

/** Who wants to know of sessions: a gateway keeps one registration for each. */
export interface SessionObserver {
  sessionStarted(session: SessionRecord): void;
  /** It negotiated, or its keep-alive timer started anew; not told of every transaction. */
  sessionChanged(session: SessionRecord): void;
  sessionEnded(session: SessionRecord): void;
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

export interface ImpsPorts {
  readonly users: UserDirectory;
  readonly router: MessageRouter;
  readonly presence: PresenceSource;
  readonly observer: SessionObserver;
  readonly pagers: readonly Pager[];
}
