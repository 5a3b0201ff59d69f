import { clientIdElement, clientKey, readClientId } from '../address/client-id.js';
import { element, type Element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import { afterServices, endSession, sessionStarted } from '../lifecycle.js';
import { unguessable } from '../state/ids.js';
import type { SessionRecord, UserRecord } from '../state/records.js';
import { CspRefusal, result, type StatusCode } from '../status.js';
import { authenticate } from './authentication.js';
import { judgeAnswers, questionList, register, welcomeList, type Question } from './auto-registration.js';
import { keptNumber, rememberClient, settle } from './capabilities.js';
import { functionsTree, negotiateFunctions } from './functions.js';
import { claimedNumber } from './telephone.js';
import { readLogin, type LoginArrival, type LoginRequest } from './login-request.js';

/** What a Login-Response says besides the ClientID. */
interface LoginAnswer {
  readonly code: StatusCode;
  /** What follows in Result: system messages, TryAgainTimeout. */
  readonly inResult?: readonly (Element | undefined)[];
  /** Only after auto-registration: the client must store both. */
  readonly registered?: UserRecord | undefined;
  readonly nonce?: { readonly nonce: string; readonly schema: string };
  /** Only on success. */
  readonly session?: SessionRecord;
  readonly shortLogin?: readonly Element[];
}

/** A refusal that tells the client when to try again. */
class LoginPutOff extends CspRefusal {
  readonly seconds: number;
  constructor(code: StatusCode, detail: string, seconds: number) {
    super(code, detail);
    this.seconds = seconds;
  }
}

/** Commits the answer to a login that starts a session. */
export type KeepAnswer = (answer: Element) => Promise<void>;

/** The Login-Response to a Login-Request that is not looked at further. */
export function refusedLogin(primitive: Element, code: StatusCode): Element {
  const client = readClientId(primitive);
  return element('Login-Response', client && clientIdElement(client), result(code));
}

/**
 * Answers a Login-Request with a Login-Response, whatever comes of it (document 004 §6.1).
 * @param keep is called with the answer before a session is there
 */
export async function login(context: ImpsContext, arrival: LoginArrival, keep: KeepAnswer): Promise<Element> {
  let request: LoginRequest;
  try {
    request = readLogin(arrival, context.config.domain);
  } catch (error) {
    if (!(error instanceof CspRefusal)) throw error;
    note(context, undefined, arrival, error.status, error.message);
    return refusedLogin(arrival.primitive, error.status);
  }
  try {
    const answer = await attempt(context, request, keep);
    note(context, request, arrival, answer.code, answer.session?.id);
    return response(request, answer);
  } catch (error) {
    if (!(error instanceof CspRefusal)) throw error;
    note(context, request, arrival, error.status, error.message);
    const wait = error instanceof LoginPutOff && request.version === '1.3' ? error.seconds : undefined;
    return response(request, {
      code: error.status,
      inResult: [wait === undefined ? undefined : element('TryAgainTimeout', wait)],
    });
  }
}

async function attempt(context: ImpsContext, request: LoginRequest, keep: KeepAnswer): Promise<LoginAnswer> {
  if (context.draining()) throw new CspRefusal(503);
  const outcome = await authenticate(context, request);
  if (outcome.kind === 'challenge') return { code: 401, nonce: outcome };
  let record: UserRecord;
  let registered: UserRecord | undefined;
  if (outcome.kind === 'new')
    registered = record = await register(context, outcome.user, outcome.password, request);
  else record = outcome.record;
  if (record.state === 'barred') throw new CspRefusal(403);
  if (record.state === 'confirming') {
    // a client before 1.3 knows neither 203 nor system messages
    if (request.version !== '1.3') throw new CspRefusal(531, 'the registration is not confirmed');
    const open = await confirm(context, record, request);
    if (open.length > 0) return { code: 203, registered: record, inResult: [questionList(open)] };
    registered = record;
  }
  const { welcome } = context.config.autoRegistration;
  const inResult = [registered && request.version === '1.3' ? welcomeList(welcome) : undefined];
  const success = { code: 200, registered, inResult } as const;
  if (request.sessionId !== undefined) {
    return { ...success, ...(await reestablish(context, record, request, request.sessionId)) };
  }
  return start(context, record, request, success, keep);
}

/** Answers of the open questions of an auto-registration. @returns the questions that remain */
async function confirm(
  context: ImpsContext,
  record: UserRecord,
  request: LoginRequest,
): Promise<readonly Question[]> {
  const { open, refused } = judgeAnswers(context, request.answers, record.answered);
  if (refused) {
    await context.ports.users.remove(record.user);
    throw new CspRefusal(403, 'registration declined');
  }
  const answered = context.config.autoRegistration.questions
    .filter((question) => !open.includes(question))
    .map(({ id }) => id);
  // a login that answers nothing new is no write
  if (open.length === 0 || answered.length > (record.answered?.length ?? 0))
    await context.ports.users.change(record.user, (current) =>
      open.length === 0 ? { ...current, state: 'active', answered: undefined } : { ...current, answered },
    );
  return open;
}

/**
 * Gives a client its session back: same Session-ID, what was agreed and what waits stays (document 004, 422). A short
 * login of 1.3 agrees on services and capabilities anew.
 */
async function reestablish(
  context: ImpsContext,
  record: UserRecord,
  request: LoginRequest,
  id: string,
): Promise<Pick<LoginAnswer, 'session' | 'shortLogin'>> {
  const session = await context.sessions.find(id);
  if (!session) throw new CspRefusal(502);
  const same =
    session.user === record.user &&
    clientKey(session.client) === clientKey(request.client) &&
    session.applicationId === request.applicationId;
  if (!same) throw new CspRefusal(422);
  const agreed = agreeInLogin(context, session, request);
  const changed = await context.sessions.change(id, (current) => ({
    ...current,
    version: request.version,
    client: request.client,
    cookie: request.cookie,
    keepAliveSeconds: keepAlive(context, request.timeToLive),
    remoteAddress: request.origin.remoteAddress,
    msisdn:
      numberFrom(request) ??
      // a number that was only claimed gives way to a newer claim
      (current.msisdn === claimedNumber(current.client) ? claimedNumber(request.client) : undefined) ??
      current.msisdn,
    imei: request.origin.imei ?? current.imei,
    seenAt: context.clock.now(),
    ...(request.functions && { functions: agreed.session.functions }),
    ...(request.capabilities && {
      capabilities: agreed.session.capabilities,
      priority: agreed.session.priority,
    }),
  }));
  if (!changed) throw new CspRefusal(502);
  await context.sessions.touch(changed);
  if (request.capabilities) await rememberClient(context, changed);
  if (request.functions) await afterServices(context, id);
  else context.ports.observer.sessionChanged(changed);
  return { session: changed, shortLogin: agreed.answer };
}

/** What a session becomes by the Functions and the CapabilityList of a login of 1.3, and what the login is answered to them. */
function agreeInLogin(
  context: ImpsContext,
  session: SessionRecord,
  { functions, capabilities, version }: LoginRequest,
): { readonly session: SessionRecord; readonly answer: readonly Element[] } {
  const services = functions && negotiateFunctions(functions, version);
  if (services && services.granted.length === 0) throw new CspRefusal(606);
  const served = services ? { ...session, functions: services.granted } : session;
  const agreed = capabilities && settle(context, served, capabilities);
  const refused = services && services.refused.size > 0 ? services.refused : undefined;
  return {
    session: agreed?.session ?? served,
    answer: [
      ...(refused ? [element('Functions', functionsTree(refused, version))] : []),
      ...(agreed ? [agreed.list] : []),
    ],
  };
}

/** What the network says of the number; a client may claim another in its Client-ID. */
const numberFrom = ({ origin }: LoginRequest): string | undefined => origin.msisdn ?? origin.number;

/** Seconds granted for what was asked; an absent Time-To-Live asks for an infinite time. */
export function keepAlive(context: ImpsContext, timeToLive: number | undefined): number {
  const { min, max } = context.config.keepAlive;
  return Math.min(Math.max(timeToLive ?? max, min), max);
}

/** Starts a new session; GEN-13 to GEN-16 decide. It ends no other session. */
async function start(
  context: ImpsContext,
  record: UserRecord,
  request: LoginRequest,
  success: LoginAnswer,
  keep: KeepAnswer,
): Promise<LoginAnswer> {
  const now = context.clock.now();
  const blank: SessionRecord = {
    id: unguessable(),
    user: record.user,
    client: request.client,
    applicationId: request.applicationId,
    version: request.version,
    cookie: request.cookie,
    pollCookie: unguessable(),
    keepAliveSeconds: keepAlive(context, request.timeToLive),
    startedAt: now,
    seenAt: now,
    priority: 0,
    imPriority: 0,
    notifications: [],
    remoteAddress: request.origin.remoteAddress,
    imei: request.origin.imei,
    msisdn:
      numberFrom(request) ??
      claimedNumber(request.client) ??
      (await keptNumber(context, record.user, request.client, request.applicationId)),
  };
  const { session, answer: shortLogin } = agreeInLogin(context, blank, request);
  const answer = { ...success, session, shortLogin };
  await claimPlace(context, session);
  await Promise.all([context.sessions.start(session), keep(response(request, answer))]);
  const [current] = await Promise.all([
    context.ports.users.find(record.user),
    rememberClient(context, session),
  ]);
  // who was barred meanwhile may have been before there was a session to end
  if (current?.state !== 'active') {
    await context.sessions.end(session, undefined);
    throw new CspRefusal(current ? 403 : 531);
  }
  await sessionStarted(context, session);
  return answer;
}

async function claimPlace(context: ImpsContext, session: SessionRecord): Promise<void> {
  const { sessionsPerUser, replaceSilentAfter } = context.config.login;
  const living = await context.sessions.ofUser(session.user);
  const ids = living.map(({ id }) => id);
  const key = clientKey(session.client);
  const claim = await context.sessions.claim(session, key, ids, sessionsPerUser);
  if (claim.kind === 'granted') return;
  if (claim.kind === 'limit') {
    const first = Math.min(...living.map((other) => context.sessions.expiresAt(other)));
    const seconds = Math.max(1, Math.ceil((first - context.clock.now()) / 1000));
    throw new LoginPutOff(403, `${sessionsPerUser} sessions`, seconds);
  }
  const twin = living.find(({ id }) => id === claim.session);
  const silent = twin ? context.clock.now() - context.sessions.seenAt(twin) : 0;
  if (!twin || replaceSilentAfter === 0 || silent < replaceSilentAfter * 1000) throw new CspRefusal(603);
  await endSession(context, twin, 601);
  const again = await context.sessions.claim(
    session,
    key,
    ids.filter((id) => id !== twin.id),
    sessionsPerUser,
  );
  if (again.kind !== 'granted') throw new CspRefusal(603);
}

function response(request: LoginRequest, answer: LoginAnswer): Element {
  const { code, inResult, registered, nonce, session, shortLogin } = answer;
  const tells = registered !== undefined && request.version === '1.3';
  const passwordIsNews = registered !== undefined && registered.password !== request.password;
  return element(
    'Login-Response',
    tells ? element('UserID', registered.user) : undefined,
    clientIdElement(request.client),
    tells && passwordIsNews ? element('Password', registered.password) : undefined,
    result(code, [], inResult),
    nonce ? [element('Nonce', nonce.nonce), element('DigestSchema', nonce.schema)] : undefined,
    session
      ? [
          element('SessionID', session.id),
          element('KeepAliveTime', session.keepAliveSeconds),
          element('CapabilityRequest', session.capabilities === undefined),
        ]
      : undefined,
    shortLogin,
  );
}

function note(
  context: ImpsContext,
  request: LoginRequest | undefined,
  arrival: LoginArrival,
  code: StatusCode,
  detail: string | undefined,
): void {
  context.trail.record({
    code: `imps.login-${code}`,
    outcome: code === 200 ? 'accepted' : code === 401 || code === 203 ? 'noted' : 'refused',
    clause: 'document 004 §6.1.2',
    subject: request?.user,
    trace: arrival.transactionId,
    detail,
  });
}
