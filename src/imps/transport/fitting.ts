import type { CspMessage, Transaction } from '../codec/envelope.js';
import type { ImpsContext } from '../context.js';
import { announcement } from '../delivery/render.js';
import { handBack } from '../delivery/user-requests.js';
import type { SessionRecord } from '../state/records.js';
import { status } from '../status.js';

/** An answer that is too large, and what it has to fit into. */
export interface Oversized {
  readonly context: ImpsContext;
  readonly session: SessionRecord | undefined;
  readonly reply: CspMessage;
  /** Transaction-ID of the client's Polling-Request, if there was one. */
  readonly polling: string | undefined;
  /** Octets of the whole answer. */
  readonly size: number;
  /** Octets of an answer with these transactions. */
  readonly lengthOf: (transactions: readonly Transaction[]) => number;
}

/**
 * Makes an answer fit into what its client can parse (ParserSize) or its transport can carry. Answers that are too large
 * become status 432, the largest first; requests of the server that have no place beside them come with the next poll, a
 * message that has none for itself is announced, and what could never be parsed is not sent.
 * @returns undefined when nothing is left to send
 */
export async function fit(answer: Oversized): Promise<CspMessage | undefined> {
  const { reply, polling } = answer;
  const transactions = responses(answer);
  let held = false;
  for (const request of reply.transactions.filter(({ mode }) => mode === 'Request')) {
    const smaller = held ? undefined : await smallerRequest(answer, request);
    if (smaller === 'never') continue;
    if (smaller && answer.lengthOf([...transactions, smaller]) <= answer.size) transactions.push(smaller);
    else {
      held = true;
      if (answer.session) answer.context.outbox.held(answer.session.id, request.id);
    }
  }
  if (transactions.length === 0) {
    if (polling === undefined) return undefined;
    transactions.push({ mode: 'Response', id: polling, primitive: status(432) });
  }
  return { ...reply, transactions, poll: reply.poll || held };
}

/** The answers to the client's requests: every one, whatever it says. */
function responses({ context, session, reply, size, lengthOf }: Oversized): Transaction[] {
  const all = reply.transactions.filter(({ mode }) => mode === 'Response');
  const bySize = all
    .map((transaction, index) => ({ index, length: lengthOf([transaction]) }))
    .sort((a, b) => b.length - a.length);
  for (const { index, length } of bySize) {
    if (length <= size && lengthOf(all) <= size) break;
    note(context, session, all[index]!);
    all[index] = { ...all[index]!, primitive: status(432) };
  }
  return all;
}

/** A request of the server as it fits by itself; `never` when it does not, and then it is taken away. */
async function smallerRequest(
  { context, session, size, lengthOf }: Oversized,
  request: Transaction,
): Promise<Transaction | 'never'> {
  if (lengthOf([request]) <= size) return request;
  note(context, session, request);
  if (!session) return 'never';
  if (request.primitive?.name === 'NewMessage') {
    const message = await context.mailbox.get(session.user, request.id);
    const announced = message && { ...request, primitive: announcement(context, session, message) };
    if (announced && lengthOf([announced]) <= size) {
      await context.outbox.announced(session.id, request.id, true);
      return announced;
    }
  }
  const waiting = await context.outbox.remove(session.id, request.id);
  if (waiting) await handBack(context, session, { ...waiting, id: request.id });
  return 'never';
}

const note = (
  { trail }: ImpsContext,
  session: SessionRecord | undefined,
  { id, primitive }: Transaction,
): void =>
  trail.record({
    code: 'imps.over-parser-size',
    outcome: 'refused',
    clause: 'CSP ParserSize, status 432',
    subject: session?.user,
    trace: id,
    detail: primitive?.name,
  });
