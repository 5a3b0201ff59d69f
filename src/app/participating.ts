import type { Config } from '../config/schema.js';
import { DeferredStore } from '../cpm/messages/deferred-store.js';
import { DeliveryClaims } from '../cpm/messages/delivery-claims.js';
import { MessageService } from '../cpm/messages/message-service.js';
import type { RegisteredDevices } from '../reg-event/devices.js';
import type { ServiceParts } from './parts.js';

export interface Participating {
  readonly messages: MessageService;
  readonly deferred: DeferredStore;
}

/**
 * The CPM participating function as services of the core in the same process.
 * @param parts `shared`: whether other nodes use the same store.
 */
export function makeParticipating(
  config: Config,
  parts: ServiceParts & { devices: RegisteredDevices; shared: boolean },
): Participating {
  const { core, store, shared, ...others } = parts;
  const { pagerBytes, deferral } = config.cpm;
  const deferred = new DeferredStore(store, parts.clock, deferral.perUser);
  const messages: MessageService = new MessageService({
    ...others,
    deferred,
    claims: shared ? new DeliveryClaims(store, parts.clock) : undefined,
    largest: pagerBytes,
    longestWait: deferral.seconds,
    onward: (sessionCase, user) => core.onward(messages, sessionCase, user),
  });
  core.use(messages);
  return { messages, deferred };
}
