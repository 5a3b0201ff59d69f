import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Config } from '../config/schema.js';
import type { Core } from '../core/core.js';
import { DeferredStore } from '../cpm/messages/deferred-store.js';
import { MessageService } from '../cpm/messages/message-service.js';
import type { RegisteredDevices } from '../reg-event/devices.js';
import type { SipStack } from '../sip/stack.js';
import type { Store } from '../store/store.js';

export interface Participating {
  readonly messages: MessageService;
  readonly deferred: DeferredStore;
}

/** The CPM participating function as services of the core in the same process. */
export function makeParticipating(
  config: Config,
  parts: {
    stack: SipStack;
    clock: Clock;
    trail: Trail;
    log: Logger;
    store: Store;
    devices: RegisteredDevices;
    core: Core;
  },
): Participating {
  const { core, store, ...others } = parts;
  const { pagerBytes, deferral } = config.cpm;
  const deferred = new DeferredStore(store, parts.clock, deferral.perUser);
  const messages: MessageService = new MessageService({
    ...others,
    deferred,
    largest: pagerBytes,
    longestWait: deferral.seconds,
    onward: (sessionCase, user) => core.onward(messages, sessionCase, user),
  });
  core.use(messages);
  return { messages, deferred };
}
