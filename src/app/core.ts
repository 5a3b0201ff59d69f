import { endpoint } from '../base/endpoint.js';
import type { Logger } from '../base/log.js';
import type { Config } from '../config/schema.js';
import { Core } from '../core/core.js';
import { OwedRegisters } from '../core/third-party/owed-registers.js';
import { RegistrationTriggers } from '../core/third-party/registration-triggers.js';
import type { Profiles } from '../core/triggers/profiles.js';
import { LocalDevices } from '../reg-event/local-devices.js';
import { Gruus } from '../registrar/gruus.js';
import { Registrar } from '../registrar/registrar.js';
import { RegistrationFeed } from '../registrar/registration-feed.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { ServerRequest, SipStack } from '../sip/stack.js';
import { makeAuthenticator } from './authentication.js';
import type { Nodes } from './nodes.js';
import type { Disposers, Parts, ServiceSide } from './parts.js';
import { startRegEvents } from './reg-events.js';

/** The registrar and the S-CSCF of the home domains. */
export interface RunningCore extends ServiceSide {
  readonly host: Core;
  readonly registrar: Registrar;
  readonly gruus: Gruus;
  /** What other nodes change; undefined where there are none. */
  readonly feed: RegistrationFeed | undefined;
  /** Goes on with what a process that is no more had begun: this server's life before, or another node. */
  resume(): Promise<void>;
}

/**
 * The role `core`: registrar, registration events, and the way of requests to devices.
 * @param parts `shared`: whether other nodes use the same store. @param logOf gives each part its logger.
 */
export async function startCore(
  config: Config,
  parts: Omit<Parts, 'log'> & {
    stack: SipStack;
    subscribers: Subscribers;
    profiles: Profiles;
    shared: boolean;
    nodes: Pick<Nodes, 'instance' | 'isAlive' | 'isNode'>;
  },
  logOf: (part: string) => Logger,
  disposers: Disposers,
): Promise<RunningCore> {
  const { clock, store, trail, keys, stack, subscribers, profiles, shared, nodes } = parts;
  const domains = [config.domain, ...config.domains];
  const trusted = new Set(config.sip.trusted);
  const authenticator = makeAuthenticator(
    config,
    { ...parts, log: logOf('registrar'), nonceKey: await keys.get('nonces') },
    disposers,
  );
  const gruus = await Gruus.open(store, config.registrar.gruuNameSpace);
  const registrar = new Registrar({
    store,
    clock,
    trail,
    log: logOf('registrar'),
    subscribers,
    gruus,
    authenticator,
    domains,
    expiry: config.registrar.expires,
    maxContacts: config.registrar.maxContacts,
    matching: config.registrar.matching,
    gruu: config.registrar.gruu,
    openDomain: config.auth === 'none',
    trusted,
    visitedNetworks: allowedNetworks(config),
    serviceRoute,
    maxMessageBytes: narrow(stack),
    maxFieldBytes: stack.abilities.maxFieldBytes,
    // the connections of devices are those of a drachtio-server where there is one
    node: shared && config.sip.stack === 'embedded' ? nodes.instance : undefined,
  });
  disposers.push(() => registrar.close());
  const feed = shared
    ? new RegistrationFeed({ store, registrar, clock, log: logOf('registrar') })
    : undefined;
  if (feed) disposers.push(() => feed.close());
  const core = new Core({
    stack,
    clock,
    originalDialogKey: await keys.get('original-dialogs'),
    registrar,
    subscribers,
    gruus,
    gruu: config.registrar.gruu,
    authenticator,
    trail,
    log: logOf('core'),
    domains,
    trusted,
    isNode: nodes.isNode,
    profiles,
    serverPatience: config.isc.patience,
    timerC: config.sip.timerC * 1000,
  });
  const { isAlive } = nodes;
  const owed = new OwedRegisters({ store, clock, log: logOf('core'), node: nodes.instance, isAlive });
  const registrationTriggers = new RegistrationTriggers({
    ...parts,
    registrar,
    owed,
    log: logOf('core'),
    domain: config.domain,
    trusted,
    ...config.isc,
  });
  disposers.push(() => registrationTriggers.close());
  stack.on('REGISTER', (request, response) => registrar.handle(request, response));
  const log = logOf('reg-event');
  const regEvents = startRegEvents(
    config,
    { ...parts, log, core, registrar, gruus, feed, isAlive },
    disposers,
  );
  stack.onFlowClosed((flow) => {
    registrar
      .flowClosed(flow)
      .catch((error: unknown) =>
        logOf('registrar').error({ err: error, flow }, 'bindings of a closed connection stay'),
      );
  });
  return {
    host: core,
    registrar,
    gruus,
    feed,
    devices: new LocalDevices(registrar, config.registrar.gruu ? gruus : undefined),
    setOf: (aor) => registrar.setOf(aor),
    attach: () => core.attach(),
    start: () => {
      regEvents.tellResumed();
      registrationTriggers.tellResumed();
    },
    resume: async () => {
      await regEvents.resume();
      await registrationTriggers.resume();
    },
  };
}

/** The home network is none that is visited, but a P-CSCF of it may say so. */
function allowedNetworks({ registrar, domain, domains }: Config): ReadonlySet<string> | undefined {
  const { visitedNetworks } = registrar;
  if (!visitedNetworks) return undefined;
  return new Set([domain, ...domains, ...visitedNetworks.map((name) => name.toLowerCase())]);
}

/** What a stack that cannot carry every message can carry; undefined for one that can. */
function narrow({ abilities }: SipStack): number | undefined {
  return abilities.maxMessageBytes < 65_536 ? abilities.maxMessageBytes : undefined;
}

/** The own listener that a REGISTER came in on, as originating S-CSCF (RFC 3608 §5; lower case, since clients fold it). */
function serviceRoute({ source }: ServerRequest): readonly string[] {
  const transport = source.protocol === 'udp' ? '' : `;transport=${source.protocol}`;
  return [`<sip:orig@${endpoint(source.localAddress, source.localPort)}${transport};lr>`];
}
