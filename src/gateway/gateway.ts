import type { Clock, Timer } from '../base/clock.js';
import { ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Core } from '../core/core.js';
import type { Next, Service, ServiceCall } from '../core/service.js';
import { clientKey, type ImpsPorts, type ImpsServer, type UserId } from '../imps/index.js';
import type { RegisteredDevices } from '../reg-event/devices.js';
import type { Registrar } from '../registrar/registrar.js';
import type { ServerRequest, SipStack } from '../sip/stack.js';
import type { Store } from '../store/store.js';
import { AddressMap } from './addresses/address-map.js';
import type { GatewayConfig } from './config.js';
import { Phones } from './devices/phones.js';
import './errors.js';
import { DeviceMap } from './identity/device-map.js';
import type { ImpsClient } from './identity/instance-name.js';
import { Notifications } from './messages/notifications.js';
import { Reports } from './messages/reports.js';
import { ToCpm } from './messages/to-cpm.js';
import { ToPhone } from './messages/to-phone.js';

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly stack: SipStack;
  readonly store: Store;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly core: Core;
  readonly registrar: Registrar;
  readonly devices: RegisteredDevices;
  /** SIP domains of this server, the first one its name. */
  readonly domains: readonly string[];
  /** Domain of the IMPS users. */
  readonly impsDomain: string;
  readonly pagerBytes: number;
}

const SWEEP_MS = 1_000;
const SWEEP_BATCH = 1_000;

/**
 * Makes IMPS phones CPM devices. On the IMPS side it fills the ports of the server; on the SIP side it is a service that the
 * phones' contacts lead to.
 */
export class Gateway implements Service {
  readonly name = 'imps-gateway';
  readonly addresses: AddressMap;
  readonly devices: DeviceMap;
  readonly phones: Phones;
  /** What the IMPS server is given. */
  readonly ports: Pick<ImpsPorts, 'router' | 'observer'>;
  readonly #options: GatewayOptions;
  readonly #host: string;
  readonly #reports: Reports;
  readonly #notifications: Notifications;
  readonly #toPhone: ToPhone;
  #imps: ImpsServer | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: GatewayOptions) {
    const { config, store, clock, trail, registrar, core, domains, impsDomain } = options;
    this.#options = options;
    this.#host = `imps-gateway.${domains[0]!}`;
    const imps = (): ImpsServer => this.#imps!;
    const setOf = (aor: string): Promise<string | undefined> => registrar.setOf(aor);
    const identityOf = (user: UserId): Promise<string | undefined> => this.#identityOf(user);
    this.addresses = new AddressMap({
      store,
      trail,
      home: impsDomain,
      domains: config.domains.map(({ wv, sip }) => [wv, sip]),
      setOf,
    });
    this.devices = new DeviceMap({ store, clock, trail, isLive: (client) => this.#isLive(client) });
    this.phones = new Phones({
      ...options,
      imps,
      devices: this.devices,
      host: this.#host,
      sessions: false,
      identityOf,
      path: (user) => core.standIn(this, user),
    });
    this.#reports = new Reports(store, clock, imps);
    const common = {
      ...options,
      imps,
      addresses: this.addresses,
      reports: this.#reports,
      setOf,
      identityOf,
      originating: (user: { servedUser: string; set: string }) => core.onward(this, 'originating', user),
    };
    this.#notifications = new Notifications(common);
    const toCpm = new ToCpm({ ...common, host: this.#host });
    this.#toPhone = new ToPhone({ ...common, home: impsDomain, notifications: this.#notifications });
    this.ports = {
      router: {
        route: (recipient, message, address) => toCpm.route(recipient, message, address),
        report: (recipient, message, status) => this.#toPhone.report(recipient, message, status),
        knows: (user) => toCpm.knows(user),
      },
      observer: this.phones,
    };
  }

  /** The IMPS server whose ports these are; before it starts. */
  attach(imps: ImpsServer): void {
    this.#imps = imps;
  }

  /** The SIP listeners are open: registers the phones that are logged in. @returns how many there are */
  async start(): Promise<number> {
    this.#scheduleSweep();
    return this.phones.start();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  serves({ requestUri, ownRoute }: ServerRequest): boolean {
    return requestUri.host === this.#host && ownRoute !== undefined;
  }

  async handle({ request, response }: ServiceCall, _next: Next): Promise<void> {
    const phone = await this.phones.at(request.requestUri.user);
    switch (request.method) {
      case 'MESSAGE':
        response.send(await this.#toPhone.message(request, phone));
        return;
      case 'OPTIONS':
        response.send(200, { headers: { Accept: 'message/cpim, text/plain', Allow: 'MESSAGE, OPTIONS' } });
        return;
      default:
        throw new ParleyError('gateway-method', request.method);
    }
  }

  /** Messages were stored for a user of whom no device is there: phones that wait to be told of it are. */
  async deferred(set: string): Promise<void> {
    const user = await this.addresses.toWv(set);
    const imps = this.#imps;
    if (!imps || !(await imps.users.find(user))) return;
    for await (const _session of imps.sessions(user)) return;
    await imps.notifyOffline(user);
  }

  async #identityOf(user: UserId): Promise<string | undefined> {
    const aor = await this.addresses.toAor(user);
    return aor !== undefined && (await this.#options.registrar.setOf(aor)) !== undefined ? aor : undefined;
  }

  async #isLive({ user, client, applicationId }: ImpsClient): Promise<boolean> {
    for await (const session of this.#imps!.sessions(user)) {
      if (session.applicationId === applicationId && clientKey(session.client) === clientKey(client))
        return true;
    }
    return false;
  }

  async #sweep(): Promise<void> {
    await this.#notifications.retry(SWEEP_BATCH);
    await this.#reports.expire(SWEEP_BATCH);
  }

  #scheduleSweep(): void {
    this.#timer = this.#options.clock.after(SWEEP_MS, () => {
      void this.#sweep()
        .catch((error: unknown) => this.#options.log.error({ err: error }, 'the gateway sweeps again later'))
        .finally(() => {
          if (!this.#closed) this.#scheduleSweep();
        });
    });
  }
}
