import { clientKey } from '../address/client-id.js';
import { userPartOf, type UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';
import { attempts, challenges, keyOf, type UserRecord } from '../state/records.js';
import { unguessable } from '../state/ids.js';
import { CspRefusal } from '../status.js';
import { mayRegister } from './auto-registration.js';
import { digestMatches, sameSecret, type DigestSchema } from './digest.js';
import { digits } from './local-users.js';
import type { LoginRequest } from './login-request.js';

/** What authentication comes to. */
export type Authentication =
  | { readonly kind: 'known'; readonly record: UserRecord }
  /** Nobody of that name, but the policy lets the one who asks become a user. */
  | { readonly kind: 'new'; readonly user: UserId; readonly password: string | undefined }
  | { readonly kind: 'challenge'; readonly nonce: string; readonly schema: DigestSchema };

/**
 * Authenticates a login: by the network's assertion of the telephone number, by the password (2-way), or by the
 * digest over a nonce (4-way); document 004 §6.1.1.
 * @throws CspRefusal 409, 503, 531 or 543
 */
export async function authenticate(context: ImpsContext, request: LoginRequest): Promise<Authentication> {
  const asserted = request.origin.msisdn;
  if (asserted !== undefined) {
    const record = await context.ports.users.findByMsisdn(asserted);
    if (record && (request.user === undefined || request.user === record.user))
      return { kind: 'known', record };
  }
  const user = request.user ?? assertedUser(context, asserted);
  if (user === undefined) throw new CspRefusal(531);
  await checkGuessing(context, user, request);
  const record = await context.ports.users.find(user);
  if (!record && !mayRegister(context, user, request)) throw new CspRefusal(531);
  if (!record && asserted !== undefined) return { kind: 'new', user, password: request.password };

  if (request.password !== undefined && !context.config.login.requireDigest) {
    if (!record) return { kind: 'new', user, password: request.password };
    if (!sameSecret(request.password, record.password)) throw await wrongSecret(context, user, request);
    return { kind: 'known', record };
  }
  if (request.digest !== undefined) return checkDigest(context, user, record, request);
  if (request.schemas?.length === 0) throw new CspRefusal(543);
  return challenge(context, user, request);
}

/** A phone that logs in without a User-ID is the user of the number that the network asserts. */
const assertedUser = (context: ImpsContext, msisdn: string | undefined): UserId | undefined =>
  msisdn === undefined ? undefined : (`wv:+${digits(msisdn)}@${context.config.domain}` as UserId);

/** The pair of rounds has one Transaction-ID (document 004), so it belongs to what a nonce was given to. */
const challengeKey = (user: UserId, request: LoginRequest): string =>
  keyOf(user, clientKey(request.client), request.applicationId, request.transactionId);

async function challenge(context: ImpsContext, user: UserId, request: LoginRequest): Promise<Authentication> {
  const { schemas: preferred, challengeLifetime } = context.config.login;
  const schema = preferred.find((candidate) => request.schemas?.includes(candidate) ?? true);
  if (schema === undefined) throw new CspRefusal(543);
  const nonce = unguessable();
  const expiresAt = context.clock.now() + challengeLifetime * 1000;
  await context.store.update(challenges, challengeKey(user, request), () => ({
    kind: 'put',
    value: { nonce, schema, expiresAt },
    deadline: expiresAt,
    result: undefined,
  }));
  return { kind: 'challenge', nonce, schema };
}

/** A nonce is used up by the first digest, right or wrong; a digest for none that is known gets a fresh one. */
async function checkDigest(
  context: ImpsContext,
  user: UserId,
  record: UserRecord | undefined,
  request: LoginRequest,
): Promise<Authentication> {
  const given = await context.store.update(challenges, challengeKey(user, request), (current) =>
    current ? { kind: 'remove', result: current } : { kind: 'keep', result: undefined },
  );
  if (!given || given.expiresAt <= context.clock.now()) return challenge(context, user, request);
  // whoever registers by digest has no password here yet, so there is nothing to compare with
  if (!record) return { kind: 'new', user, password: undefined };
  const matches = digestMatches(
    given.schema as DigestSchema,
    given.nonce,
    record.password,
    request.digest ?? '',
  );
  if (!matches) throw await wrongSecret(context, user, request);
  return { kind: 'known', record };
}

/** Failures are counted by user and address, so that one who guesses does not lock the user out elsewhere. */
const attemptsKey = (user: UserId, request: LoginRequest): string =>
  keyOf(user, request.origin.remoteAddress);

async function checkGuessing(context: ImpsContext, user: UserId, request: LoginRequest): Promise<void> {
  const { failureLimit, failureWindow } = context.config.login;
  const known = await context.store.get(attempts, attemptsKey(user, request));
  if (!known || known.failures < failureLimit) return;
  if (context.clock.now() >= known.since + failureWindow * 1000) return;
  context.trail.record({
    code: 'imps.login-guessing',
    outcome: 'refused',
    clause: 'document 004 §6.1.2',
    subject: user,
    trace: request.transactionId,
    detail: `${known.failures} failures`,
  });
  throw new CspRefusal(503, 'too many failed logins');
}

async function wrongSecret(context: ImpsContext, user: UserId, request: LoginRequest): Promise<CspRefusal> {
  const now = context.clock.now();
  const window = context.config.login.failureWindow * 1000;
  await context.store.update(attempts, attemptsKey(user, request), (current) => {
    const value = current && now < current.since + window ? current : { failures: 0, since: now };
    return {
      kind: 'put',
      value: { failures: value.failures + 1, since: value.since },
      deadline: value.since + window,
      result: undefined,
    };
  });
  return new CspRefusal(409);
}

/** A user's telephone number when the User-ID is one. */
export const msisdnOf = (user: UserId): string | undefined =>
  userPartOf(user).startsWith('+') ? userPartOf(user) : undefined;
