import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { ServiceHost } from '../core/service.js';
import type { RegisteredDevices } from '../reg-event/devices.js';
import type { SipStack } from '../sip/stack.js';
import type { Store } from '../store/store.js';
import type { DomainKeys } from './domain-key.js';

/** What every role is made of. Each gets a logger of its own. */
export interface Parts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: Store;
  readonly trail: Trail;
  readonly keys: DomainKeys;
}

/** What a role that sits in the way of SIP requests is made of. */
export interface ServiceParts extends Parts {
  readonly stack: SipStack;
  readonly core: ServiceHost;
}

/** What services stand on: the core of this process, or the place behind somebody else's. */
export interface ServiceSide {
  readonly host: ServiceHost;
  readonly devices: RegisteredDevices;
  /** Key of the registration set of a user here, undefined for anybody else. */
  readonly setOf: (aor: string) => Promise<string | undefined>;
  /** Takes requests; called when all services are there. */
  attach(): void;
  /** Called when requests can be sent. */
  start(): void;
}

/** What stops the parts that run, in the order in which they were started. */
export type Disposers = (() => Promise<void> | void)[];
