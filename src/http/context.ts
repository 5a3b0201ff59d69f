import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { MemoryTrail } from '../base/trail.js';
import type { Config } from '../config/schema.js';
import type { Profiles } from '../core/triggers/profiles.js';
import type { Gruus } from '../registrar/gruus.js';
import type { DeferredStore } from '../cpm/messages/deferred-store.js';
import type { Deferral } from '../cpm/messages/deferral.js';
import type { SessionRecords } from '../cpm/participating/session-records.js';
import type { Recordings } from '../cpm/recording/recordings.js';
import type { Policies } from '../cpm/policy/policies.js';
import type { RunningGroups } from '../cpm/controlling/running-groups.js';
import type { Gateway } from '../gateway/gateway.js';
import type { ImpsServer } from '../imps/index.js';
import type { MsrpRelay } from '../msrp/relay/index.js';
import type { MsrpEndpoint } from '../msrp/session/index.js';
import type { RegEventSubscriber } from '../reg-event/subscriber.js';
import type { Registrar } from '../registrar/registrar.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { SipStack } from '../sip/stack.js';
import type { Store } from '../store/store.js';

/** What the HTTP side shows and steers. */
export interface HttpContext {
  readonly config: Config;
  readonly clock: Clock;
  readonly stack: SipStack;
  readonly store: Store;
  /** Undefined without the role `core`. */
  readonly core: CoreContext | undefined;
  /** The users of another core, without the role `core`. */
  readonly watched: RegEventSubscriber | undefined;
  readonly subscribers: Subscribers;
  readonly profiles: Profiles;
  /** Undefined without the role. */
  readonly imps: ImpsServer | undefined;
  /** Undefined without the roles imps and core. */
  readonly gateway: Gateway | undefined;
  /** Undefined without the role `participating`. */
  readonly participating: ParticipatingContext | undefined;
  /** Undefined without the role `controlling`. */
  readonly controlling: RunningGroups | undefined;
  readonly msrp: MsrpContext;
  /** Undefined without a folder. */
  readonly recordings: Recordings | undefined;
  readonly trail: MemoryTrail;
  readonly log: Logger;
}

export interface MsrpContext {
  readonly endpoint: MsrpEndpoint;
  /** Undefined unless it is on. */
  readonly relay: MsrpRelay | undefined;
}

export interface CoreContext {
  readonly registrar: Registrar;
  readonly gruus: Gruus;
}

export interface ParticipatingContext {
  readonly deferred: DeferredStore;
  readonly deferral: Deferral;
  readonly records: SessionRecords;
  readonly policies: Policies;
  /** What passed a session of this node so far, where the server is in its media path. */
  passed(session: string): { readonly bytes: number; readonly messages: number } | undefined;
  /** The sessions whose media pass this node, and what passed since it started. */
  readonly mediaPath: {
    readonly figures: { readonly sessions: number; readonly bytes: number; readonly messages: number };
  };
  /** Key of the registration set of a user here. */
  readonly setOf: (aor: string) => Promise<string | undefined>;
}
