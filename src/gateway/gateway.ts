import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Policies } from '../cpm/policy/policies.js';
import type { Next, Service, ServiceCall, ServiceHost } from '../core/service.js';
import { clientKey, type ImpsPorts, type ImpsServer, type UserId } from '../imps/index.js';
import type { MsrpEndpoint } from '../msrp/session/index.js';
import type { RegisteredDevices } from '../reg-event/devices.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { Credentials, ServerRequest, SipStack } from '../sip/stack.js';
import type { Store } from '../store/store.js';
import { AddressMap } from './addresses/address-map.js';
import type { GatewayConfig } from './config.js';
import type { Registrations } from './devices/registrations.js';
import { Phones } from './devices/phones.js';
import './errors.js';
import { GroupSide } from './groups/group-side.js';
import { DeviceMap } from './identity/device-map.js';
import type { ImpsClient } from './identity/instance-name.js';
import { AccessLists } from './interworking/access-lists.js';
import { LoopGuard } from './interworking/loop-guard.js';
import { WvUsers } from './interworking/wv-users.js';
import { Conversations } from './messages/conversations.js';
import { Notifications } from './messages/notifications.js';
import { Reports } from './messages/reports.js';
import { ToCpm } from './messages/to-cpm.js';
import { ToPhone } from './messages/to-phone.js';
import { Migration } from './migration/migration.js';
import { Admission } from './sessions/admission.js';
import { LargeMessages } from './sessions/large-messages.js';
import { PhoneRequests } from './phone-requests.js';
import { Presence } from './presence/presence.js';
import { Publications } from './presence/publications.js';
import { SessionRecords } from './sessions/session-records.js';
import { Sessions } from './sessions/sessions.js';
import { Traffic } from './traffic.js';
import { Upkeep } from './upkeep.js';

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly stack: SipStack;
  readonly store: Store;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly core: ServiceHost;
  readonly registrations: Registrations;
  readonly subscribers: Subscribers;
  /** Whether an interworking function takes messages for a telephone number of nobody here. */
  interworks(number: string): Promise<boolean>;
  /** Anybody may register as any user of the domain, without proof. */
  readonly openDomain: boolean;
  readonly devices: RegisteredDevices;
  /** SIP domains of this server, the first one its name. */
  readonly domains: readonly string[];
  /** Domain of the IMPS users. */
  readonly impsDomain: string;
  readonly pagerBytes: number;
  readonly msrp: MsrpEndpoint;
  /** The conference factory. */
  readonly factory: string;
  readonly policies: Policies;
  /** Names this process among those that share the store. */
  readonly holder: string;
  /** Whether other processes work on the store. */
  readonly shared: boolean;
  /** Whether the users of the domain are those of this process's core. */
  readonly ownCore: boolean;
  /** Calls a listener when another node changes the registration of a set. @returns a function that ends it */
  onOtherNode(set: string, listener: () => void): () => void;
  /** Whether another of them lives. */
  isAlive(holder: string): boolean;
}

const SWEEP_MS = 1_000;
const SWEEP_BATCH = 1_000;
/** Sessions of other processes that are gone are looked for every so many sweeps; a process is known to the others by then. */
const ORPHANS_EVERY = 30;

/**
 * Makes IMPS phones CPM devices. On the IMPS side it fills the ports of the server; on the SIP side it is a service that the
 * phones' contacts lead to.
 */
export class Gateway implements Service {
  readonly name = 'imps-gateway';
  readonly addresses: AddressMap;
  readonly devices: DeviceMap;
  readonly phones: Phones;
  readonly migration: Migration;
  /** Also a service of its own. */
  readonly access: AccessLists;
  /** Answers for `wv:` addresses among the interworking functions. */
  readonly wvUsers: WvUsers;
  /** What went through, by direction and reason. */
  readonly traffic: Traffic;
  /** What the IMPS server is given. */
  readonly ports: Pick<ImpsPorts, 'router' | 'observer' | 'groups' | 'presence'>;
  readonly #options: GatewayOptions;
  /** Host of the phones' contacts: a name that is never resolved, since the Path leads to them. */
  readonly host: string;
  readonly #reports: Reports;
  readonly #conversations: Conversations;
  readonly #notifications: Notifications;
  readonly #toPhone: ToPhone;
  readonly #toCpm: ToCpm;
  readonly #records: SessionRecords;
  readonly #admission: Admission;
  /** Also a service of its own. */
  readonly presence: Presence;
  readonly #sessions: Sessions;
  readonly #groups: GroupSide;
  readonly #requests: PhoneRequests;
  readonly #upkeep: Upkeep;
  #imps: ImpsServer | undefined;

  constructor(options: GatewayOptions) {
    const { config, store, clock, trail, registrations, core, domains, impsDomain } = options;
    this.#options = options;
    this.host = `imps-gateway.${domains[0]!}`;
    const imps = (): ImpsServer => this.#imps!;
    const setOf = (aor: string): Promise<string | undefined> => registrations.setOf(aor);
    const identityOf = (user: UserId): Promise<string | undefined> => this.#identityOf(user);
    this.addresses = new AddressMap({
      store,
      trail,
      home: impsDomain,
      domains: config.domains.map(({ wv, sip }) => [wv, sip]),
      setOf,
    });
    this.devices = new DeviceMap({
      store,
      clock,
      trail,
      imeiFrom: config.imeiFrom,
      isLive: (client) => this.#isLive(client),
    });
    this.migration = new Migration({
      ...options,
      imps,
      addresses: this.addresses,
      devices: this.devices,
      home: impsDomain,
    });
    this.phones = new Phones({
      ...options,
      imps,
      devices: this.devices,
      registered: options.devices,
      host: this.host,
      sessions: (set) => this.#admission.offersSessions(set),
      identityOf,
    });
    this.access = new AccessLists({ ...options, imps, addresses: this.addresses });
    this.traffic = new Traffic(trail);
    this.#reports = new Reports(store, clock, imps);
    this.#conversations = new Conversations({ store, clock, addresses: this.addresses });
    const common = {
      ...options,
      imps,
      traffic: this.traffic,
      addresses: this.addresses,
      reports: this.#reports,
      conversations: this.#conversations,
      setOf,
      identityOf,
      originating: (user: { servedUser: string; set: string }) => core.onward(this, 'originating', user),
    };
    this.#notifications = new Notifications({
      ...common,
      inSession: async (session, octets) =>
        (await this.#groups.legs.get(session)?.media.send(octets)) === 200 ||
        this.#sessions.sendIn(session, octets),
    });
    this.#toCpm = new ToCpm({
      ...common,
      patienceMs: config.patience * 1000,
      limit: config.inFlight,
      host: this.host,
      large: new LargeMessages(common),
      gruuOf: (user, session) => this.phones.gruuOf(user, session),
      session: (phone, key) => this.#sessions.find(phone, key),
    });
    this.#toPhone = new ToPhone({ ...common, home: impsDomain, notifications: this.#notifications });
    this.wvUsers = new WvUsers({
      ...common,
      home: impsDomain,
      toPhone: this.#toPhone,
      guard: new LoopGuard(clock),
      entrance: (sessionCase, user) => core.entrance(sessionCase, user),
    });
    this.#records = new SessionRecords({ ...options, now: () => clock.now() });
    this.#admission = new Admission({ ...common, host: this.host, messageBytes: config.messageBytes });
    this.#sessions = new Sessions({
      ...common,
      records: this.#records,
      toPhone: this.#toPhone,
      messageBytes: config.messageBytes,
      idleMs: config.sessions.idle * 1000,
      perPhone: config.sessions.perPhone,
      phoneAt: (contactUser) => this.phones.at(contactUser),
    });
    this.presence = new Presence({
      ...common,
      publications: new Publications(store, () => clock.now()),
      host: this.host,
      intervalMs: config.presence.interval * 1000,
      perUser: config.presence.perUser,
      total: config.presence.total,
    });
    this.#groups = new GroupSide({
      ...common,
      toPhone: this.#toPhone,
      records: this.#records,
      home: impsDomain,
      host: this.host,
      messageBytes: config.messageBytes,
      perPhone: config.sessions.perPhone,
      offersSessions: (set) => this.#admission.offersSessions(set),
      phoneOf: (user, session) => this.phones.ofSession(user, session),
      sessionWith: (phone, key) => this.#sessions.find(phone, key),
      replaced: (phone, contributionId, key) => this.#sessions.replaced(phone, contributionId, key),
    });
    this.#requests = new PhoneRequests({
      phones: this.phones,
      toPhone: this.#toPhone,
      presence: this.presence,
      setOf,
      identityOf,
      admission: this.#admission,
      sessions: this.#sessions,
      invitations: this.#groups.focusInvitations,
    });
    this.#upkeep = new Upkeep(clock, options.log, SWEEP_MS, (round) => this.#sweep(round));
    this.ports = this.#portsOfImps();
  }

  #portsOfImps(): Gateway['ports'] {
    return {
      router: {
        route: (recipient, message, address) => this.#toCpm.route(recipient, message, address),
        report: (recipient, message, status) => this.#toPhone.report(recipient, message, status),
        knows: (user) => this.#toCpm.knows(user),
        mayKnow: (user) => this.#toCpm.mayKnow(user),
        claims: (user, msisdn) => this.#toCpm.claims(user, msisdn),
        blocks: (user, sender) => this.presence.hides(user, sender),
      },
      presence: {
        hides: (owner, watcher) => this.presence.hides(owner, watcher),
        fetch: (user, watcher) => this.presence.fetch(user, watcher),
        watch: (user, watcher) => this.presence.watched(user, watcher),
        unwatch: (user, watcher) => this.presence.unwatched(user, watcher),
        changed: (user) => this.presence.changed(user),
      },
      groups: this.#groups.bridge,
      observer: {
        sessionStarted: (session) => this.phones.sessionStarted(session),
        sessionChanged: (session) => this.phones.sessionChanged(session),
        sessionEnded: (session) => {
          this.#sessions.phoneEnded(session.id);
          this.#groups.phoneEnded(session.id);
          this.phones.sessionEnded(session);
        },
        userRemoved: async (user) => {
          await this.#conversations.forget(user);
          await this.#reports.forgetOf(user);
        },
      },
    };
  }

  /** The IMPS server whose ports these are; before it starts. */
  attach(imps: ImpsServer): void {
    this.#imps = imps;
  }

  /** The SIP listeners are open: registers the phones that are logged in. @returns how many there are */
  async start(): Promise<number> {
    this.#upkeep.start();
    const [phones] = await Promise.all([
      this.phones.start(),
      this.#endOrphans(0),
      this.#toCpm.resume(SWEEP_BATCH, !this.#options.shared),
      this.presence.resume(),
    ]);
    return phones;
  }

  /** Another node is gone: its phones are devices by this one. @returns how many there are of all nodes */
  async takeOver(): Promise<number> {
    const [phones] = await Promise.all([this.phones.takeOver(), this.presence.resume()]);
    return phones;
  }

  async close(): Promise<void> {
    this.#upkeep.close();
    this.#toCpm.close();
    this.#options.registrations.close();
    this.presence.close();
    await Promise.all([this.#sessions.close(), this.#groups.legs.close()]);
  }

  serves({ requestUri, ownRoute }: ServerRequest): boolean {
    return requestUri.host === this.host && ownRoute !== undefined;
  }

  async handle({ request, response }: ServiceCall, _next: Next): Promise<void> {
    await this.#requests.handle(request, response);
  }

  /** Messages were stored for a user of whom no device is there: phones that wait to be told of it are. */
  async deferred(set: string): Promise<void> {
    const user = await this.addresses.toWv(set);
    const imps = this.#imps;
    if (!imps || !(await imps.users.find(user))) return;
    for await (const _session of imps.sessions(user)) return;
    await imps.notifyOffline(user);
  }

  /** Ends what processes that are gone have left; their phones come into their groups again. */
  async #endOrphans(age: number): Promise<void> {
    for (const { group, session } of await this.#records.endOrphans(age))
      await this.#groups.groups.comeBack(group, session);
  }

  /** What an identity proves itself with at another core: the password that its user's phones have here. */
  async credentialsOf(identity: string, username: string): Promise<Credentials | undefined> {
    const user = await this.#imps!.users.find(await this.addresses.toWv(identity));
    return user && { username, password: user.password };
  }

  async #identityOf(user: UserId): Promise<string | undefined> {
    const aor = await this.addresses.toAor(user);
    return aor !== undefined && (await this.#options.registrations.setOf(aor)) !== undefined
      ? aor
      : undefined;
  }

  async #isLive({ user, client, applicationId }: ImpsClient): Promise<boolean> {
    for await (const session of this.#imps!.sessions(user)) {
      if (session.applicationId === applicationId && clientKey(session.client) === clientKey(client))
        return true;
    }
    return false;
  }

  async #sweep(round: number): Promise<void> {
    await this.#notifications.retry(SWEEP_BATCH);
    await this.#reports.expire(SWEEP_BATCH);
    await this.#conversations.expire(SWEEP_BATCH);
    await this.#toCpm.resume(SWEEP_BATCH);
    await this.#groups.invitations.expire(SWEEP_BATCH);
    this.#sessions.expire();
    await this.presence.expire(SWEEP_BATCH);
    if (round % ORPHANS_EVERY === ORPHANS_EVERY - 1) await this.#endOrphans(ORPHANS_EVERY * SWEEP_MS);
  }
}
