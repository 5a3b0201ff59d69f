import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Config } from '../config/schema.js';
import { AkaAuthenticator } from '../registrar/aka-authenticator.js';
import { openAuthenticator, type Authenticator } from '../registrar/authenticator.js';
import { DigestAuthenticator } from '../registrar/digest-authenticator.js';
import { ImsAuthenticator } from '../registrar/ims-authenticator.js';
import { StoredNonceUses } from '../registrar/nonce-uses.js';
import { registrations } from '../registrar/registration.js';
import type { Subscribers } from '../registrar/subscribers.js';
import { AkaServer } from '../sip/auth/aka-server.js';
import { DigestServer } from '../sip/auth/digest-server.js';
import { GuessLock } from '../sip/auth/guess-lock.js';
import { ServerNonces } from '../sip/auth/nonce.js';
import type { Store } from '../store/store.js';
import type { Disposers } from './parts.js';

const NONCE_LIFETIME_MS = 300_000;
/** Several users may sit behind one address. */
const SOURCE_TRIES = 20;

interface AuthenticationParts {
  readonly clock: Clock;
  readonly store: Store;
  readonly trail: Trail;
  readonly log: Logger;
  readonly subscribers: Subscribers;
  /** The same on all nodes. */
  readonly nonceKey: Uint8Array;
  /** Whether other nodes use the same store. */
  readonly shared: boolean;
}

/** Who is believed, as the configuration says. */
export function makeAuthenticator(
  config: Config,
  parts: AuthenticationParts,
  disposers: Disposers,
): Authenticator {
  if (config.auth === 'none') return openAuthenticator;
  const { clock, store, trail, subscribers, nonceKey, shared } = parts;
  const uses = shared ? new StoredNonceUses(parts) : undefined;
  if (uses) disposers.push(() => uses.close());
  const { algorithms, qop, maxFailures, failureWindow } = config.digest;
  const realm = config.domain;
  const lock = { clock, limit: maxFailures, windowMs: failureWindow * 1000 };
  const digest = new DigestServer({
    realm,
    nonces: new ServerNonces({ clock, key: nonceKey, lifetimeMs: NONCE_LIFETIME_MS, uses }),
    // drachtio-server gives requests to its applications in turn
    anywhere: config.sip.stack !== 'embedded',
    userLock: new GuessLock(lock),
    sourceLock: new GuessLock({ ...lock, limit: maxFailures * SOURCE_TRIES }),
    algorithms,
    qop,
  });
  const userLock = new GuessLock(lock);
  const aka = new AkaAuthenticator({
    server: new AkaServer({ clock, realm, userLock, reuseMs: config.aka.nonceReuse * 1000 }),
    userLock,
    usims: subscribers.usims,
    algorithms: config.aka.algorithms,
    trail,
  });
  return new ImsAuthenticator({
    digest: new DigestAuthenticator({ digest, trail }),
    aka,
    subscribers,
    realm,
    trusted: new Set(config.sip.trusted),
    isRegistered: async (aor, privateId) => {
      const row = await subscribers.identity(aor);
      const found = row?.set[0] === undefined ? undefined : await store.get(registrations, row.set[0]);
      return (
        found?.bindings.some(
          (binding) => binding.privateId === privateId && binding.expiresAt > clock.now(),
        ) === true
      );
    },
    trail,
  });
}
