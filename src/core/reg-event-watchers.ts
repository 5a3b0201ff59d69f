import { orNone } from '../base/errors.js';
import { aorDomain, isTelAor, parseAor } from '../identity/aor.js';
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
 * Who wants to know of a registration (3GPP TS 24.229 §5.4.2.1.1): the user itself; the P-CSCF on the Path of one of its devices; an
 * application server that its filter criteria name. Nobody else, even at a trusted address, and even when a P-CSCF passes the request on.
 */
export class Watchers {
  readonly #options: WatchersOptions;

  constructor(options: WatchersOptions) {
    this.#options = options;
  }

  /** @param set key of the registration set that is watched. */
  async judge(request: ServerRequest, set: string): Promise<Watcher> {
    const { registrar, trusted } = this.#options;
    const { address } = request.source;
    const asserted = request.addresses('P-Asserted-Identity');
    for (const { uriText } of asserted) {
      const aor = orNone(() => parseAor(uriText));
      if (aor !== undefined && (await registrar.setOf(aor)) === set) return 'user';
    }
    if (!trusted.has(address)) return 'stranger';
    const nodes = [...(await this.#edges(set)), ...(await this.#applicationServers(set))];
    const fromNode = nodes.some(({ host }) => host === address || host === `[${address}]`);
    if (asserted.length === 0) return fromNode ? 'network' : 'stranger';
    for (const { uri, uriText } of asserted) {
      const named = nodes.some(
        ({ user, host }) => uri.host === host && (user === undefined || uri.user === user),
      );
      if (!named && !(fromNode && (await this.#isNobody(uri, uriText)))) return 'stranger';
    }
    return 'network';
  }

  /** The nodes next to the user's devices: P-CSCFs, whatever user part they have in Path. */
  async #edges(set: string): Promise<Node[]> {
    const registration = await this.#options.registrar.lookup(set);
    const path = registration?.bindings.flatMap((binding) => binding.path.slice(0, 1)) ?? [];
    return path.map((value) => ({ host: parseAddress(value, 'Path').uri.host }));
  }

  async #applicationServers(set: string): Promise<Node[]> {
    const { subscribers, profiles } = this.#options;
    if (!profiles.any) return [];
    const found: Node[] = [];
    for (const identity of (await subscribers.identity(set))?.set ?? [set]) {
      const row = await subscribers.identity(identity);
      for (const { criterion } of profiles.criteria(row?.profile ?? DEFAULT_PROFILE))
        if (isServer(criterion.server)) found.push(parseUri(criterion.server));
    }
    return found;
  }

  /** The name of a server in the home domain, or one without user part; not a user's, whom a P-CSCF would have asserted. */
  async #isNobody(uri: SipUri, uriText: string): Promise<boolean> {
    const { registrar, subscribers, domains } = this.#options;
    const aor = orNone(() => parseAor(uriText));
    if (aor === undefined) return uri.isSip && uri.user === undefined;
    if (isTelAor(aor) || !domains.includes(aorDomain(aor)!) || (await subscribers.identity(aor)))
      return false;
    // with open authentication nobody need be provisioned
    return ((await registrar.lookup(aor))?.bindings.length ?? 0) === 0;
  }
}

/** A node of the trust domain by its URI. */
interface Node {
  /** Undefined for any. */
  readonly user?: string | undefined;
  readonly host: string;
}
