import type { Config } from '../config/schema.js';
import { Policies } from '../cpm/policy/policies.js';
import { ownPlace } from '../core/own-place.js';
import type { ServiceHost } from '../core/service.js';
import { CoreRegistrations } from '../gateway/devices/core-registrations.js';
import { OwnRegistrations, type Registrations } from '../gateway/devices/registrations.js';
import { Gateway } from '../gateway/gateway.js';
import type { MsrpEndpoint } from '../msrp/session/index.js';
import type { RegisteredDevices } from '../reg-event/devices.js';
import type { RunningCore } from './core.js';
import type { Interworking } from './interworking.js';
import type { Nodes } from './nodes.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { Disposers, ServiceParts } from './parts.js';

/** Where the gateway's phones are registered. */
export interface GatewayPlace {
  readonly host: ServiceHost;
  /** Undefined behind another core. */
  readonly core: Pick<RunningCore, 'host' | 'registrar' | 'feed'> | undefined;
  /** Key of the registration set of a user whom the core told of. */
  keyOf(aor: string): string | undefined;
}

/**
 * The gateway between IMPS phones and CPM, with the addresses that the configuration lays down. It comes before the other services:
 * what a phone sends passes all of them.
 */
export async function makeGateway(
  config: Config,
  {
    nodes,
    interworking,
    place,
    ...parts
  }: Omit<ServiceParts, 'core'> & {
    place: GatewayPlace;
    subscribers: Subscribers;
    devices: RegisteredDevices;
    msrp: MsrpEndpoint;
    nodes: Nodes;
    interworking: Interworking;
    /** Whether a process, by its name, runs and goes on with what it has itself. */
    isAlive: (node: string) => boolean;
  },
  disposers: Disposers,
): Promise<Gateway> {
  const domains = [config.domain, ...config.domains];
  const registrations: Registrations = place.core
    ? new OwnRegistrations(
        place.core.registrar,
        parts.clock,
        (user) => place.core!.host.standIn(gateway, user),
        nodes.isNode,
      )
    : new CoreRegistrations({
        ...parts,
        core: config.foreignCore.uri!,
        domains,
        place: () => ownPlace(parts.stack.listeners),
        keyOf: (aor) => place.keyOf(aor),
        credentialsOf: (identity) => gateway.credentialsOf(identity, privateIdOf(config, identity)),
      });
  const gateway: Gateway = new Gateway({
    ...parts,
    core: place.host,
    registrations,
    config: config.gateway,
    domains,
    interworks: async (number) => typeof (await interworking.registry.select(number, 'message')) === 'object',
    openDomain: config.auth === 'none',
    impsDomain: config.imps.domain ?? config.domain,
    factory: config.conferenceFactory ?? `sip:conference-factory@${config.domain}`,
    pagerBytes: config.cpm.pagerBytes,
    policies: new Policies(parts.store, config.cpm.policy),
    holder: nodes.instance,
    shared: !config.store.startsWith('lmdb:'),
    ownCore: place.core !== undefined,
    onOtherNode: (set, listener) => place.core?.feed?.watch(set, listener) ?? (() => undefined),
  });
  place.host.use(gateway.access);
  place.host.use(gateway);
  place.host.use(gateway.presence);
  interworking.registry.add(
    {
      name: gateway.name,
      service: 'imps',
      addresses: ['wv:'],
      capabilities: new Set(['message', 'large-message', 'session', 'group', 'file-transfer']),
      target: gateway.wvUsers,
    },
    true,
  );
  disposers.push(() => gateway.close());
  for (const { imps, identities } of config.subscribers)
    if (imps !== undefined) await gateway.addresses.configure(imps, identities[0]!);
  return gateway;
}

/** That of the configuration, else the identity without its scheme (3GPP TS 23.003 §13.4A). */
function privateIdOf({ subscribers }: Config, identity: string): string {
  const known = subscribers.find(({ identities }) => identities.includes(identity));
  return known?.privateId ?? identity.replace(/^[a-z]+:/, '');
}
