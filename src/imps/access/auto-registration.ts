import { domainOf, userPartOf, type UserId } from '../address/wv-address.js';
import { element, numberOf, textOf, type Element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import { unguessable } from '../state/ids.js';
import type { UserRecord } from '../state/records.js';
import { CspRefusal } from '../status.js';
import { sameSecret } from './digest.js';
import { digits } from './local-users.js';
import type { LoginRequest } from './login-request.js';

/** Whether the policy makes a user of one who is none (document 004 §6.2). */
export async function mayRegister(
  context: ImpsContext,
  user: UserId,
  request: LoginRequest,
): Promise<boolean> {
  const { policy, questions } = context.config.autoRegistration;
  if (policy === 'off' || domainOf(user) !== context.config.domain) return false;
  const { msisdn } = request.origin;
  if (policy === 'network' && msisdn === undefined) return false;
  // whose number it is has been registered (GEN-17), under that User-ID
  const owner = msisdn === undefined ? undefined : await context.ports.users.findByMsisdn(msisdn);
  if (owner && policy === 'network') return false;
  // a User-ID that is a number says whose it is
  const name = userPartOf(user);
  if (name.startsWith('+') && (msisdn === undefined || digits(msisdn) !== digits(name))) return false;
  if (await context.ports.router.claims(user, msisdn)) return false;
  if (request.version === '1.3') return true;
  // A client before 1.3 reads neither a User-ID nor a password in the answer, and cannot answer 203.
  return questions.length === 0 && request.password !== undefined && request.user === user;
}

/** Makes the user. Without questions it is active at once. */
export async function register(
  context: ImpsContext,
  user: UserId,
  password: string | undefined,
  request: LoginRequest,
): Promise<UserRecord> {
  const { makePassword, questions } = context.config.autoRegistration;
  const { msisdn } = request.origin;
  const record: UserRecord = {
    user,
    password: makePassword || password === undefined ? unguessable().slice(0, 16) : password,
    // a number is of one user: another one of the same telephone goes without
    msisdn: msisdn === undefined || (await context.ports.users.findByMsisdn(msisdn)) ? undefined : msisdn,
    state: questions.length > 0 ? 'confirming' : 'active',
    createdAt: context.clock.now(),
  };
  if (!(await context.ports.users.create(record))) throw new CspRefusal(409);
  context.trail.record({
    code: 'imps.user-registered',
    outcome: 'accepted',
    clause: 'document 004 §6.2',
    subject: user,
    trace: request.transactionId,
    detail: record.state,
  });
  return record;
}

/**
 * Which questions are still open after these answers, and whether one was answered with a refusal.
 * @param answered ids of those that were answered before: a client answers what it is asked, and that is what is open.
 */
export function judgeAnswers(
  context: ImpsContext,
  answers: readonly Element[],
  answered: readonly string[] = [],
): { readonly open: readonly Question[]; readonly refused: boolean } {
  const open: Question[] = [];
  let refused = false;
  for (const question of context.config.autoRegistration.questions) {
    const answer = answers.find((candidate) => textOf(candidate, 'SystemMessageID')?.trim() === question.id);
    const chosen = numberOf(answer, 'ChosenOptionID');
    const key = textOf(answer, 'VerificationKey')?.trim() ?? '';
    if (!answer || chosen === undefined) {
      if (!answered.includes(question.id)) open.push(question);
    } else if (chosen !== 1) refused = true;
    else if (question.key !== undefined && !sameSecret(key, question.key)) open.push(question);
  }
  return { open, refused };
}

export type Question = ImpsContext['config']['autoRegistration']['questions'][number];

/** The questions as system messages, each with its options numbered from 1. */
export const questionList = (questions: readonly Question[]): Element =>
  element(
    'SystemMessageList',
    questions.map((question) =>
      element(
        'SystemMessage',
        element('SystemMessageID', question.id),
        element('RequiresResponse', true),
        element('SystemMessageText', question.text),
        element(
          'AnswerOptions',
          question.options.map((text, index) =>
            element('AnswerOption', element('AnswerOptionID', index + 1), element('AnswerOptionText', text)),
          ),
        ),
        question.key === undefined
          ? undefined
          : element('VerificationMechanism', element('InText', question.key)),
      ),
    ),
  );

/** Tells that the service is ready. */
export const welcomeList = (text: string): Element =>
  element(
    'SystemMessageList',
    element(
      'SystemMessage',
      element('SystemMessageID', 'welcome'),
      element('RequiresResponse', false),
      element('SystemMessageText', text),
    ),
  );
