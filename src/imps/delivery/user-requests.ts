import type { UserId } from '../address/wv-address.js';
import { child, type Element } from '../codec/element.js';
import { hasName, inVersion } from '../codec/in-version.js';
import type { ImpsContext } from '../context.js';
import {
  keyOf,
  lastPart,
  userOutbox,
  type OfUser,
  type SessionRecord,
  type UserOutboxRecord,
} from '../state/records.js';
import type { CspVersion } from '../vocabulary/versions.js';
import { agreedRequest } from './agreed-requests.js';
import type { Waiting } from './outbox.js';

/*
 * Requests of the server that are for a user and not for one session: reports, invitations, answers. They are written
 * in the shape of the newest version that has them and get the shape of the session's version on their way out, since
 * it may be another session that gets them in the end.
 */

/** How long a request waits for a user without session that takes it, and how many of a kind may. */
const KEEP_MS = 7 * 86_400_000;
const KEPT = 100;

/** What stands in these requests before 1.3, where 1.3 has more under names that older versions know as well. */
const before13: Readonly<Record<string, readonly string[]>> = {
  'InviteUser-Request': [
    'InviteID',
    'InviteType',
    'Sender',
    'GroupID',
    'PresenceSubList',
    'URLList',
    'InviteNote',
    'Validity',
  ],
  'CancelInviteUser-Request': ['InviteID', 'Sender', 'InviteNote', 'URLList'],
  'Invite-Response': ['InviteID', 'Acceptance', 'Sender', 'ResponseNote'],
};

/** The request as a version has it; undefined when the version has none. */
export function inShapeOf(primitive: Element, version: CspVersion): Element | undefined {
  if (!hasName(primitive.name, version)) return undefined;
  if (version === '1.3') return primitive;
  const known = before13[primitive.name];
  const children = primitive.children
    .map((part) => {
      // what an invitation was answered with is a ResponseNote before 1.3
      if (primitive.name === 'Invite-Response' && part.name === 'InviteNote')
        return { ...part, name: 'ResponseNote' };
      // an extended conversation is a group to clients that know no other
      const extended = part.name === 'InviteType' && part.text === 'EC' && child(primitive, 'GroupID');
      return extended ? { ...part, text: 'GR' } : part;
    })
    .filter(({ name }) => known?.includes(name) ?? true);
  return inVersion({ ...primitive, children }, version);
}

/** Whether the time has passed in which a request means anything. */
export const isOver = (
  { clock }: ImpsContext,
  { validUntil = Infinity }: Pick<OfUser, 'validUntil'>,
): boolean => validUntil <= clock.now();

/**
 * Sessions of a user that may be given a request: those that agreed on its service, and those that have yet to agree
 * on any; what they then leave out is handed back.
 */
async function takers(context: ImpsContext, user: UserId, primitive: Element): Promise<SessionRecord[]> {
  const sessions = await context.sessions.ofUser(user);
  return sessions.filter(
    (session) =>
      takes(session, primitive) ||
      (session.functions === undefined && hasName(primitive.name, session.version)),
  );
}

const takes = (session: SessionRecord, { name }: Element): boolean =>
  hasName(name, session.version) && agreedRequest(session, name);

/** The one of these sessions that gets a request: one that takes it for certain before one that may. */
const firstOf = (sessions: readonly SessionRecord[]): SessionRecord | undefined =>
  sessions.find(({ functions }) => functions !== undefined) ?? sessions[0];

/**
 * Gives a request to one session of the user, the preferred one if it takes it; kept when there is none.
 * @returns false when as many are kept as may be
 */
export async function toOneSession(
  context: ImpsContext,
  user: UserId,
  primitive: Element,
  preferred?: string,
): Promise<boolean> {
  const sessions = await takers(context, user, primitive);
  const target = sessions.find(({ id }) => id === preferred) ?? firstOf(sessions);
  if (!target) return keepForUser(context, user, primitive);
  await give(context, target, primitive, { to: 'one', at: context.clock.now() });
  return true;
}

async function give(
  context: ImpsContext,
  session: SessionRecord,
  primitive: Element,
  ofUser: OfUser,
): Promise<void> {
  await context.outbox.add(session.id, primitive, ofUser);
  // it may have ended meanwhile, and then nobody hands it back
  if (!(await context.sessions.find(session.id))) await returnRequests(context, session);
}

/**
 * Gives a request to each session of the user that takes it; kept when there is none.
 * @param validUntil when nobody is to get it any more
 * @returns false when as many are kept as may be
 */
export async function toEachSession(
  context: ImpsContext,
  user: UserId,
  primitive: Element,
  validUntil?: number,
): Promise<boolean> {
  const sessions = await takers(context, user, primitive);
  for (const session of sessions)
    await give(context, session, primitive, { to: 'each', at: context.clock.now(), validUntil });
  return sessions.length > 0 || keepForUser(context, user, primitive, validUntil);
}

/** Keeps a request for a user without session that takes it, unless as many of its kind are kept as may be: @returns false. */
async function keepForUser(
  context: ImpsContext,
  user: UserId,
  primitive: Element,
  validUntil?: number,
): Promise<boolean> {
  let kept = 0;
  for await (const { value } of context.store.scan(userOutbox, { prefix: keyOf(user, '') }))
    if (value.primitive.name === primitive.name) kept++;
  if (kept < KEPT) {
    await keep(context, user, context.ids.next(), { primitive, validUntil });
    return true;
  }
  context.trail.record({
    code: 'imps.kept-requests-full',
    outcome: 'refused',
    clause: 'CSP status 507',
    subject: user,
    detail: primitive.name,
  });
  return false;
}

/** @param without a session that is not to get it */
async function keep(
  context: ImpsContext,
  user: UserId,
  id: string,
  { primitive, validUntil }: Omit<UserOutboxRecord, 'expiresAt'>,
  without?: string,
): Promise<void> {
  const expiresAt = Math.min(context.clock.now() + KEEP_MS, validUntil ?? Infinity);
  await context.store.update(userOutbox, keyOf(user, id), () => ({
    kind: 'put',
    value: { primitive, expiresAt, validUntil },
    deadline: expiresAt,
    result: undefined,
  }));
  context.trail.record({
    code: 'imps.request-kept',
    outcome: 'noted',
    clause: 'CSP service negotiation',
    subject: user,
    detail: primitive.name,
  });
  // a session that agreed on its services meanwhile looked before the request was there
  const taker = (await context.sessions.ofUser(user)).find(
    (session) => session.id !== without && takes(session, primitive),
  );
  if (taker) await takeOverKept(context, taker);
}

/** A session that has agreed on its services gets what was kept for its user, as far as it agreed on it. */
export async function takeOverKept(context: ImpsContext, session: SessionRecord): Promise<void> {
  for await (const { key, value } of context.store.scan(userOutbox, { prefix: keyOf(session.user, '') })) {
    // what is over goes by its deadline
    if (!takes(session, value.primitive) || isOver(context, value)) continue;
    const { validUntil } = value;
    const ofUser = { to: 'one', at: context.clock.now(), validUntil } as const;
    await context.outbox.take(session.id, lastPart(key), value.primitive, ofUser);
    await context.store.update(userOutbox, key, () => ({ kind: 'remove', result: undefined }));
  }
}

/** A session ends: what it did not answer and is for its user is handed back. */
export async function returnRequests(context: ImpsContext, session: SessionRecord): Promise<void> {
  for await (const waiting of context.outbox.all(session.id)) await handBack(context, session, waiting);
}

/**
 * A session will not answer a request: one for its user goes to another session of his, or is kept. What each session
 * got goes to those that came later, and what is over to nobody.
 */
export async function handBack(
  context: ImpsContext,
  session: SessionRecord,
  { id, primitive, ofUser }: Waiting,
): Promise<void> {
  if (!primitive || !ofUser) return;
  if (isOver(context, ofUser)) {
    await context.outbox.remove(session.id, id);
    return;
  }
  const others = (await takers(context, session.user, primitive)).filter((other) => other.id !== session.id);
  const first = firstOf(others);
  const heirs =
    ofUser.to === 'each' ? others.filter(({ startedAt }) => startedAt > ofUser.at) : first ? [first] : [];
  // under its own ID, so that handing it back twice is once
  for (const heir of heirs) await context.outbox.take(heir.id, id, primitive, ofUser);
  if (others.length === 0) {
    const { validUntil } = ofUser;
    await keep(context, session.user, id, { primitive, validUntil }, session.id);
  }
  await context.outbox.remove(session.id, id);
}
