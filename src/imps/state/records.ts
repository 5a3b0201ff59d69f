import { table } from '../../store/store.js';
import type { ResourceId, UserId } from '../address/wv-address.js';
import type { ClientId } from '../address/client-id.js';
import type { Element } from '../codec/element.js';
import type { CspVersion } from '../vocabulary/versions.js';

/** Joins the parts of a key; no address or identifier holds the separator. */
export const keyOf = (...parts: readonly string[]): string => parts.join('\t');

/** Last part of a key made by {@link keyOf}. */
export const lastPart = (key: string): string => key.slice(key.lastIndexOf('\t') + 1);

/** Someone who may log in, of the local user directory. */
export interface UserRecord {
  readonly user: UserId;
  /** In the clear: every digest schema of CSP hashes it after a fresh nonce. */
  readonly password: string;
  readonly msisdn?: string | undefined;
  readonly friendlyName?: string | undefined;
  /** Known to the service provider alone; a search may look at it, nobody gets to see it. */
  readonly details?:
    | {
        readonly firstName?: string | undefined;
        readonly lastName?: string | undefined;
        readonly email?: string | undefined;
      }
    | undefined;
  /** `confirming` while the system messages of an auto-registration are unanswered. */
  readonly state: 'active' | 'confirming' | 'barred';
  /** While `confirming`: ids of the system messages that are answered as they should be. */
  readonly answered?: readonly string[] | undefined;
  readonly createdAt: number;
}

/** What the client and the server agreed for one session. Absent values have the default of `access/capabilities.ts`. */
export interface Capabilities {
  readonly deliveryMethod: 'P' | 'N';
  /** Octets of content that may be pushed; undefined means any. */
  readonly pushLimit?: number | undefined;
  /** Octets of a whole message that the client can parse. */
  readonly parserSize?: number | undefined;
  /** Characters of text that may be pushed, where that is another limit. */
  readonly textLimit?: number | undefined;
  /** Octets of content that the client takes when it asks for it; undefined means any. */
  readonly pullLimit?: number | undefined;
  /** Octets of content of a type that may be pushed, where the client limits it, by MIME type. */
  readonly typeLimits?: Readonly<Record<string, number>> | undefined;
  /** Transactions that the client can have open at a time; undefined means any number. */
  readonly multiTrans?: number | undefined;
  readonly multiTransPerMessage: number;
  readonly anyContent: boolean;
  readonly contentTypes: readonly string[];
  /** BASE64 and NONE, as far as the client takes them; undefined when it did not say. */
  readonly transferEncodings?: readonly string[] | undefined;
  /** Bearers of the data channel, if the client said: HTTP, WSP, SMS. */
  readonly bearers?: readonly string[] | undefined;
  readonly cirMethods: readonly string[];
  readonly udpPort?: number | undefined;
  readonly offlineBearers: readonly string[];
  readonly offlineHandling: OfflineHandling;
  readonly onlineHandling: OnlineHandling;
  readonly serverPollMin: number;
}
export type OfflineHandling = 'SENDSTORE' | 'SENDREJECT' | 'PRIORITYSTORE' | 'PRIORITYREJECT' | 'REJECT';
export type OnlineHandling = 'SERVERLOGIC' | 'FORKALL' | 'DETECT';

export interface SessionRecord {
  readonly id: string;
  readonly user: UserId;
  readonly client: ClientId;
  readonly applicationId: string;
  readonly version: CspVersion;
  /** Chosen by the client; CIR names the session by it. */
  readonly cookie: string;
  /** Names the session in the URL of CIR over HTTP. */
  readonly pollCookie: string;
  readonly keepAliveSeconds: number;
  readonly startedAt: number;
  /** Of the last transaction, as last committed; see {@link SessionKeeper}. */
  readonly seenAt: number;
  readonly capabilities?: Capabilities | undefined;
  /** Function codes that service negotiation granted; undefined before it. */
  readonly functions?: readonly string[] | undefined;
  readonly priority: number;
  readonly imPriority: number;
  /** Notification types the client subscribed to. */
  readonly notifications: readonly string[];
  /** Where the client's requests came from, for CIR over UDP. */
  readonly remoteAddress: string;
  /** Where its CIR channel over UDP was heard last. */
  readonly udp?: { readonly address: string; readonly port: number } | undefined;
  /** Telephone number as the network told it: before the one that the client claims in its Client-ID. */
  readonly msisdn?: string | undefined;
  /** IMEI of the handset as the network told it; where it is from is trusted, its form is not checked. */
  readonly imei?: string | undefined;
  /** Up to which message the mailbox was gone through for this session; undefined when nothing is left in it. */
  readonly backlog?: string | undefined;
  /** What was set for messages of single groups, in place of what holds for all messages. */
  readonly groupDelivery?: Readonly<Record<string, GroupDelivery>> | undefined;
}

/** How the messages of a group come: pushed or announced, and up to which size they are pushed. */
export interface GroupDelivery {
  readonly method: 'P' | 'N';
  /** Octets of content; undefined means what holds for all messages. */
  readonly pushLimit?: number | undefined;
}

/** The sessions of one user: the record on which logins of that user are decided. */
export interface RosterRecord {
  readonly sessions: readonly {
    readonly id: string;
    readonly client: string;
    readonly applicationId: string;
    /** When the session claimed its place, milliseconds since the epoch. */
    readonly at: number;
  }[];
}

/** What stays of a client between its sessions. */
export interface ClientRecord {
  readonly client: ClientId;
  readonly applicationId: string;
  readonly version: CspVersion;
  readonly msisdn?: string | undefined;
  readonly remoteAddress?: string | undefined;
  readonly offlineBearers: readonly string[];
  readonly offlineHandling: OfflineHandling;
  readonly seenAt: number;
  /** When an offline notification went out that no login has answered yet. */
  readonly notifiedAt?: number | undefined;
}

/** A challenge that waits for its digest. */
export interface ChallengeRecord {
  readonly nonce: string;
  readonly schema: string;
  readonly expiresAt: number;
}

/** Failed logins of a user, for the limit on guessing. */
export interface AttemptsRecord {
  readonly failures: number;
  readonly since: number;
}

/** A request of the server that waits for a session; removed when the client has answered it. */
export interface OutboxRecord {
  readonly primitive: Element | undefined;
  /** Instead of a primitive: the message in the mailbox that is to be pushed or announced. */
  readonly messageId?: string | undefined;
  /** The message went out as its announcement, which a Status answers that acknowledges nothing. */
  readonly announced?: boolean | undefined;
  /** Set when the request is for the user: it has the shape of the newest version, and outlives the session. */
  readonly ofUser?: OfUser | undefined;
  /** What the request tells of: a newer one of the same session takes its place. */
  readonly topic?: string | undefined;
}

/** That a request is for a user: one session was to get it, or each that was there at that time. */
export interface OfUser {
  readonly to: 'one' | 'each';
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Set when the request means nothing after that time, as an invitation after its Validity: nobody gets it then. */
  readonly validUntil?: number | undefined;
}

/** Who sends or receives a message. */
export interface Party {
  readonly user?: UserId | undefined;
  readonly clientId?: ClientId | undefined;
  readonly applicationId?: string | undefined;
  readonly group?: ResourceId | undefined;
  readonly screenName?: string | undefined;
}

/** Where a message from outside came from. */
export interface Origin {
  /** The same each time that it comes. */
  readonly key: string;
  /** What the router wrote to know it again. */
  readonly note: string;
}

/** An instant message on its way to one user. */
export interface MessageRecord {
  readonly id: string;
  readonly sender: Party;
  /** As the sender addressed it: a user, a group or a screen name. */
  readonly recipient: Party;
  readonly contentType: string;
  /** Of octets that are text; as its sender named it. */
  readonly contentCharset?: string | undefined;
  readonly contentEncoding: string;
  readonly contentName?: string | undefined;
  readonly contentSize: number;
  readonly content: string;
  readonly contentBytes?: Uint8Array | undefined;
  readonly font?: Element | undefined;
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  readonly expiresAt: number;
  readonly deliveryReport: boolean;
  /** Set when it came from outside: reports of it go to the router. */
  readonly origin?: Origin | undefined;
  /** Session that it was sent in; the report goes there while it lives. */
  readonly senderSession?: string | undefined;
  /** Sessions that it was put into the outbox of; empty while it is stored for a later login. */
  readonly sessions: readonly string[];
  /** One of several sessions has it; the others may still have it pushed. */
  readonly delivered?: boolean | undefined;
  /** The session of several to which it falls to tell the sender, as long as it has the message. */
  readonly reporter?: string | undefined;
}

/** A message from outside, by recipient and key of its origin: one that comes again is not delivered again. */
export interface TakenRecord {
  /** The Message-ID that it got when it came first. */
  readonly id: string;
  /** Keys of the clients that have it. */
  readonly clients: readonly string[];
}

/** An answer that is given again when its transaction is repeated. */
export interface ReplyRecord {
  /** Fingerprint of the request, so that a reused Transaction-ID with another request is not taken for a repeat. */
  readonly request: string;
  /** Undefined while the work goes on. */
  readonly reply?: Element | undefined;
  /** What the work's identifiers are made from, so that doing it again after a crash makes the same. */
  readonly seed: string;
}

/** A server request for a user, who has no session that it could wait in. */
export interface UserOutboxRecord {
  /** In the shape of the newest version that has it; a session of a version without it leaves it for another. */
  readonly primitive: Element;
  readonly expiresAt: number;
  /** As in OfUser, for the session that takes it over. */
  readonly validUntil?: number | undefined;
}

export const users = table<UserRecord>('imps-users');
export const usersByMsisdn = table<{ readonly user: UserId }>('imps-msisdns');
export const sessions = table<SessionRecord>('imps-sessions');
export const rosters = table<RosterRecord>('imps-rosters');
export const clients = table<ClientRecord>('imps-clients');
export const challenges = table<ChallengeRecord>('imps-challenges');
export const attempts = table<AttemptsRecord>('imps-attempts');
export const outbox = table<OutboxRecord>('imps-outbox');
export const userOutbox = table<UserOutboxRecord>('imps-user-outbox');
export const mailbox = table<MessageRecord>('imps-mailbox');
export const taken = table<TakenRecord>('imps-taken');
export const replies = table<ReplyRecord>('imps-replies');
export const pollCookies = table<{ readonly session: string }>('imps-poll-cookies');
