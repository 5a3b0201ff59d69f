import type { Clock } from '../base/clock.js';
import type { Trail } from '../base/trail.js';
import type { Config } from '../config/schema.js';
import { AkaAuthenticator } from '../registrar/aka-authenticator.js';
import { openAuthenticator, type Authenticator } from '../registrar/authenticator.js';
import { DigestAuthenticator } from '../registrar/digest-authenticator.js';
import { ImsAuthenticator } from '../registrar/ims-authenticator.js';
import { registrations } from '../registrar/registration.js';
import type { Subscribers } from '../registrar/subscribers.js';
import { AkaServer } from '../sip/auth/aka-server.js';
import { DigestServer } from '../sip/auth/digest-server.js';
import { GuessLock } from '../sip/auth/guess-lock.js';
import { ServerNonces } from '../sip/auth/nonce.js';
import type { Store } from '../store/store.js';

const NONCE_LIFETIME_MS = 300_000;
/** Several users may sit behind one address. */
const SOURCE_TRIES = 20;

/** Who is believed, as the configuration says. @param nonceKey the same on all nodes. */
export function makeAuthenticator(
  config: Config,
  parts: { clock: Clock; store: Store; trail: Trail; subscribers: Subscribers; nonceKey: Uint8Array },
): Authenticator {
  if (config.auth === 'none') return openAuthenticator;
  const { clock, store, trail, subscribers, nonceKey } = parts;
  const { algorithms, qop, maxFailures, failureWindow } = config.digest;
  const realm = config.domain;
  const lock = { clock, limit: maxFailures, windowMs: failureWindow * 1000 };
  const digest = new DigestServer({
    realm,
    nonces: new ServerNonces({ clock, key: nonceKey, lifetimeMs: NONCE_LIFETIME_MS }),
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
