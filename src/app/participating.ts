import type { Config } from '../config/schema.js';
import { DeferredStore } from '../cpm/messages/deferred-store.js';
import { DeliveryClaims } from '../cpm/messages/delivery-claims.js';
import { MessageService } from '../cpm/messages/message-service.js';
import type { RegisteredDevices } from '../reg-event/devices.js';
import { MsrpMediaRelay } from '../cpm/participating/msrp-media-relay.js';
import { SessionRecords } from '../cpm/participating/session-records.js';
import { SessionService } from '../cpm/participating/session-service.js';
import { Policies } from '../cpm/policy/policies.js';
import type { MsrpEndpoint } from '../msrp/session/index.js';
import type { Interworking } from './interworking.js';
import { stateOf } from '../reg-event/reginfo.js';
import type { Gruus } from '../registrar/gruus.js';
import type { ServiceParts, ServiceSide } from './parts.js';

export interface Participating {
  readonly messages: MessageService;
  readonly deferred: DeferredStore;
  readonly sessions: SessionService;
  readonly records: SessionRecords;
  readonly policies: Policies;
  /** Key of the registration set of a user here. */
  readonly setOf: ServiceSide['setOf'];
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
    setOf: ServiceSide['setOf'];
    onDeferred(set: string): Promise<void> | undefined;
    msrp: MsrpEndpoint;
  },
): Participating {
  const { core, store, shared, interworking, gruus, setOf, msrp, ...others } = parts;
  const { pagerBytes, deferral, policy, sessionExpires } = config.cpm;
  const policies = new Policies(store, policy);
  const perDevice = deferral.oncePer === 'device';
  const deferred = new DeferredStore(store, parts.clock, deferral.perUser, perDevice);
  const messages: MessageService = new MessageService({
    ...others,
    deferred,
    policies,
    agent: config.domain,
    claims: shared ? new DeliveryClaims(store, parts.clock) : undefined,
    largest: pagerBytes,
    longestWait: deferral.seconds,
    attempts: deferral.attempts,
    perDevice,
    onward: (sessionCase, user) => core.onward(messages, sessionCase, user),
  });
  core.use(messages);
  const records = new SessionRecords(store, parts.clock);
  const sessions = new SessionService({
    ...others,
    policies,
    records,
    interworking: interworking.selection,
    domain: config.domain,
    sessionExpires,
    gruuOf: ({ registration, binding }) => {
      const state = stateOf(registration, binding);
      return state?.aor.startsWith('sip:') === true ? gruus?.publicOf(state) : undefined;
    },
  });
  sessions.relay = new MsrpMediaRelay({
    ...others,
    endpoint: msrp,
    async ended(session, passed) {
      await records.counted(session, passed);
      await sessions.ended(session);
    },
  });
  core.use(sessions);
  const close = (): void => {
    messages.close();
    sessions.close();
  };
  return { messages, deferred, sessions, records, policies, setOf, close };
}
