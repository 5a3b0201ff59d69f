import type { Config } from '../config/schema.js';
import { RegEventService } from '../core/reg-event-service.js';
import { Watchers } from '../core/reg-event-watchers.js';
import type { Profiles } from '../core/triggers/profiles.js';
import { RegEventNotifier } from '../reg-event/notifier.js';
import type { Gruus } from '../registrar/gruus.js';
import type { RegistrationFeed } from '../registrar/registration-feed.js';
import type { Registrar } from '../registrar/registrar.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { ServiceParts } from './parts.js';

/** Puts the notifier of registration events into the way of SUBSCRIBE. */
export function startRegEvents(
  config: Config,
  parts: ServiceParts & {
    registrar: Registrar;
    subscribers: Subscribers;
    profiles: Profiles;
    gruus: Gruus;
    feed: RegistrationFeed | undefined;
  },
): RegEventNotifier {
  const { core, gruus, ...others } = parts;
  const notifier = new RegEventNotifier({
    ...others,
    gruus: config.registrar.gruu ? gruus : undefined,
    settings: config.regEvent,
  });
  const watchers = new Watchers({
    ...parts,
    domains: [config.domain, ...config.domains],
    trusted: new Set(config.sip.trusted),
  });
  core.use(new RegEventService({ notifier, watchers }));
  return notifier;
}
