import { removeUser } from './access/user-removal.js';
import type { UserId } from './address/wv-address.js';
import { Cir } from './cir/cir.js';
import type { Element } from './codec/element.js';
import type { ImpsConfig } from './config.js';
import type { Endpoints } from './context.js';
import { createContext, type ContextOptions } from './create-context.js';
import { deliverTo, report, send, sendHere } from './delivery/courier.js';
import { notifyOffline } from './delivery/offline-notification.js';
import { endSession } from './lifecycle.js';
import type { Pager, UserDirectory } from './ports.js';
import { PapPager } from './push/pap.js';
import { Replies } from './replies.js';
import { accessOf } from './services/access-lists.js';
import { replaceOutside } from './services/presence-store.js';
import { outsidePresence, type OutsidePresence } from './services/outside-presence.js';
import { outsideGroups, type OutsideGroups } from './services/outside-groups.js';
import { presenceChanged } from './services/presence-subscriptions.js';
import {
  sendSystemMessage,
  systemMessagesOf,
  type SentSystemMessage,
  type SystemMessage,
} from './services/system-messages.js';
import { transfersOf, type Transfers } from './services/transfers.js';
import type { SmscState } from './sms/smsc-link.js';
import { SmsTransport } from './sms/sms-transport.js';
import {
  rosters,
  sessions,
  type MessageRecord,
  type SessionRecord,
  type UserRecord,
} from './state/records.js';
import type { StatusCode } from './status.js';
import { Sweeper } from './sweeper.js';
import { Conversation } from './transport/conversation.js';
import { HttpTransport } from './transport/http.js';

export type ImpsServerOptions = ContextOptions;

/** What somebody outside sends to a user: a gateway, or the operator. */
export type IncomingMessage = Pick<MessageRecord, 'sender' | 'contentType' | 'content'> &
  Partial<
    Pick<
      MessageRecord,
      | 'contentEncoding'
      | 'contentName'
      | 'contentBytes'
      | 'deliveryReport'
      | 'sentAt'
      | 'expiresAt'
      | 'origin'
    >
  > & {
    /** Only for this session of the user. */
    readonly session?: string;
    /** It is for this server's own phones of the user: the router is not asked. */
    readonly routed?: boolean;
    /** A group, or a screen name of it, that the user gets it in. */
    readonly recipient?: MessageRecord['recipient'];
  };

/** The IMPS server as the rest of Parley sees it. */
export interface ImpsServer {
  /** Opens the listeners. @returns where they are */
  start(): Promise<Readonly<Endpoints>>;
  /** Drains and closes; sessions stay, phones notice nothing of a restart. */
  close(): Promise<void>;
  readonly users: UserDirectory;
  /** Living sessions, of one user or of all. */
  sessions(user?: UserId): AsyncIterable<SessionRecord>;
  /** Living sessions by user, in order of the users' addresses, of all or of those after one. */
  sessionsByUser(after?: UserId): AsyncIterable<readonly SessionRecord[]>;
  /**
   * Removes a user with all that is kept for it, so that nothing of it is seen by who gets the address next: its sessions end (601), senders
   * of what waited are told 531. @returns the user as it was; undefined when there was none
   */
  removeUser(user: UserId): Promise<UserRecord | undefined>;
  /** Ends a session from the server's side: its client hears 601. @returns false when there was none */
  disconnect(sessionId: string): Promise<boolean>;
  /** Takes a message for a user. @returns 200 once it is committed, or why not; with its Message-ID */
  deliver(
    user: UserId,
    message: IncomingMessage,
  ): Promise<{ readonly status: StatusCode; readonly messageId: string }>;
  /** Takes a message that a router had taken over for its own user after all. @returns 200 once it is committed, or why not */
  keep(user: UserId, message: MessageRecord): Promise<StatusCode>;
  /**
   * Block and grant lists of a user, for requests of another system. @returns whether the user takes them from somebody with these addresses;
   * undefined when none of the lists is in use
   */
  accessOf(user: UserId): Promise<((senders: readonly UserId[]) => Promise<boolean>) | undefined>;
  /** Tells the clients of a user without session, over the bearer that they negotiated, that something waits elsewhere. */
  notifyOffline(user: UserId): Promise<void>;
  /** Tells the sender of a message that a router took over what became of it. */
  reportDelivery(message: MessageRecord, recipient: UserId, status: StatusCode): Promise<void>;
  /** Presence of a user outside the local directory changed: a PresenceSubList with what is new. */
  publishPresence(user: UserId, list: Element): Promise<void>;
  /** Asks or tells a user something in the operator's name. @returns the message's ID */
  sendSystemMessage(user: UserId, message: SystemMessage): Promise<string>;
  /** System messages of a user that wait for an answer or were answered lately, oldest first. */
  systemMessages(user: UserId): AsyncIterable<SentSystemMessage & { readonly id: string }>;
  /** Sessions that had traffic at this node since it started, and messages that wait for users as far as it knows. */
  figures(): { readonly sessions: number; readonly waiting: number };
  /** What this node is connected to. */
  connections(): ImpsConnections;
  /** What users have elsewhere, in and out: contacts, access lists, groups. */
  readonly transfers: Transfers;
  /** Groups in which users of another system are. */
  readonly groups: OutsideGroups;
  /** Presence of users, for watchers of another system. */
  readonly presence: OutsidePresence;
}

export interface ImpsConnections {
  /** CIR connections over TCP, and clients that were heard over UDP. */
  readonly cir: { readonly tcp: number; readonly udp: number };
  /** Undefined without `smpp` in the configuration. */
  readonly smsc: SmscState | undefined;
}

/** Builds the server; nothing listens before `start`. */
export function createImpsServer(options: ImpsServerOptions): ImpsServer {
  let draining = false;
  let counting: Promise<void> | undefined;
  const pagers: Pager[] = [...(options.ports?.pagers ?? [])];
  const context = createContext(options, pagers, () => draining);
  const { store, clock, config, endpoints, ids, log } = context;
  const cir = new Cir(context);
  const conversation = new Conversation(context, new Replies());
  const { smpp, pushProxy } = config;
  const sms = smpp && new SmsTransport(context, smpp, conversation, !pushProxy, cir.greeted);
  if (pushProxy) pagers.push(new PapPager(pushProxy, context));
  if (sms) pagers.push(sms);
  const http = new HttpTransport(context, conversation, (cookie) => cir.poll(cookie));
  const sweeper = new Sweeper(context);

  async function* allSessions(): AsyncIterable<SessionRecord> {
    for await (const { value } of store.scan(sessions)) {
      if (context.sessions.expiresAt(value) > clock.now()) yield value;
    }
  }

  return {
    users: context.ports.users,
    async start() {
      const listens = await http.listen();
      endpoints.http = config.publicHttp?.replace(/\/$/, '') ?? listens.csp;
      endpoints.cirHttp = pollUrl(config, listens.polls);
      await cir.start();
      sms?.start();
      sweeper.start();
      counting = context.mailbox
        .countAll()
        .catch((error: unknown) => log.error({ err: error }, 'waiting messages could not be counted'));
      return endpoints;
    },
    async close() {
      draining = true;
      await sweeper.close();
      await counting;
      await http.close();
      await sms?.close();
      conversation.close();
      await cir.close();
    },
    async *sessions(user) {
      if (user === undefined) yield* allSessions();
      else yield* await context.sessions.ofUser(user);
    },
    async *sessionsByUser(after) {
      for await (const { key } of store.scan(rosters, after === undefined ? {} : { after })) {
        const living = await context.sessions.ofUser(key as UserId);
        if (living.length > 0) yield living;
      }
    },
    removeUser: (user) => removeUser(context, user),
    async disconnect(sessionId) {
      const session = await context.sessions.find(sessionId);
      if (!session) return false;
      await endSession(context, session, 601);
      return true;
    },
    async deliver(user, { session, routed, ...message }) {
      const now = clock.now();
      const record: MessageRecord = {
        contentEncoding: 'None',
        deliveryReport: false,
        sentAt: now,
        expiresAt: now + config.messages.defaultValidity * 1000,
        ...message,
        id: ids.next(),
        recipient: message.recipient ?? { user },
        contentSize: message.contentBytes?.length ?? message.content.length,
        sessions: [],
      };
      if (session === undefined) {
        const status = await (routed ? sendHere : send)(context, user, record);
        return { status, messageId: record.id };
      }
      const living = await context.sessions.find(session);
      if (living?.user !== user) return { status: 533, messageId: record.id };
      return { status: await deliverTo(context, living, record), messageId: record.id };
    },
    keep: (user, message) => sendHere(context, user, message),
    accessOf: (user) => accessOf(context, user),
    notifyOffline: (user) => notifyOffline(context, user),
    reportDelivery: (message, recipient, code) => report(context, recipient, message, code),
    async publishPresence(user, list) {
      await presenceChanged(context, user, await replaceOutside(context, user, list));
    },
    sendSystemMessage: (user, message) => sendSystemMessage(context, user, message),
    systemMessages: (user) => systemMessagesOf(context, user),
    groups: outsideGroups(context),
    presence: outsidePresence(context),
    figures: () => ({ sessions: context.sessions.here, waiting: context.mailbox.waiting }),
    connections: () => ({ cir: cir.connections, smsc: sms?.state }),
    transfers: transfersOf(context),
  };
}

/** What clients are told of CIR polls: undefined when all that is known is https, which the binding does not have. */
function pollUrl(
  { publicCirHttp, publicHttp, cirHttpListen }: ImpsConfig,
  listens: string,
): string | undefined {
  const told = publicCirHttp ?? (cirHttpListen === undefined ? publicHttp : undefined) ?? listens;
  return told.startsWith('http:') ? told.replace(/\/$/, '') : undefined;
}
