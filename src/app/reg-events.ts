import type { Config } from '../config/schema.js';
import { RegEventService } from '../core/reg-event-service.js';
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
  core.use(
    new RegEventService({ notifier, registrar: parts.registrar, trusted: new Set(config.sip.trusted) }),
  );
  return notifier;
}
