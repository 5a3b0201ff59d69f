import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Core } from '../core/core.js';
import type { SipStack } from '../sip/stack.js';
import type { Store } from '../store/store.js';

/** What every role is made of. Each gets a logger of its own. */
export interface Parts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: Store;
  readonly trail: Trail;
}

/** What a role that sits in the way of SIP requests is made of. */
export interface ServiceParts extends Parts {
  readonly stack: SipStack;
  readonly core: Core;
}

/** What stops the parts that run, in the order in which they were started. */
export type Disposers = (() => Promise<void> | void)[];
