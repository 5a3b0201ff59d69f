import type { Config } from '../config/schema.js';
import type { Core } from '../core/core.js';
import { Policies } from '../cpm/policy/policies.js';
import { Gateway } from '../gateway/gateway.js';
import type { MsrpEndpoint } from '../msrp/session/index.js';
import type { RegisteredDevices } from '../reg-event/devices.js';
import type { Registrar } from '../registrar/registrar.js';
import type { Interworking } from './interworking.js';
import type { Nodes } from './nodes.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { Disposers, ServiceParts } from './parts.js';

/**
 * The gateway between IMPS phones and CPM, with the addresses that the configuration lays down. It comes before the other services:
 * what a phone sends passes all of them.
 */
export async function makeGateway(
  config: Config,
  {
    nodes,
    interworking,
    ...parts
  }: Omit<ServiceParts, 'core'> & {
    core: Core;
    registrar: Registrar;
    subscribers: Subscribers;
    devices: RegisteredDevices;
    msrp: MsrpEndpoint;
    nodes: Nodes;
    interworking: Interworking;
  },
  disposers: Disposers,
): Promise<Gateway> {
  const gateway = new Gateway({
    ...parts,
    config: config.gateway,
    domains: [config.domain, ...config.domains],
    impsDomain: config.imps.domain ?? config.domain,
    factory: config.conferenceFactory ?? `sip:conference-factory@${config.domain}`,
    pagerBytes: config.cpm.pagerBytes,
    policies: new Policies(parts.store, config.cpm.policy),
    holder: nodes.instance,
    shared: !config.store.startsWith('lmdb:'),
    isAlive: (holder) => nodes.endOf(holder) !== undefined,
  });
  parts.core.use(gateway);
  parts.core.use(gateway.presence);
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
    if (imps !== undefined) await gateway.addresses.provision(imps, identities[0]!);
  return gateway;
}
