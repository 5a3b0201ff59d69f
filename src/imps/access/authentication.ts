import { clientKey } from '../address/client-id.js';
import type { UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';
import { challenges, keyOf, type ChallengeRecord, type UserRecord } from '../state/records.js';
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
  const outcome = await context.guesses.limit(user, request.origin.remoteAddress, () =>
    bySecret(context, user, request),
  );
  if (outcome === 'wrong') throw new CspRefusal(409);
  if (outcome === 'too-many') throw tooMany(context, user, request);
  return outcome;
}

async function bySecret(
  context: ImpsContext,
  user: UserId,
  request: LoginRequest,
): Promise<Authentication | 'wrong'> {
  const asserted = request.origin.msisdn;
  const record = await context.ports.users.find(user);
  if (!record && !(await mayRegister(context, user, request))) throw new CspRefusal(531);
  if (!record && asserted !== undefined) return { kind: 'new', user, password: request.password };

  if (request.password !== undefined && !context.config.login.requireDigest) {
    if (!record) return { kind: 'new', user, password: request.password };
    if (!sameSecret(request.password, record.password)) return 'wrong';
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
  const fresh = unguessable();
  const now = context.clock.now();
  const expiresAt = now + challengeLifetime * 1000;
  // a first round that is repeated is answered the same: its nonce is still to be used
  const nonce = await context.store.update(challenges, challengeKey(user, request), (current) =>
    current && current.schema === schema && current.expiresAt > now
      ? { kind: 'keep', result: current.nonce }
      : {
          kind: 'put',
          value: { nonce: fresh, schema, expiresAt },
          deadline: expiresAt,
          result: fresh,
        },
  );
  return { kind: 'challenge', nonce, schema };
}

const strayKey = (user: UserId, { client, applicationId }: LoginRequest): string =>
  keyOf('stray', user, clientKey(client), applicationId);

/** A digest for no nonce that is known gets a fresh one, once: a client that takes every 401 for a challenge would ask without end. */
async function strayDigest(
  context: ImpsContext,
  user: UserId,
  request: LoginRequest,
): Promise<Authentication | 'wrong'> {
  const now = context.clock.now();
  const expiresAt = now + context.config.login.challengeLifetime * 1000;
  const again = await context.store.update<ChallengeRecord, boolean>(
    challenges,
    strayKey(user, request),
    (current) =>
      current && current.expiresAt > now
        ? { kind: 'keep', result: true }
        : { kind: 'put', value: { nonce: '', schema: '', expiresAt }, deadline: expiresAt, result: false },
  );
  return again ? 'wrong' : challenge(context, user, request);
}

/** A nonce is used up by the first digest, right or wrong. */
async function checkDigest(
  context: ImpsContext,
  user: UserId,
  record: UserRecord | undefined,
  request: LoginRequest,
): Promise<Authentication | 'wrong'> {
  const given = await context.store.update(challenges, challengeKey(user, request), (current) =>
    current ? { kind: 'remove', result: current } : { kind: 'keep', result: undefined },
  );
  if (!given || given.expiresAt <= context.clock.now()) return strayDigest(context, user, request);
  // whoever registers by digest has no password here yet, so there is nothing to compare with
  if (!record) return { kind: 'new', user, password: undefined };
  const { schema, nonce } = given;
  if (!digestMatches(schema as DigestSchema, nonce, record.password, request.digest ?? '')) return 'wrong';
  await context.store.update(challenges, strayKey(user, request), (current) =>
    current ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
  );
  return { kind: 'known', record };
}

function tooMany(context: ImpsContext, user: UserId, request: LoginRequest): CspRefusal {
  context.trail.record({
    code: 'imps.login-guessing',
    outcome: 'refused',
    clause: 'document 004 §6.1.2',
    subject: user,
    trace: request.transactionId,
  });
  return new CspRefusal(503, 'too many failed logins');
}
