import { table } from '../../store/store.js';
import type { UserId } from '../address/wv-address.js';
import { child, childrenOf, element, numberOf, textOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { sameSecret } from '../access/digest.js';
import { keyOf, lastPart, type SessionRecord } from '../state/records.js';
import { CspRefusal, Failures, codeFor, status } from '../status.js';

/** A message of the operator to a user. */
export interface SystemMessage {
  readonly text: string;
  /** Texts of the answers, numbered from 1. */
  readonly options: readonly string[];
  readonly requiresResponse: boolean;
  /** What the user must give back to show that somebody read the text. */
  readonly verificationKey?: string | undefined;
}

/** A system message as it was sent, and what became of it. */
export interface SentSystemMessage extends SystemMessage {
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  /** Undefined until it is answered. */
  readonly answeredAt?: number | undefined;
  /** The option that the user chose; undefined where there was none to choose. */
  readonly chosen?: number | undefined;
}

export const systemMessages = table<SentSystemMessage>('imps-system-messages');

/** How long a message is asked again at logins, and its answer kept. */
const KEEP_MS = 30 * 86_400_000;
/** Messages of one user that are looked at, and those that a new session is asked. */
const LOOK = 1000;
const ASKED = 20;

const messageElement = (id: string, message: SystemMessage): Element =>
  element(
    'SystemMessage-Request',
    element(
      'SystemMessageList',
      element(
        'SystemMessage',
        element('SystemMessageID', id),
        element('RequiresResponse', message.requiresResponse),
        element('SystemMessageText', message.text),
        message.options.length === 0
          ? undefined
          : element(
              'AnswerOptions',
              message.options.map((text, index) =>
                element(
                  'AnswerOption',
                  element('AnswerOptionID', index + 1),
                  element('AnswerOptionText', text),
                ),
              ),
            ),
        message.verificationKey === undefined
          ? undefined
          : element('VerificationMechanism', element('InText', message.verificationKey)),
      ),
    ),
  );

/** Sends a system message to the sessions of a user, now and at logins; clients before 1.3 know none. @returns its ID */
export async function sendSystemMessage(
  context: ImpsContext,
  user: UserId,
  message: SystemMessage,
): Promise<string> {
  const id = context.ids.next();
  const sentAt = context.clock.now();
  await context.store.update(systemMessages, keyOf(user, id), () => ({
    kind: 'put',
    value: { ...message, sentAt },
    deadline: sentAt + KEEP_MS,
    result: undefined,
  }));
  for (const session of await context.sessions.ofUser(user)) {
    if (session.version === '1.3') await context.outbox.take(session.id, id, messageElement(id, message));
  }
  return id;
}

/** System messages of a user that wait for an answer or were answered lately, oldest first. */
export async function* systemMessagesOf(
  context: ImpsContext,
  user: UserId,
): AsyncIterable<SentSystemMessage & { readonly id: string }> {
  for await (const { key, value } of context.store.scan(systemMessages, {
    prefix: keyOf(user, ''),
    limit: LOOK,
  }))
    yield { ...value, id: lastPart(key) };
}

/** A new session gets the messages that were not answered. */
export async function repeatSystemMessages(context: ImpsContext, session: SessionRecord): Promise<void> {
  if (session.version !== '1.3') return;
  let asked = 0;
  for await (const { id, ...message } of systemMessagesOf(context, session.user)) {
    if (message.answeredAt !== undefined) continue;
    // under its own ID, so that a session which has it already does not get it twice
    await context.outbox.take(session.id, id, messageElement(id, message));
    if (++asked >= ASKED) return;
  }
}

/** A client has shown a message: one that wants no answer is done, and no other session gets it. */
export const shown = (context: ImpsContext, user: UserId, id: string): Promise<void> =>
  context.store.update(systemMessages, keyOf(user, id), (current) =>
    current && !current.requiresResponse
      ? { kind: 'remove', result: undefined }
      : { kind: 'keep', result: undefined },
  );

/** Takes the user's answers: 404 for a message that is none, 402 for an option or key that is not right. */
export const systemMessageUser: Handler = async (context, { session, primitive }) => {
  const answers = childrenOf(child(primitive, 'SystemMessageResponseList'), 'SystemMessageResponse');
  if (answers.length === 0) throw new CspRefusal(400, 'no SystemMessageResponse');
  const failures = new Failures();
  let done = 0;
  for (const answer of answers) {
    const id = textOf(answer, 'SystemMessageID')?.trim() ?? '';
    const key = keyOf(session.user, id);
    const problem = await settle(context, key, answer);
    if (problem !== undefined) {
      failures.add(problem, element('MessageID', id));
      continue;
    }
    done++;
    context.trail.record({
      code: 'imps.system-message-answered',
      outcome: 'accepted',
      clause: 'CSP SystemMessage-User',
      subject: session.user,
      trace: id,
      detail: `option ${numberOf(answer, 'ChosenOptionID') ?? 'none'}`,
    });
  }
  const details = failures.details();
  if (done === 0 && details.length === 1) throw new CspRefusal(details[0]!.code);
  return status(codeFor(done, details), details);
};

/** Keeps an answer. @returns why it is none; an answer is given once */
function settle(context: ImpsContext, key: string, answer: Element): Promise<402 | 404 | undefined> {
  const now = context.clock.now();
  return context.store.update<SentSystemMessage, 402 | 404 | undefined>(systemMessages, key, (current) => {
    if (!current || current.answeredAt !== undefined) return { kind: 'keep', result: 404 };
    const problem = judge(current, answer);
    if (problem !== undefined) return { kind: 'keep', result: problem };
    const chosen = current.options.length > 0 ? numberOf(answer, 'ChosenOptionID') : undefined;
    const value = { ...current, answeredAt: now, chosen };
    return { kind: 'put', value, deadline: now + KEEP_MS, result: undefined };
  });
}

function judge(message: SystemMessage, answer: Element): 402 | undefined {
  const chosen = numberOf(answer, 'ChosenOptionID');
  if (message.options.length > 0 && (chosen === undefined || chosen < 1 || chosen > message.options.length))
    return 402;
  const { verificationKey } = message;
  if (verificationKey === undefined) return undefined;
  return sameSecret(textOf(answer, 'VerificationKey')?.trim() ?? '', verificationKey) ? undefined : 402;
}
