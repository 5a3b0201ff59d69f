import { login, refusedLogin } from './access/login.js';
import { serviceProviderInfo, versionDiscovery } from './access/session-primitives.js';
import type { ReadMessage } from './codec/coding.js';
import type { CspMessage, Transaction } from './codec/envelope.js';
import { element, type Element } from './codec/element.js';
import type { ImpsContext, Origin } from './context.js';
import { agreedRequest } from './delivery/agreed-requests.js';
import { leaveMessage, refill, takesMessages } from './delivery/courier.js';
import type { Waiting } from './delivery/outbox.js';
import { render } from './delivery/render.js';
import { handBack } from './delivery/user-requests.js';
import { agreed, answered, routes } from './dispatcher.js';
import { endSession } from './lifecycle.js';
import type { Replies } from './replies.js';
import type { SessionRecord } from './state/records.js';
import { CspRefusal, result, status, type StatusCode } from './status.js';

/** Transactions taken from one message; what comes after them is refused. */
const TRANSACTIONS = 32;

/** Work of one message: what it is answered with, as it grows. */
interface Work {
  readonly context: ImpsContext;
  readonly replies: Replies;
  readonly message: CspMessage;
  readonly origin: Origin;
  session: SessionRecord | undefined;
  readonly answers: Transaction[];
  polled: boolean;
  /** Transaction-ID of a MessageDelivered in response mode: it may be answered, to say that more waits. */
  acknowledged: string | undefined;
}

/**
 * Answers one CSP message, whatever transport brought it.
 * @returns undefined when the answer is empty: nothing waits for a poll, or the client only answered
 */
export async function exchange(
  context: ImpsContext,
  replies: Replies,
  read: ReadMessage,
  origin: Origin,
): Promise<CspMessage | undefined> {
  const { message } = read;
  const session =
    message.sessionId === undefined ? undefined : await context.sessions.find(message.sessionId);
  const work: Work = {
    context,
    replies,
    message,
    origin,
    session,
    answers: [],
    polled: false,
    acknowledged: undefined,
  };
  const renewed = session && (await context.sessions.touch(session));
  if (renewed) context.ports.observer.sessionChanged(renewed);
  if (session) await context.endpoints.clientCame(session);
  let count = 0;
  for (const transaction of message.transactions) {
    const refusal = !read.versionKnown
      ? 505
      : read.defect !== undefined
        ? 402
        : ++count > TRANSACTIONS
          ? 400
          : 0;
    if (refusal === 0) await one(work, transaction);
    else if (transaction.mode === 'Request') refuse(work, transaction, refusal, read.defect);
  }
  return finish(work, read.coding.syntax === 'text');
}

function answer(work: Work, id: string, primitive: Element): void {
  work.answers.push({ mode: 'Response', id, primitive });
}

/** What is wrong is the message around the primitive. */
function refuse(work: Work, { id, primitive }: Transaction, code: StatusCode, detail?: string): void {
  work.context.trail.record({
    code: `imps.refused-${code}`,
    outcome: 'refused',
    clause: 'CSP message',
    subject: work.session?.user,
    trace: work.session?.id ?? id,
    detail: detail ?? primitive?.name.slice(0, 60),
  });
  answer(work, id, primitive?.name === 'Login-Request' ? refusedLogin(primitive, code) : status(code));
}

async function one(work: Work, transaction: Transaction): Promise<void> {
  const { context, message, session } = work;
  const { id, primitive } = transaction;
  if (!primitive) {
    if (transaction.mode === 'Request') refuse(work, transaction, 400, 'no primitive');
    return;
  }
  if (transaction.mode === 'Response') {
    const run = (of: SessionRecord) => () => answered(context, of, transaction);
    const more =
      session && (await guarded(context, () => refusing(context, session, primitive.name, run(session))));
    if (more) answer(work, id, more);
    if (primitive.name === 'MessageDelivered') work.acknowledged = id;
    return;
  }
  switch (primitive.name) {
    case 'Login-Request': {
      const { version, sessionId } = message;
      const arrival = { version, transactionId: id, sessionId, primitive, origin: work.origin };
      const reply = await guarded(
        context,
        () => work.replies.login(context, arrival, (keep) => login(context, arrival, keep)),
        refusedLogin(primitive, 500),
      );
      return answer(work, id, reply);
    }
    case 'WV-CSP-VersionDiscovery-Request':
      return answer(work, id, versionDiscovery(primitive));
    case 'GetSPInfo-Request':
      if (message.sessionId === undefined) return answer(work, id, serviceProviderInfo(context, primitive));
  }
  if (!session) return noSession(work, transaction);
  if (primitive.name === 'Polling-Request') {
    work.polled = true;
    return;
  }
  const route = routes[primitive.name];
  if (!route || !agreed(session, primitive.name)) {
    notAgreed(context, session, primitive);
    return answer(work, id, status(506));
  }
  const { version } = message;
  const { origin } = work;
  const request = { session, version, transactionId: id, primitive, origin };
  const run = (seed: string, again: boolean): Promise<Element> =>
    refusing(context, session, primitive.name, async () => {
      try {
        return await route.handler(context, { ...request, seed });
      } catch (error) {
        if (again && error instanceof CspRefusal && error.status === route.doneBefore) return status(200);
        throw error;
      }
    });
  const { changes, ending } = route;
  const reply = await guarded(context, () =>
    ending
      ? work.replies.ending(context, session.id, id, primitive, ending(version), () => run('', false))
      : work.replies.once(context, session.id, id, primitive, changes, run),
  );
  // a second transaction of the message must see what this one changed
  work.session = await context.sessions.find(session.id);
  answer(work, id, reply);
}

function notAgreed({ trail }: ImpsContext, session: SessionRecord, { name }: Element): void {
  trail.record({
    code: 'imps.service-not-agreed',
    outcome: 'refused',
    clause: 'CSP service negotiation',
    subject: session.user,
    trace: session.id,
    detail: name.slice(0, 60),
  });
}

/** A request without a living session: what it was answered before, else 604, or why the session ended; a poll hears it as a Disconnect, once. */
async function noSession(work: Work, { id, primitive }: Transaction): Promise<void> {
  const { context, message } = work;
  const { sessionId } = message;
  const known =
    sessionId === undefined || !primitive
      ? undefined
      : await work.replies.ofEnded(context, sessionId, id, primitive);
  if (known) return answer(work, id, known);
  const overdue = sessionId === undefined ? undefined : await context.sessions.overdue(sessionId);
  if (overdue) await endSession(context, overdue, 600);
  const epitaph = sessionId === undefined ? undefined : await context.sessions.epitaph(sessionId);
  context.trail.record({
    code: 'imps.no-session',
    outcome: 'refused',
    clause: 'CSP status 604',
    trace: id,
    detail: primitive?.name.slice(0, 60),
  });
  if (epitaph?.first && primitive?.name === 'Polling-Request') {
    const disconnect = element('Disconnect', result(epitaph.code));
    work.answers.push({ mode: 'Request', id: context.ids.next(), primitive: disconnect });
  } else answer(work, id, status(epitaph?.code ?? 604));
}

/** Makes a refusal the answer. */
async function refusing<T extends Element | undefined>(
  context: ImpsContext,
  session: SessionRecord,
  name: string,
  run: () => Promise<T>,
): Promise<T | Element> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof CspRefusal)) throw error;
    context.trail.record({
      code: `imps.refused-${error.status}`,
      outcome: 'refused',
      clause: `CSP ${name}`,
      subject: session.user,
      trace: session.id,
      detail: error.message,
    });
    return status(error.status, error.details);
  }
}

/** What a handler throws besides refusals becomes 500: the client must hear something, and the log has the reason. */
async function guarded<T extends Element | undefined>(
  context: ImpsContext,
  run: () => Promise<T>,
  failed = status(500),
): Promise<T | Element> {
  try {
    return await run();
  } catch (error) {
    context.log.error({ err: error }, 'an IMPS transaction failed');
    context.trail.record({ code: 'imps.failed', outcome: 'refused', clause: 'CSP status 500' });
    return failed;
  }
}

/**
 * Puts requests of the server that wait for the session into the answer. What cannot go there makes place for what
 * waits behind it, so that an answer is empty only when nothing waits.
 * @returns whether more waits
 */
async function carry(work: Work, session: SessionRecord, limit: number): Promise<boolean> {
  const { context, answers } = work;
  let backlogged = session;
  for (let room = limit; ;) {
    backlogged = await refill(context, backlogged);
    const ready = await context.outbox.ready(session.id, room + 1);
    let passed = 0;
    for (const waiting of ready.slice(0, room)) {
      const primitive = await sendable(context, session, waiting);
      if (primitive) answers.push({ mode: 'Request', id: waiting.id, primitive });
      else passed++;
    }
    if (passed === 0) return ready.length > room;
    room -= Math.min(room, ready.length) - passed;
  }
}

/** A waiting request as it goes out now; undefined when it does not, and then it waits for this session no more. */
async function sendable(
  context: ImpsContext,
  session: SessionRecord,
  waiting: Waiting,
): Promise<Element | undefined> {
  const { outbox } = context;
  const primitive = await render(context, session, waiting);
  if (primitive) {
    // what came before service negotiation is not held back: the client polled for it
    const goes = session.functions === undefined || agreedRequest(session, primitive.name);
    if (goes) {
      const sent = await outbox.sending(session.id, waiting, primitive.name === 'NewMessage');
      return sent ? primitive : undefined;
    }
    notAgreed(context, session, primitive);
  }
  if (waiting.messageId === undefined) await handBack(context, session, waiting);
  else if (primitive) await leaveMessage(context, session, waiting.messageId);
  await outbox.remove(session.id, waiting.id);
  return undefined;
}

/**
 * @param single the syntax carries one transaction a message, and no word that more waits: a client that answers one
 *   request is therefore given the next
 */
async function finish(work: Work, single: boolean): Promise<CspMessage | undefined> {
  const { context, message, session, answers } = work;
  let poll: boolean | undefined;
  if (session) {
    const { multiTransPerMessage = 1, multiTrans = Infinity } = session.capabilities ?? {};
    // a client that polls has a transaction free, and in one answer gets no more than it can have open
    const room = single ? 1 : Math.min(multiTrans, multiTransPerMessage - answers.length);
    const mayCarry = work.polled || (answers.length === 0 && (context.config.polling.piggyBack || single));
    if (mayCarry) poll = await carry(work, session, Math.max(1, room));
    else
      poll =
        (await context.outbox.ready(session.id, 1)).length > 0 ||
        (session.backlog !== undefined && takesMessages(session));
  }
  if (answers.length === 0 && poll && work.acknowledged !== undefined)
    answer(work, work.acknowledged, status(200));
  if (answers.length === 0) return undefined;
  return {
    version: message.version,
    sessionType: message.sessionType,
    sessionId: message.sessionId,
    transactions: answers,
    poll: poll ?? false,
    cir: session && message.version !== '1.1' ? context.endpoints.cirWorks(session) : undefined,
  };
}
