import { defaultCapabilities } from '../access/capabilities.js';
import { clientKey } from '../address/client-id.js';
import type { UserId } from '../address/wv-address.js';
import { formatDateTime } from '../codec/date-time.js';
import { element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import { accepts, allows } from '../services/access-lists.js';
import {
  clients,
  keyOf,
  taken,
  type MessageRecord,
  type OfflineHandling,
  type SessionRecord,
  type TakenRecord,
} from '../state/records.js';
import { countOf } from '../state/count.js';
import { result, type StatusCode } from '../status.js';
import { messageInfo } from './message-info.js';
import { notifyOffline } from './offline-notification.js';
import { route, type Address, type Candidate } from './routing.js';
import { toOneSession } from './user-requests.js';

/** Messages taken over from the mailbox at a time, and looked at for it. */
const BATCH = 8;
const LOOK = 200;
/** How long whoever delivers a message from outside may try. */
const REMEMBER_TAKEN_MS = 7 * 86_400_000;

/** Whether service negotiation left the session any way to get messages. */
export const takesMessages = ({ functions }: SessionRecord): boolean =>
  functions === undefined || functions.includes('NEWM') || functions.includes('NOTIF');

/**
 * Takes a message for one user: committed when it resolves with 200.
 * @param message sessions are filled in here
 * @returns 200, or why the user does not get it
 */
export async function send(
  context: ImpsContext,
  user: UserId,
  message: MessageRecord,
  address: Address = {},
): Promise<StatusCode> {
  const verdict = await context.ports.router.route(user, message, address);
  if (verdict.kind === 'taken') return 200;
  if (verdict.kind === 'refused') return verdict.status;
  return sendHere(context, user, message, address);
}

/** Takes a message for one user of this server; see {@link send}. */
export async function sendHere(
  context: ImpsContext,
  user: UserId,
  message: MessageRecord,
  address: Address = {},
): Promise<StatusCode> {
  const recipient = await context.ports.users.find(user);
  // who has yet to confirm the registration is no user of the service (document 004 §6.2)
  if (!recipient || recipient.state === 'confirming') return 531;
  if (recipient.state === 'barred') return 534;
  if (!(await accepts(context, user, message.sender))) return 532;
  if (await context.mailbox.full(user)) return 507;
  const known = message.origin && (await changeTaken(context, user, message, (current) => current));
  if (known && known.clients.length > 0) return 200;
  if (known) message = { ...message, id: known.id };
  const living = await context.sessions.ofUser(user);
  const offline = await offlineHandling(context, user, address, living);
  const decision = route(
    living.map((session) => candidate(context, session)),
    address,
    offline,
    {
      priorityOrder: context.config.priorityOrder,
      storeOffline: context.config.messages.storeOffline,
    },
  );
  context.trail.record({
    code: `imps.message-${decision.kind}`,
    outcome: decision.kind === 'reject' ? 'refused' : 'accepted',
    clause: 'document 001 OfflineETEMHandling, document 002 IMR-9',
    subject: user,
    trace: message.id,
    detail: decision.kind === 'deliver' ? `${decision.sessions.length} sessions` : undefined,
  });
  if (decision.kind === 'reject') return 533;
  if (decision.kind === 'deliver') await deliver(context, user, message, decision.sessions);
  else {
    await context.mailbox.put(user, message);
    await offerWaiting(context, user);
  }
  return 200;
}

/** Commits a message and has it pushed or announced to these sessions of its recipient. */
export async function deliver(
  context: ImpsContext,
  user: UserId,
  message: MessageRecord,
  sessions: readonly string[],
): Promise<void> {
  await context.mailbox.put(user, { ...message, sessions });
  for (const session of sessions) await context.outbox.addMessage(session, message.id);
  await afterPut(context, user, message.id, sessions);
}

/** Sessions may have ended while they were given a message: then nobody else looked at it yet. */
async function afterPut(
  context: ImpsContext,
  user: UserId,
  message: string,
  sessions: readonly string[],
): Promise<void> {
  const living = await Promise.all(sessions.map((id) => context.sessions.find(id)));
  const gone = sessions.filter((_, index) => !living[index]);
  for (const id of gone) await context.outbox.remove(id, message);
  if (gone.length === sessions.length) await offerWaiting(context, user);
}

/**
 * Takes a message from outside for one session. One that comes again, because whoever sent it did not hear of the first
 * time, has the Message-ID of then, and is not given to a client twice.
 * @returns 200 once it is committed, or why the session does not get it
 */
export async function deliverTo(
  context: ImpsContext,
  session: SessionRecord,
  message: MessageRecord,
): Promise<StatusCode> {
  const { user } = session;
  if (!(await allows(context, user, message.sender))) return 532;
  if (!takesMessages(session)) return 506;
  if (await context.mailbox.full(user)) return 507;
  const known = message.origin && (await changeTaken(context, user, message, (current) => current));
  if (known?.clients.includes(clientKey(session.client))) return 200;
  const id = known?.id ?? message.id;
  await context.mailbox.putFor(session, { ...message, id });
  await context.outbox.addMessage(session.id, id);
  await afterPut(context, user, id, [session.id]);
  return 200;
}

/** The record of a message from outside; it is made when there is none. */
async function changeTaken(
  context: ImpsContext,
  user: UserId,
  { id, origin }: MessageRecord,
  fn: (current: TakenRecord) => TakenRecord,
): Promise<TakenRecord> {
  return context.store.update(taken, keyOf(user, origin?.key ?? id), (current) => {
    const value = fn(current ?? { id, clients: [] });
    if (value === current) return { kind: 'keep', result: current };
    return { kind: 'put', value, deadline: context.clock.now() + REMEMBER_TAKEN_MS, result: value };
  });
}

async function rememberTaken(
  context: ImpsContext,
  session: SessionRecord,
  message: MessageRecord,
): Promise<void> {
  const client = clientKey(session.client);
  await changeTaken(context, session.user, message, (current) => ({
    ...current,
    clients: [...current.clients.filter((other) => other !== client), client],
  }));
}

function candidate(context: ImpsContext, session: SessionRecord): Candidate {
  return {
    id: session.id,
    client: clientKey(session.client),
    applicationId: session.applicationId,
    takesMessages: takesMessages(session),
    imPriority: session.imPriority,
    priority: session.priority,
    onlineHandling: (session.capabilities ?? defaultCapabilities).onlineHandling,
    seenAt: context.sessions.seenAt(session),
  };
}

/** OfflineETEMHandling of the addressed client, else of the one that was there last. */
async function offlineHandling(
  context: ImpsContext,
  user: UserId,
  address: Address,
  living: readonly SessionRecord[],
): Promise<OfflineHandling> {
  if (living.length > 0 && address.client === undefined && address.applicationId === undefined)
    return 'SENDSTORE';
  let last: { readonly seenAt: number; readonly offlineHandling: OfflineHandling } | undefined;
  const prefix = address.client === undefined ? keyOf(user, '') : keyOf(user, address.client, '');
  for await (const { value } of context.store.scan(clients, { prefix })) {
    if (address.applicationId !== undefined && value.applicationId !== address.applicationId) continue;
    if (!last || value.seenAt > last.seenAt) last = value;
  }
  return last?.offlineHandling ?? 'SENDSTORE';
}

/**
 * The client has the message. Where several sessions of its user have it and say so at the same time, one of them
 * tells the sender, and the last one takes the message away.
 * @returns 426 when it never was for it
 */
export async function delivered(
  context: ImpsContext,
  session: SessionRecord,
  id: string,
): Promise<StatusCode> {
  const message = await context.mailbox.get(session.user, id);
  const waiting = await context.outbox.remove(session.id, id);
  if (!message) return waiting ? 200 : 426;
  const tells = message.deliveryReport && !message.delivered;
  const mine = !tells || (await mayReport(context, session, message));
  if (tells && mine) await report(context, session.user, message, 200);
  if (message.origin !== undefined) await rememberTaken(context, session, message);
  await context.mailbox.change(session.user, id, (current) => {
    const sessions = current.sessions.filter((other) => other !== session.id);
    return sessions.length === 0
      ? undefined
      : { ...current, sessions, delivered: mine || (current.delivered ?? false) };
  });
  return 200;
}

/**
 * Whether it falls to this session to tell the sender. It has the message until that is done, so that after a crash it
 * tells again, or whoever is given the message then.
 */
async function mayReport(
  context: ImpsContext,
  { id: session, user }: SessionRecord,
  message: MessageRecord,
): Promise<boolean> {
  if (message.sessions.every((other) => other === session)) return true;
  const now = await context.mailbox.change(user, message.id, (current) => {
    const reporter = current.sessions.find((other) => other === current.reporter);
    return current.delivered || reporter !== undefined ? current : { ...current, reporter: session };
  });
  return now?.reporter === session && !now.delivered;
}

/** Takes a message away without delivery: rejected, forwarded or expired. */
export async function discard(
  context: ImpsContext,
  user: UserId,
  message: MessageRecord,
  code: StatusCode,
): Promise<void> {
  // one from elsewhere was acknowledged there: who sent it may have to hear of its loss unasked
  const tells = message.deliveryReport || message.origin !== undefined;
  if (tells && !message.delivered) await report(context, user, message, code);
  await context.mailbox.remove(user, message.id);
  for (const session of message.sessions) await context.outbox.remove(session, message.id);
}

/** Tells the sender what became of a message to a user. */
export async function report(
  context: ImpsContext,
  recipient: UserId,
  message: MessageRecord,
  code: StatusCode,
): Promise<void> {
  if (message.origin !== undefined) return context.ports.router.report(recipient, message, code);
  const { user } = message.sender;
  if (user === undefined) return;
  // the information is that of the message as sent, to the recipient that it concerns
  const about =
    message.recipient.group === undefined ? { ...message, recipient: { user: recipient } } : message;
  const primitive = element(
    'DeliveryReport-Request',
    result(code),
    element('DeliveryTime', formatDateTime(context.clock.now())),
    messageInfo(about, '1.3', context.clock.now()),
  );
  await toOneSession(context, user, primitive, message.senderSession);
}

/**
 * Marks that the mailbox is to be gone through for a new session. It comes after the session is committed: a message
 * that is stored before sees no session and is found here, one that comes after is routed to the session.
 */
export async function noticeBacklog(context: ImpsContext, session: SessionRecord): Promise<void> {
  if (!(await somethingWaits(context, session.user))) return;
  await context.sessions.change(session.id, (current) => ({ ...current, backlog: '' }));
}

/**
 * Moves the next messages of the mailbox that no living session has into the outbox of this one, so that a login costs
 * the same however many wait. What is already in the outbox and older goes first.
 * @returns the session as it is then
 */
export async function refill(context: ImpsContext, session: SessionRecord): Promise<SessionRecord> {
  if (session.backlog === undefined || !takesMessages(session)) return session;
  const [next] = await context.outbox.ready(session.id, 1);
  if (next && next.id <= session.backlog) return session;
  const living = new Set((await context.sessions.ofUser(session.user)).map(({ id }) => id));
  let cursor = session.backlog;
  let looked = 0;
  let moved = 0;
  for await (const message of context.mailbox.list(session.user, session.backlog, LOOK)) {
    looked++;
    cursor = message.id;
    if (await take(context, session, message.id, living)) moved++;
    if (moved >= BATCH) break;
  }
  const backlog = moved < BATCH && looked < LOOK ? undefined : cursor;
  const from = session.backlog;
  await context.sessions.change(session.id, (current) => ({
    ...current,
    // whoever set it back meanwhile knows of a message that this look may have passed by
    backlog:
      current.backlog === undefined || current.backlog === from ? backlog : earlier(current.backlog, backlog),
  }));
  return { ...session, backlog };
}

const earlier = (a: string, b: string | undefined): string => (b === undefined || a < b ? a : b);

async function take(
  context: ImpsContext,
  session: SessionRecord,
  id: string,
  living: ReadonlySet<string>,
): Promise<boolean> {
  const owned = await context.mailbox.change(session.user, id, (current) => {
    if (current.sessions.some((owner) => owner !== session.id && living.has(owner))) return current;
    // delivered to one session, and the others that had it are gone
    return current.delivered ? undefined : { ...current, sessions: [session.id] };
  });
  if (!owned?.sessions.includes(session.id)) return false;
  await context.outbox.addMessage(session.id, id);
  return true;
}

/**
 * A session that does not do messages has one all the same: it was given before the services were agreed, or to a group.
 * Another session of the user gets it.
 */
export async function leaveMessage(
  context: ImpsContext,
  { id: session, user }: SessionRecord,
  messageId: string,
): Promise<void> {
  const left = await context.mailbox.change(user, messageId, (current) => {
    const sessions = current.sessions.filter((owner) => owner !== session);
    // delivered to one session, and this was the last of the others
    return sessions.length === 0 && current.delivered ? undefined : { ...current, sessions };
  });
  // first, so that a crash in between leaves it to be found here again
  if (left?.sessions.length === 0) await offerWaiting(context, user);
  await context.outbox.remove(session, messageId);
}

/** Services were agreed: what the session was given before and has no way to get now is another's. */
export async function leaveMessages(context: ImpsContext, session: SessionRecord): Promise<void> {
  if (takesMessages(session)) return;
  for await (const { messageId } of context.outbox.all(session.id))
    if (messageId !== undefined) await leaveMessage(context, session, messageId);
}

/** A session ended: what it did not acknowledge is offered again. */
export async function returnMessages(context: ImpsContext, { user }: SessionRecord): Promise<void> {
  if (await somethingWaits(context, user)) await offerWaiting(context, user);
}

/**
 * Has the mailbox looked at again for the sessions of its user, in which something waits. Where there is no session,
 * it waits for somebody who is not logged in, and his clients are told (document 002 §9).
 */
async function offerWaiting(context: ImpsContext, user: UserId): Promise<void> {
  const sessions = (await context.sessions.ofUser(user)).filter(takesMessages);
  for (const { id } of sessions) {
    const session = await context.sessions.change(id, (current) => ({ ...current, backlog: '' }));
    if (session) await refill(context, session);
  }
  if (sessions.length === 0) await notifyOffline(context, user);
}

const somethingWaits = async (context: ImpsContext, user: UserId): Promise<boolean> =>
  (await countOf(context.mailbox.list(user, '', 1))) > 0;

/** The validity of a message is over: its sender hears 542. */
export async function expireMessage(context: ImpsContext, user: UserId, id: string): Promise<void> {
  const message = await context.mailbox.get(user, id);
  if (message) await discard(context, user, message, 542);
}
