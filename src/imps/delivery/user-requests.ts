import type { UserId } from '../address/wv-address.js';
import type { Element } from '../codec/element.js';
import { hasName, inVersion } from '../codec/in-version.js';
import type { ImpsContext } from '../context.js';
import { keyOf, userOutbox, type SessionRecord } from '../state/records.js';
import type { CspVersion } from '../vocabulary/versions.js';

/*
 * Requests of the server that are for a user and not for one session: reports, invitations, answers. They are written
 * in the shape of the newest version that has them and get the shape of the session's version on their way out, since
 * it may be another session that gets them in the end.
 */

/** How long a request waits for a user without session. */
const KEEP_MS = 7 * 86_400_000;

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
  // what an invitation was answered with is a ResponseNote before 1.3
  const children = primitive.children
    .map((part) =>
      primitive.name === 'Invite-Response' && part.name === 'InviteNote'
        ? { ...part, name: 'ResponseNote' }
        : part,
    )
    .filter(({ name }) => known?.includes(name) ?? true);
  return inVersion({ ...primitive, children }, version);
}

/** Gives a request to one session of the user, the preferred one if it lives; kept when there is none. */
export async function toOneSession(
  context: ImpsContext,
  user: UserId,
  primitive: Element,
  preferred?: string,
): Promise<void> {
  const sessions = await context.sessions.ofUser(user);
  const target = sessions.find(({ id }) => id === preferred) ?? sessions[0];
  if (!target) return keepForUser(context, user, primitive);
  await context.outbox.add(target.id, primitive, { to: 'one', at: context.clock.now() });
}

/** Gives a request to each session of the user that negotiated the function code; kept when there is none. */
export async function toEachSession(
  context: ImpsContext,
  user: UserId,
  primitive: Element,
  code: string,
): Promise<void> {
  const sessions = (await context.sessions.ofUser(user)).filter(
    ({ functions, version }) =>
      (functions === undefined || functions.includes(code)) && hasName(primitive.name, version),
  );
  for (const { id } of sessions)
    await context.outbox.add(id, primitive, { to: 'each', at: context.clock.now() });
  if (sessions.length === 0) await keepForUser(context, user, primitive);
}

/** Keeps a request for a user without session; the next session whose version has such a request gets it. */
async function keepForUser(context: ImpsContext, user: UserId, primitive: Element): Promise<void> {
  const expiresAt = context.clock.now() + KEEP_MS;
  await context.store.update(userOutbox, keyOf(user, context.ids.next()), () => ({
    kind: 'put',
    value: { primitive, expiresAt },
    deadline: expiresAt,
    result: undefined,
  }));
}

/** A new session gets what was kept for its user. */
export async function takeOverKept(context: ImpsContext, session: SessionRecord): Promise<void> {
  for await (const { key, value } of context.store.scan(userOutbox, { prefix: keyOf(session.user, '') })) {
    if (!hasName(value.primitive.name, session.version)) continue;
    await context.outbox.add(session.id, value.primitive, { to: 'one', at: context.clock.now() });
    await context.store.update(userOutbox, key, () => ({ kind: 'remove', result: undefined }));
  }
}

/**
 * A session ends: what it did not answer and is for its user goes to another of his sessions, or is kept. What each
 * session got goes to those that came later.
 */
export async function returnRequests(context: ImpsContext, session: SessionRecord): Promise<void> {
  for await (const { id, primitive, ofUser } of context.outbox.all(session.id)) {
    if (!primitive || !ofUser) continue;
    const others = (await context.sessions.ofUser(session.user)).filter(
      (other) => other.id !== session.id && hasName(primitive.name, other.version),
    );
    const heirs =
      ofUser.to === 'one' ? others.slice(0, 1) : others.filter(({ startedAt }) => startedAt > ofUser.at);
    for (const heir of heirs) await context.outbox.add(heir.id, primitive, ofUser);
    if (others.length === 0) await keepForUser(context, session.user, primitive);
    await context.outbox.remove(session.id, id);
  }
}
