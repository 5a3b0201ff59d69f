import { orNone } from '../base/errors.js';
import { aorDomain, isTelAor, parseAor, type Aor } from '../identity/aor.js';
import type { Registrar } from '../registrar/registrar.js';
import type { Subscribers } from '../registrar/subscribers.js';
import { parseAddress } from '../sip/message/address.js';
import { parseUri, type SipUri } from '../sip/message/uri.js';
import type { ServerRequest } from '../sip/stack.js';
import { DEFAULT_PROFILE, isServer } from './triggers/criteria.js';
import type { Profiles } from './triggers/profiles.js';

export interface WatchersOptions {
  readonly registrar: Registrar;
  readonly subscribers: Subscribers;
  readonly profiles: Profiles;
  /** Home domains, lower-case. */
  readonly domains: readonly string[];
  /** IP addresses of nodes of the trust domain: P-CSCFs and application servers. */
  readonly trusted: ReadonlySet<string>;
}

export type Watcher = 'user' | 'network' | 'stranger';

/**
 * Who wants to know of a registration (3GPP TS 24.229 §5.4.2.1.1): the user itself; a node of the trust domain for itself, as the
 * P-CSCF on the Path and the user's application servers do; anybody else, even when a P-CSCF passes the request on.
 */
export class Watchers {
  readonly #options: WatchersOptions;

  constructor(options: WatchersOptions) {
    this.#options = options;
  }

  /** @param set key of the registration set that is watched. */
  async judge(request: ServerRequest, set: string): Promise<Watcher> {
    const { registrar, trusted } = this.#options;
    const asserted = request.addresses('P-Asserted-Identity');
    for (const { uriText } of asserted) {
      const aor = orNone(() => parseAor(uriText));
      if (aor !== undefined && (await registrar.setOf(aor)) === set) return 'user';
    }
    if (!trusted.has(request.source.address)) return 'stranger';
    for (const { uri, uriText } of asserted)
      if (
        !(await this.#isNode(
          uri,
          orNone(() => parseAor(uriText)),
          set,
        ))
      )
        return 'stranger';
    return 'network';
  }

  /** A server has no user part, or one that is no user's. */
  async #isNode(uri: SipUri, aor: Aor | undefined, set: string): Promise<boolean> {
    const { registrar, subscribers, domains } = this.#options;
    if (aor === undefined) return uri.isSip && uri.user === undefined;
    if (isTelAor(aor)) return false;
    const registration = await registrar.lookup(set);
    const path = registration?.bindings.flatMap((binding) => binding.path.slice(0, 1)) ?? [];
    if (path.some((value) => parseAddress(value, 'Path').uri.host === uri.host)) return true;
    if (await this.#isApplicationServer(uri, set)) return true;
    if (!domains.includes(aorDomain(aor)!) || (await subscribers.identity(aor))) return false;
    // with open authentication nobody need be provisioned
    return ((await registrar.lookup(aor))?.bindings.length ?? 0) === 0;
  }

  /** Whether the filter criteria of the user name it. */
  async #isApplicationServer({ user, host }: SipUri, set: string): Promise<boolean> {
    const { subscribers, profiles } = this.#options;
    if (!profiles.any) return false;
    for (const identity of (await subscribers.identity(set))?.set ?? [set]) {
      const row = await subscribers.identity(identity);
      for (const { criterion } of profiles.criteria(row?.profile ?? DEFAULT_PROFILE)) {
        if (!isServer(criterion.server)) continue;
        const server = parseUri(criterion.server);
        if (server.user === user && server.host === host) return true;
      }
    }
    return false;
  }
}
