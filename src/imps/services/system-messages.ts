import { table } from '../../store/store.js';
import type { UserId } from '../address/wv-address.js';
import { child, childrenOf, element, numberOf, textOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { sameSecret } from '../access/digest.js';
import { keyOf, type SessionRecord } from '../state/records.js';
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

interface PendingRecord extends SystemMessage {
  /** Undefined until it is answered. */
  readonly chosen?: number | undefined;
}

const systemMessages = table<PendingRecord>('imps-system-messages');

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

/** Sends a system message to the sessions of a user; clients before 1.3 know none. @returns its ID */
export async function sendSystemMessage(
  context: ImpsContext,
  user: UserId,
  message: SystemMessage,
): Promise<string> {
  const id = context.ids.next();
  await context.store.update(systemMessages, keyOf(user, id), () => ({
    kind: 'put',
    value: message,
    result: undefined,
  }));
  for (const session of await context.sessions.ofUser(user)) {
    if (session.version === '1.3') await context.outbox.add(session.id, messageElement(id, message));
  }
  return id;
}

/** A new session gets the messages that still require an answer. */
export async function repeatSystemMessages(context: ImpsContext, session: SessionRecord): Promise<void> {
  if (session.version !== '1.3') return;
  const prefix = keyOf(session.user, '');
  for await (const { key, value } of context.store.scan(systemMessages, { prefix, limit: 20 })) {
    if (value.chosen !== undefined) continue;
    await context.outbox.add(session.id, messageElement(key.slice(prefix.length), value));
    if (!value.requiresResponse) await forget(context, key);
  }
}

const forget = (context: ImpsContext, key: string): Promise<void> =>
  context.store.update(systemMessages, key, () => ({ kind: 'remove', result: undefined }));

/** Takes the user's answers: 404 for a message that is none, 402 for an option or key that is not right. */
export const systemMessageUser: Handler = async (context, { session, primitive }) => {
  const answers = childrenOf(child(primitive, 'SystemMessageResponseList'), 'SystemMessageResponse');
  if (answers.length === 0) throw new CspRefusal(400, 'no SystemMessageResponse');
  const failures = new Failures();
  let done = 0;
  for (const answer of answers) {
    const id = textOf(answer, 'SystemMessageID')?.trim() ?? '';
    const key = keyOf(session.user, id);
    const message = await context.store.get(systemMessages, key);
    const problem = message ? judge(message, answer) : 404;
    if (problem !== undefined) {
      failures.add(problem, element('MessageID', id));
      continue;
    }
    done++;
    await forget(context, key);
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

function judge(message: SystemMessage, answer: Element): 402 | undefined {
  const chosen = numberOf(answer, 'ChosenOptionID');
  if (message.options.length > 0 && (chosen === undefined || chosen < 1 || chosen > message.options.length))
    return 402;
  const { verificationKey } = message;
  if (verificationKey === undefined) return undefined;
  return sameSecret(textOf(answer, 'VerificationKey')?.trim() ?? '', verificationKey) ? undefined : 402;
}
