import type { Config } from '../config/schema.js';
import { RegEventService } from '../core/reg-event-service.js';
import { Watchers } from '../core/reg-event-watchers.js';
import type { Profiles } from '../core/triggers/profiles.js';
import { RegEventNotifier } from '../reg-event/notifier.js';
import type { Gruus } from '../registrar/gruus.js';
import type { RegistrationFeed } from '../registrar/registration-feed.js';
import type { Registrar } from '../registrar/registrar.js';
import type { Subscribers } from '../registrar/subscribers.js';
import { SubscriptionKeeper } from '../subscriptions/subscription-keeper.js';
import type { Nodes } from './nodes.js';
import type { Disposers, ServiceParts } from './parts.js';

/** Octets of the largest datagram over IPv4: a watcher may have no other transport (RFC 3261 §18.1.1). */
const LARGEST_DATAGRAM = 65_507;

/** Puts the notifier of registration events into the way of SUBSCRIBE. */
export function startRegEvents(
  config: Config,
  parts: ServiceParts & {
    registrar: Registrar;
    subscribers: Subscribers;
    profiles: Profiles;
    gruus: Gruus;
    feed: RegistrationFeed | undefined;
    nodes: Pick<Nodes, 'instance'>;
    /** Whether a process, by its name, runs and goes on with its subscriptions itself. */
    isAlive: (node: string) => boolean;
  },
  disposers: Disposers,
): RegEventNotifier {
  const { core, gruus, nodes, ...others } = parts;
  const keeper = new SubscriptionKeeper({ ...parts, event: 'reg', node: nodes.instance });
  disposers.push(() => keeper.close());
  const notifier = new RegEventNotifier({
    ...others,
    keeper,
    gruus: config.registrar.gruu ? gruus : undefined,
    settings: config.regEvent,
    maxMessageBytes: Math.min(parts.stack.abilities.maxMessageBytes, LARGEST_DATAGRAM),
  });
  const domains = [config.domain, ...config.domains];
  const watchers = new Watchers({ ...parts, domains, trusted: new Set(config.sip.trusted) });
  core.use(new RegEventService({ notifier, watchers, domains, packages: () => core.packages() }));
  disposers.push(() => notifier.close());
  return notifier;
}
