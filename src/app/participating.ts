import type { Config } from '../config/schema.js';
import { ContentStore } from '../cpm/messages/content-store.js';
import { Deferral } from '../cpm/messages/deferral.js';
import { DeferredStore } from '../cpm/messages/deferred-store.js';
import { DeliveryClaims } from '../cpm/messages/delivery-claims.js';
import { LargeMessageService } from '../cpm/messages/large-message-service.js';
import { MessageOrigins } from '../cpm/messages/message-origins.js';
import { MessagePolicy } from '../cpm/messages/message-policy.js';
import { MessageService } from '../cpm/messages/message-service.js';
import { NotificationRouting } from '../cpm/messages/notification-routing.js';
import type { RegisteredDevices } from '../reg-event/devices.js';
import { DialogLegs } from '../cpm/participating/dialog-legs.js';
import { DialogMapping } from '../cpm/participating/dialog-mapping.js';
import { MsrpMediaRelay } from '../cpm/participating/msrp-media-relay.js';
import { SessionRecords, type Passed } from '../cpm/participating/session-records.js';
import { SessionRelease } from '../cpm/participating/session-release.js';
import { SessionService } from '../cpm/participating/session-service.js';
import { Policies } from '../cpm/policy/policies.js';
import { MinuteRate } from '../cpm/policy/rate.js';
import type { Recordings } from '../cpm/recording/recordings.js';
import type { MsrpEndpoint } from '../msrp/session/index.js';
import type { Interworking } from './interworking.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Registrar } from '../registrar/registrar.js';
import type { ServiceParts, ServiceSide } from './parts.js';

export interface Participating {
  readonly deferral: Deferral;
  readonly deferred: DeferredStore;
  readonly sessions: SessionService;
  readonly records: SessionRecords;
  readonly policies: Policies;
  /** Key of the registration set of a user here. */
  readonly setOf: ServiceSide['setOf'];
  /** What passed a session of this node so far, where the server is in its media path. */
  passed(session: string): Passed | undefined;
  /** The sessions whose media pass this node, and what passed since it started. */
  readonly mediaPath: { readonly figures: Passed & { readonly sessions: number } };
  close(): void;
}

/**
 * The CPM participating function as services of the core in the same process.
 * @param parts `shared`: whether other nodes use the same store.
 */
export function makeParticipating(
  config: Config,
  parts: ServiceParts & {
    devices: RegisteredDevices;
    shared: boolean;
    interworking: Interworking;
    gruus: Gruus | undefined;
    /** Undefined behind another core. */
    registrar: Registrar | undefined;
    setOf: ServiceSide['setOf'];
    onDeferred(set: string): Promise<void> | undefined;
    msrp: MsrpEndpoint;
    recordings: Recordings | undefined;
    /** This process, while it runs. */
    node: string;
    readonly isAlive: (node: string) => boolean;
  },
): Participating {
  const {
    core,
    store,
    shared,
    interworking,
    gruus,
    registrar,
    setOf,
    msrp,
    recordings,
    node,
    isAlive,
    ...others
  } = parts;
  const { clock } = parts;
  const { pagerBytes, largeBytes, deferral: waiting, policy, sessionExpires, lostDeviceSeconds } = config.cpm;
  const policies = new Policies(store, policy);
  const contents = new ContentStore(store, clock);
  const origins = new MessageOrigins(store, clock, waiting.seconds, shared ? { node, isAlive } : undefined);
  const perDevice = waiting.oncePer === 'device';
  const deferred = new DeferredStore({
    store,
    clock,
    contents,
    limits: { messages: waiting.perUser, octets: waiting.bytesPerUser },
    perDevice,
  });
  const deferral: Deferral = new Deferral({
    ...others,
    endpoint: msrp,
    deferred,
    contents,
    origins,
    policies,
    claims: shared ? new DeliveryClaims(store, clock) : undefined,
    attempts: waiting.attempts,
    perDevice,
    longestWait: waiting.seconds,
    pagerBytes,
    serviceHeader: config.cpm.interworking.serviceHeader,
    onward: (sessionCase, user, mode) =>
      core.onward(mode === 'large' ? largeMessages : messages, sessionCase, user),
  });
  const notifications = new NotificationRouting({ ...others, origins, setOf });
  const ofMessages = { ...others, policies, deferral, notifications, agent: config.domain };
  const messageRate = new MinuteRate(clock);
  const messages: MessageService = new MessageService({
    ...ofMessages,
    interworking: interworking.selection,
    policy: new MessagePolicy(messageRate),
    pagerBytes,
  });
  core.use(messages);
  const records = new SessionRecords(store, clock);
  const dialogs = new DialogLegs(records.legs);
  core.use(new DialogMapping(dialogs));
  const release = new SessionRelease({
    ...others,
    store,
    records,
    graceMs: lostDeviceSeconds * 1000,
    isRegistered: async (gruu) => {
      const target = await gruus?.resolve(gruu, setOf);
      if (target === undefined) return undefined;
      if (target.kind === 'invalid') return false;
      return (await registrar?.lookup(target.set))?.bindings.some(target.matches) ?? false;
    },
  });
  const sessions = new SessionService({
    ...others,
    setOf,
    policies,
    records,
    release,
    interworking: interworking.selection,
    domain: config.domain,
    sessionExpires,
    largeBytes,
    messageRate,
    shared,
    node,
    isAlive,
    largeMessageSent: (call) => notifications.invited(call),
  });
  const relay = new MsrpMediaRelay({
    ...others,
    endpoint: msrp,
    dialogs,
    recordings,
  });
  sessions.relay = relay;
  release.endLegs = (session, lost) => relay.end(session, lost);
  core.use(sessions);
  const largeMessages: LargeMessageService = new LargeMessageService({
    ...ofMessages,
    endpoint: msrp,
    contents,
    largest: largeBytes,
  });
  core.use(largeMessages);
  const close = (): void => {
    deferral.close();
    sessions.close();
  };
  const passed = (session: string): Passed | undefined => relay.passed(session);
  return { deferral, deferred, sessions, records, policies, setOf, passed, mediaPath: relay, close };
}
