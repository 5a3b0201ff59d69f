import type { ImpsContext } from './context.js';
import { leaveMessages, noticeBacklog, returnMessages } from './delivery/courier.js';
import { returnRequests, takeOverKept } from './delivery/user-requests.js';
import { autoJoin, leaveAllGroups } from './services/group-join.js';
import { cameOnline, wentOffline } from './services/presence.js';
import { dropSubscriptions } from './services/presence-subscriptions.js';
import { repeatSystemMessages } from './services/system-messages.js';
import type { SessionRecord } from './state/records.js';
import type { StatusCode } from './status.js';

type Step = (context: ImpsContext, session: SessionRecord) => Promise<void>;

/** What a session's beginning means to the services, in this order. */
const onStart: readonly Step[] = [noticeBacklog, cameOnline, repeatSystemMessages];
/**
 * What its end means, before the session's record goes: after a crash in between the session is still there and ends
 * again. A session ends by logout, by the server's disconnect, or by expiry; whatever ends it, the same happens.
 */
const onEnd: readonly Step[] = [dropSubscriptions, leaveAllGroups, wentOffline, returnRequests];

/** A session was committed; of one that a crash kept from beginning whole it may be called again. */
export async function sessionStarted(context: ImpsContext, session: SessionRecord): Promise<void> {
  for (const step of onStart) await step(context, session);
  context.ports.observer.sessionStarted(session);
  if (session.functions) await afterServices(context, session.id);
}

/** What a session can do, or how long it lives, is another thing now. */
export async function sessionChanged(context: ImpsContext, id: string): Promise<void> {
  const session = await context.sessions.find(id);
  if (session) context.ports.observer.sessionChanged(session);
}

/**
 * Services were agreed: the session gets what was kept for its user and leaves the messages that it cannot get, and one
 * with groups joins those that its user wants to be in (document 004 §6.1.1).
 */
export async function afterServices(context: ImpsContext, id: string): Promise<void> {
  const session = await context.sessions.find(id);
  if (session?.functions) {
    await takeOverKept(context, session);
    await leaveMessages(context, session);
  }
  const groups = session?.functions?.some(
    (code) => code === 'SUBGCN' || code === 'GETJU' || code === 'CREAG',
  );
  if (session && groups) await autoJoin(context, session);
  await sessionChanged(context, id);
}

/**
 * Ends a session.
 * @param code what the client hears when it uses the Session-ID again: 600 expired, 601 forced; undefined after logout
 */
export async function endSession(
  context: ImpsContext,
  session: SessionRecord,
  code: StatusCode | undefined,
): Promise<void> {
  for (const step of onEnd) await step(context, session);
  await context.sessions.end(session, code);
  // what it was given since its end began
  await returnRequests(context, session);
  await context.outbox.clear(session.id);
  await returnMessages(context, session);
  context.ports.observer.sessionEnded(session);
  context.trail.record({
    code: 'imps.session-ended',
    outcome: 'noted',
    clause: code === 600 ? 'document 004, Keep-Alive-Time' : 'CSP logout and disconnect',
    subject: session.user,
    trace: session.id,
    detail: code === undefined ? 'logout' : String(code),
  });
}
