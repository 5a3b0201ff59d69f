import type { Config } from '../config/schema.js';
import { ParleyError } from '../base/errors.js';
import type { MsrpEndpoint } from '../msrp/session/index.js';
import { MsrpRelay, type AuthRequest, type AuthVerdict, type RelayAuthority } from '../msrp/relay/index.js';
import type { Subscribers } from '../registrar/subscribers.js';
import { digestAlgorithm } from '../sip/auth/algorithm.js';
import { parseCredentials } from '../sip/auth/credentials.js';
import { DigestServer } from '../sip/auth/digest-server.js';
import { GuessLock } from '../sip/auth/guess-lock.js';
import { ServerNonces } from '../sip/auth/nonce.js';
import type { Disposers, Parts } from './parts.js';

const NONCE_LIFETIME_MS = 300_000;
/** Several users may sit behind one address. */
const SOURCE_TRIES = 20;

/**
 * The relay of RFC 4976 on an endpoint that listens.
 * @param disposers gets what stops it.
 * @throws ParleyError `msrp-listen-failed` when there is no listener with TLS, and none without it will do.
 */
export async function startMsrpRelay(
  config: Config,
  { clock, trail, keys, subscribers, endpoint }: Parts & { subscribers: Subscribers; endpoint: MsrpEndpoint },
  disposers: Disposers,
): Promise<MsrpRelay | undefined> {
  const { enabled, host, plain, algorithms, peers, ...limits } = config.msrp.relay;
  if (!enabled) return undefined;
  const secure = endpoint.listeners.some(({ kind }) => kind.secure);
  if (!secure && !plain)
    throw new ParleyError('msrp-listen-failed', 'msrp.relay needs a listener with TLS in msrp.alsoListen');
  const { maxFailures, failureWindow } = config.digest;
  const lock = { clock, limit: maxFailures, windowMs: failureWindow * 1000 };
  const digest = new DigestServer({
    realm: config.domain,
    nonces: new ServerNonces({
      clock,
      key: await keys.get('msrp-nonces'),
      lifetimeMs: NONCE_LIFETIME_MS,
    }),
    userLock: new GuessLock(lock),
    sourceLock: new GuessLock({ ...lock, limit: maxFailures * SOURCE_TRIES }),
    algorithms,
    qop: ['auth'],
    withoutQop: false,
  });
  const relay = new MsrpRelay({
    clock,
    trail,
    endpoint,
    authority: new DigestAuthority(digest, subscribers),
    place: secure ? { secure } : {},
    host,
    names: [config.domain],
    peers,
    plain,
    limits,
  });
  endpoint.use(relay);
  disposers.push(() => relay.close());
  return relay;
}

/** Subscribers with a password may use the relay (RFC 4976 §9.1). */
export class DigestAuthority implements RelayAuthority {
  readonly #digest: DigestServer;
  readonly #subscribers: Subscribers;

  constructor(digest: DigestServer, subscribers: Subscribers) {
    this.#digest = digest;
    this.#subscribers = subscribers;
  }

  async judge({ authorization, uri, source }: AuthRequest): Promise<AuthVerdict> {
    const credentials = authorization === undefined ? undefined : parseCredentials(authorization, uri);
    const subscriber = credentials && (await this.#subscribers.byUsername(credentials.username));
    const known = subscriber?.credentials.find(({ username }) => username === credentials?.username);
    const verdict = await this.#digest.judge(credentials, (hash) => known?.ha1[hash], {
      method: 'AUTH',
      uri,
      source,
    });
    switch (verdict.kind) {
      case 'accepted': {
        const { hash } = digestAlgorithm(verdict.credentials.algorithm)!;
        const info = this.#digest.authenticationInfo(verdict.credentials, known!.ha1[hash], {
          nextNonce: true,
        });
        return { kind: 'accepted', user: subscriber!.privateId, info };
      }
      case 'locked':
        return { kind: 'refused', status: 403, why: 'locked after too many wrong answers' };
      case 'challenge':
        return {
          kind: 'challenge',
          challenges: this.#digest.challenges(verdict),
          wrong: verdict.wrongPassword,
        };
    }
  }
}
