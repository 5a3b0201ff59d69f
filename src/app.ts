import { randomBytes } from 'node:crypto';
import { SystemClock } from './base/clock.js';
import type { Logger } from './base/log.js';
import { makeAuthenticator } from './app/authentication.js';
import { startControlling, type RunningControlling } from './app/controlling.js';
import { startImps, type RunningImps } from './app/imps.js';
import { startInterworking, type Interworking } from './app/interworking.js';
import { makeParticipating } from './app/participating.js';
import { startRegEvents } from './app/reg-events.js';
import { startMsrp } from './app/msrp.js';
import { Nodes } from './app/nodes.js';
import type { Disposers, Parts } from './app/parts.js';
import { makeSip } from './app/sip.js';
import { logTrail } from './app/trail-log.js';
import { MemoryTrail } from './base/trail.js';
import type { Config } from './config/schema.js';
import { Core } from './core/core.js';
import { startHttp, type HttpServer } from './http/server.js';
import type { MsrpEndpoint } from './msrp/session/index.js';
import type { RegisteredDevices } from './reg-event/devices.js';
import { LocalDevices } from './reg-event/local-devices.js';
import { Gruus } from './registrar/gruus.js';
import { Registrar } from './registrar/registrar.js';
import { RegistrationFeed } from './registrar/registration-feed.js';
import { Subscribers } from './registrar/subscribers.js';
import type { ServerRequest, SipStack } from './sip/stack.js';
import { openStore } from './store/open.js';
import { table, type Store } from './store/store.js';

/** Everything that runs, built once and handed on explicitly. */
export interface App {
  readonly config: Config;
  readonly stack: SipStack;
  readonly store: Store;
  readonly registrar: Registrar;
  /** Services are added with `use` before the first request. */
  readonly core: Core;
  readonly subscribers: Subscribers;
  /** The devices that are registered, as application servers see them. */
  readonly devices: RegisteredDevices;
  readonly msrp: MsrpEndpoint;
  readonly trail: MemoryTrail;
  readonly http: HttpServer;
  /** Undefined without the role. */
  readonly imps: RunningImps | undefined;
  readonly controlling: RunningControlling | undefined;
  /** Functions of this process are added to its registry before the first request. */
  readonly interworking: Interworking;
  /** No new work; running transactions finish within the drain time; then everything is closed, last made first. */
  stop(): Promise<void>;
}

/**
 * Starts every part that the configuration asks for.
 * @throws ParleyError when an address is taken or the store cannot be opened; what was started is closed again.
 */
export async function startApp(config: Config, log: Logger): Promise<App> {
  const disposers: Disposers = [];
  const closeAll = async (): Promise<void> => {
    for (const dispose of disposers.reverse()) await dispose();
    disposers.length = 0;
  };
  try {
    const clock = new SystemClock((error) => log.error({ err: error }, 'a timer failed'));
    disposers.push(() => clock.close());
    const trail = new MemoryTrail(() => clock.now());
    logTrail(trail, clock, log.child({ part: 'trail' }));
    const store = await openStore(config.store, { clock, log: log.child({ part: 'store' }) });
    disposers.push(() => store.close());
    // LMDB is of one process alone
    const shared = !config.store.startsWith('lmdb:');
    const domains = [config.domain, ...config.domains];
    const subscribers = new Subscribers(store, config.domain);
    await provision(subscribers, config, log);
    // the HTTP server ends when the WebSocket connections of the stack have
    let closeHttp = async (): Promise<void> => {};
    disposers.push(() => closeHttp());
    const nodes = new Nodes({ store, clock, log: log.child({ part: 'nodes' }) });
    const { stack, attachTo } = makeSip(
      config,
      { clock, trail, log: log.child({ part: 'sip' }) },
      {
        instance: nodes.instance,
        nodeOfFlow: nodes.nodeOfFlow,
        recordRouteSecret: await domainKey(store, 'record-routes'),
        nodes: shared ? { key: await domainKey(store, 'node-seals'), isNode: nodes.isNode } : undefined,
      },
    );
    disposers.push(() => stack.close());
    const parts = (part: string): Parts => ({ clock, store, trail, log: log.child({ part }) });
    const authenticator = makeAuthenticator(config, {
      clock,
      store,
      trail,
      subscribers,
      nonceKey: await domainKey(store, 'nonces'),
    });
    const gruus = await Gruus.open(store, config.registrar.gruuNameSpace);
    const registrar = new Registrar({
      store,
      clock,
      trail,
      log: log.child({ part: 'registrar' }),
      subscribers,
      gruus,
      authenticator,
      domains,
      expiry: config.registrar.expires,
      maxContacts: config.registrar.maxContacts,
      matching: config.registrar.matching,
      gruu: config.registrar.gruu,
      openDomain: config.auth === 'none',
      serviceRoute,
    });
    disposers.push(() => registrar.close());
    const feed = shared
      ? new RegistrationFeed(store, registrar, log.child({ part: 'registrar' }))
      : undefined;
    if (feed) disposers.push(() => feed.close());
    const core = new Core({
      stack,
      clock,
      originalDialogKey: await domainKey(store, 'original-dialogs'),
      registrar,
      subscribers,
      gruus,
      authenticator,
      trail,
      log: log.child({ part: 'core' }),
      domains,
      trusted: new Set(config.sip.trusted),
      isNode: nodes.isNode,
      timerC: config.sip.timerC * 1000,
    });
    stack.on('REGISTER', (request, response) => registrar.handle(request, response));
    const regEvents = startRegEvents(config, {
      ...parts('reg-event'),
      stack,
      core,
      registrar,
      subscribers,
      gruus,
      feed,
    });
    disposers.push(() => regEvents.close());
    const msrp = await startMsrp(config, parts('msrp'), disposers);
    const devices = new LocalDevices(registrar, config.registrar.gruu ? gruus : undefined);
    const interworking = startInterworking(config, { stack, trail, core, registrar });
    const participating = config.roles.includes('participating')
      ? makeParticipating(config, { ...parts('cpm'), stack, core, devices, shared })
      : undefined;
    if (participating) disposers.push(() => participating.messages.close());
    const resume = (): void => {
      participating?.messages
        .resume()
        .catch((error: unknown) =>
          log.error({ err: error }, 'deferred messages wait for the next registration'),
        );
    };
    core.attach();
    stack.onFlowClosed((flow) => {
      registrar
        .flowClosed(flow)
        .catch((error: unknown) => log.error({ err: error, flow }, 'bindings of a closed connection stay'));
    });
    const controlling = config.roles.includes('controlling')
      ? startControlling(config, { ...parts('controlling'), stack, core, nodes, msrp }, disposers)
      : undefined;
    const imps = config.roles.includes('imps')
      ? await startImps(config, parts('imps'), disposers)
      : undefined;
    const http = await startHttp({
      config,
      clock,
      gruus,
      stack,
      store,
      registrar,
      subscribers,
      imps: imps?.server,
      deferred: participating?.deferred,
      trail,
      log: log.child({ part: 'http' }),
    });
    closeHttp = () => http.close();
    attachTo(http.server);
    await stack.start();
    if (shared && config.sip.stack === 'embedded') {
      await nodes.start(stack.listeners, registrar, resume);
      disposers.push(() => nodes.close());
    }
    resume();
    return {
      config,
      stack,
      store,
      registrar,
      core,
      subscribers,
      devices,
      msrp,
      trail,
      http,
      imps,
      controlling,
      interworking,
      stop: async () => {
        await stack.drain(config.drainSeconds * 1000);
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** The own listener that a REGISTER came in on, as originating S-CSCF (RFC 3608 §5; lower case, since clients fold it). */
function serviceRoute({ source }: ServerRequest): readonly string[] {
  const host = source.localAddress.includes(':') ? `[${source.localAddress}]` : source.localAddress;
  const transport = source.protocol === 'udp' ? '' : `;transport=${source.protocol}`;
  return [`<sip:orig@${host}:${source.localPort}${transport};lr>`];
}

async function provision(subscribers: Subscribers, config: Config, log: Logger): Promise<void> {
  for (const wanted of config.subscribers) {
    if (await subscribers.get(wanted.privateId)) continue;
    await subscribers.add(wanted);
    log.info({ subscriber: wanted.privateId }, 'subscriber of the configuration was added');
  }
}

const keys = table<Uint8Array>('keys');

/** A key of 16 octets that all nodes of the domain share, made at the first start. */
function domainKey(store: Store, name: string): Promise<Uint8Array> {
  const fresh = new Uint8Array(randomBytes(16));
  return store.update(keys, name, (current) =>
    current ? { kind: 'keep', result: current } : { kind: 'put', value: fresh, result: fresh },
  );
}
