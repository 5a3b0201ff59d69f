import { isBlocked, type Policies } from '../../cpm/policy/policies.js';
import type { ImpsServer, UserId } from '../../imps/index.js';
import type { AddressMap } from '../addresses/address-map.js';
import { ATTRIBUTES } from './attributes.js';

export interface SightsOptions {
  readonly policies: Policies;
  readonly addresses: AddressMap;
  readonly imps: () => ImpsServer;
  readonly setOf: (aor: string) => Promise<string | undefined>;
}

/** Who watches by SIP. */
export interface SipWatcher {
  readonly uri: string;
  /** As phones see it. */
  readonly wv: UserId;
  /** Key of its registration set; undefined for a stranger. */
  readonly set: string | undefined;
}

/** What a watcher may see: everything, some attributes, nothing yet, or nothing at all. */
export type Sight = ReadonlySet<string> | 'pending' | 'rejected';

const everything: ReadonlySet<string> = new Set(ATTRIBUTES);

/** Who may see a user's presence: the same for watchers of both sides (RFC 3856 §6.6, document 001 on presence authorisation). */
export class Sights {
  readonly #options: SightsOptions;

  constructor(options: SightsOptions) {
    this.#options = options;
  }

  /** The owner's own authorisation: block list, and for IMPS users what they granted there; who decided nothing is asked. */
  async of(set: string, watcher: SipWatcher): Promise<Sight> {
    const { policies, addresses } = this.#options;
    if (watcher.set === set) return everything;
    if (isBlocked(await policies.of(set), [watcher.uri, watcher.wv, watcher.set ?? watcher.uri]))
      return 'rejected';
    const imps = this.#options.imps();
    const owner = await addresses.toWv(set);
    if (!(await imps.users.find(owner))) return everything;
    const granted = await imps.presence.ask(owner, watcher.wv, ATTRIBUTES);
    if (granted === undefined) return 'pending';
    return granted.size === 0 ? 'rejected' : granted;
  }

  /** Whether the block list that a user has as a CPM user keeps an IMPS user from seeing anything. */
  async isBlocked(owner: UserId, watcher: UserId): Promise<boolean> {
    const { policies, addresses, setOf } = this.#options;
    const aor = await addresses.toAor(owner);
    const set = aor === undefined ? undefined : await setOf(aor);
    if (set === undefined) return false;
    const policy = await policies.of(set);
    if (policy.blocked.length === 0) return false;
    const identity = await addresses.toAor(watcher);
    const key = identity === undefined ? undefined : await setOf(identity);
    return isBlocked(policy, [watcher, ...[identity, key].filter((one) => one !== undefined)]);
  }
}
