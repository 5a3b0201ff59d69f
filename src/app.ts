import { SystemClock } from './base/clock.js';
import type { Logger } from './base/log.js';
import { startBehindCore } from './app/behind-core.js';
import { startControlling } from './app/controlling.js';
import { startCore } from './app/core.js';
import { DomainKeys } from './app/domain-key.js';
import { makeGateway } from './app/gateway.js';
import { startImps, type RunningImps } from './app/imps.js';
import { startInterworking, type Interworking } from './app/interworking.js';
import { makeParticipating } from './app/participating.js';
import { giveProfiles, openProfiles } from './app/profiles.js';
import { provision, whenStoreWorks } from './app/opening.js';
import { startMsrpRelay } from './app/msrp-relay.js';
import { startMsrp } from './app/msrp.js';
import { Nodes } from './app/nodes.js';
import { openRecordings } from './app/recordings.js';
import type { Disposers, Parts, ServiceSide } from './app/parts.js';
import { makeSip } from './app/sip.js';
import { logTrail } from './app/trail-log.js';
import { MemoryTrail } from './base/trail.js';
import type { Config } from './config/schema.js';
import type { ServiceHost } from './core/service.js';
import type { Gateway } from './gateway/gateway.js';
import type { RunningGroups } from './cpm/controlling/running-groups.js';
import { startHttp, type HttpServer } from './http/server.js';
import type { MsrpEndpoint } from './msrp/session/index.js';
import type { RegisteredDevices } from './reg-event/devices.js';
import type { Registrar } from './registrar/registrar.js';
import { Subscribers } from './registrar/subscribers.js';
import type { SipStack } from './sip/stack.js';
import { openStore } from './store/open.js';
import type { Store } from './store/store.js';

/** A node that stops in good order has that long to be there again. */
const RESTART_MS = 10_000;

/** Everything that runs, built once and handed on explicitly. */
export interface App {
  readonly config: Config;
  readonly stack: SipStack;
  readonly store: Store;
  /** Undefined without the role `core`. */
  readonly registrar: Registrar | undefined;
  /** The core, or what services stand on behind another one; services are added with `use` before the first request. */
  readonly core: ServiceHost;
  readonly subscribers: Subscribers;
  /** The devices that are registered, as application servers see them. */
  readonly devices: RegisteredDevices;
  readonly msrp: MsrpEndpoint;
  readonly trail: MemoryTrail;
  readonly http: HttpServer;
  /** Undefined without the role. */
  readonly imps: RunningImps | undefined;
  readonly controlling: RunningGroups | undefined;
  /** Functions of this process are added to its registry before the first request. */
  readonly interworking: Interworking;
  /** Undefined without the roles imps and core. */
  readonly gateway: Gateway | undefined;
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
    const subscribers = new Subscribers(store, config.domain);
    const keys = new DomainKeys(store, log.child({ part: 'store' }));
    const prepare = async (): Promise<{ recordRoutes: Uint8Array; nodeSeals: Uint8Array | undefined }> => {
      await provision(subscribers, config, log);
      return {
        recordRoutes: await keys.get('record-routes'),
        nodeSeals: shared ? await keys.get('node-seals') : undefined,
      };
    };
    const { recordRoutes, nodeSeals } = await (shared ? whenStoreWorks(prepare, { clock, log }) : prepare());
    const profiles = await openProfiles(config, { store, subscribers, log });
    disposers.push(() => profiles.close());
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
        recordRouteSecret: recordRoutes,
        nodes: nodeSeals && { key: nodeSeals, isNode: nodes.isNode },
      },
    );
    disposers.push(() => stack.close());
    const parts = (part: string): Parts => ({ clock, store, trail, keys, log: log.child({ part }) });
    const core = config.roles.includes('core')
      ? await startCore(
          config,
          { clock, store, trail, keys, stack, subscribers, profiles, shared, nodes },
          (part) => log.child({ part }),
          disposers,
        )
      : undefined;
    const { isAlive } = nodes;
    const msrp = await startMsrp(config, parts('msrp'), disposers);
    const relay = await startMsrpRelay(config, { ...parts('msrp'), subscribers, endpoint: msrp }, disposers);
    const behind = core
      ? undefined
      : await startBehindCore(config, { ...parts('reg-event'), stack }, disposers);
    const side: ServiceSide = core ?? behind!;
    const { host, devices } = side;
    const interworking = startInterworking(config, { stack, trail, core: host, setOf: side.setOf });
    const gateway =
      config.gateway.enabled &&
      config.roles.includes('imps') &&
      (core || config.foreignCore.uri !== undefined)
        ? await makeGateway(
            config,
            {
              ...parts('gateway'),
              stack,
              place: { host, core, keyOf: (aor) => behind?.devices.keyOf(aor) },
              subscribers,
              devices,
              msrp,
              nodes,
              interworking,
              isAlive,
            },
            disposers,
          )
        : undefined;
    const recordings = await openRecordings(config, parts('recording'), disposers);
    const participating = config.roles.includes('participating')
      ? makeParticipating(config, {
          ...parts('cpm'),
          stack,
          core: host,
          devices,
          shared,
          interworking,
          gruus: config.registrar.gruu ? core?.gruus : undefined,
          registrar: core?.registrar,
          setOf: side.setOf,
          onDeferred: (set) => gateway?.deferred(set),
          msrp,
          recordings,
          node: nodes.instance,
          isAlive,
        })
      : undefined;
    if (participating) disposers.push(() => participating.close());
    const resume = (): void => {
      participating?.deferral
        .resume()
        .catch((error: unknown) =>
          log.error({ err: error }, 'deferred messages wait for the next registration'),
        );
      participating?.sessions
        .abandoned()
        .catch((error: unknown) => log.error({ err: error }, 'sessions of a node that is gone stay listed'));
      controlling?.earlyDialogs
        .endOrphans()
        .catch((error: unknown) =>
          log.error({ err: error }, 'devices ring on for groups of a node that is gone'),
        );
    };
    const takeOver = (): void => {
      core
        ?.resume()
        .then(() => core.start())
        .catch((error: unknown) =>
          log.error({ err: error }, 'subscriptions at a node that is gone stay there'),
        );
    };
    side.attach();
    const takeOverPhones = (): void => {
      gateway
        ?.takeOver()
        .catch((error: unknown) =>
          log.error({ err: error }, 'phones of a node that is gone wait for their next request'),
        );
    };
    const controlling = config.roles.includes('controlling')
      ? startControlling(
          config,
          {
            ...parts('controlling'),
            stack,
            core: host,
            nodes,
            msrp,
            setOf: side.setOf,
            sessions: participating?.records,
          },
          disposers,
        )
      : undefined;
    const imps = config.roles.includes('imps')
      ? await startImps(config, { ...parts('imps'), gateway }, disposers)
      : undefined;
    const http = await startHttp({
      config,
      clock,
      stack,
      store,
      core,
      watched: behind?.devices,
      subscribers,
      profiles,
      imps: imps?.server,
      gateway,
      participating,
      controlling,
      msrp: { endpoint: msrp, relay },
      recordings,
      trail,
      log: log.child({ part: 'http' }),
    });
    closeHttp = () => http.close();
    attachTo(http.server);
    if (core && !shared) await core.resume();
    if (shared) await nodes.learn();
    await stack.start();
    if (shared) {
      const self = {
        // those of a drachtio-server are shared by all nodes
        listeners: config.sip.stack === 'embedded' ? stack.listeners : [],
        connections: core?.registrar.connections,
        closeFlow: (flow: string) => stack.closeFlow(flow),
      };
      await nodes.start(self, {
        onDeath() {
          resume();
          takeOver();
          takeOverPhones();
        },
        // one that only starts again goes on with its own
        onGone: () =>
          clock.after(RESTART_MS, () => {
            resume();
            takeOver();
            takeOverPhones();
          }),
      });
      disposers.push(() => nodes.close());
      await core?.resume();
    }
    disposers.push(
      store.onEmptied(() => {
        const restore = async (): Promise<void> => {
          await keys.restore();
          await core?.gruus.restore();
          await provision(subscribers, config, log);
          await giveProfiles(config, profiles, { subscribers, log });
          log.warn({}, 'what the configuration gives is in the store again');
        };
        whenStoreWorks(restore, { clock, log }).catch((error: unknown) =>
          log.error({ err: error }, 'the store lacks what the configuration gives until a restart'),
        );
      }),
    );
    side.start();
    gateway
      ?.start()
      .then((phones) => {
        if (phones > 0) log.info({ phones }, 'phones that were logged in are devices again');
      })
      .catch((error: unknown) =>
        log.error({ err: error }, 'phones wait for their next request to be devices'),
      );
    resume();
    return {
      config,
      stack,
      store,
      registrar: core?.registrar,
      core: host,
      subscribers,
      devices,
      msrp,
      trail,
      http,
      imps,
      controlling,
      interworking,
      gateway,
      stop: async () => {
        await controlling?.controlling
          .stop()
          .catch((error: unknown) => log.error({ err: error }, 'groups stay as after a crash'));
        await stack.drain(config.drainSeconds * 1000);
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
