import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { InstanceId } from '../../identity/instance-id.js';
import type { ImpsServer, SessionObserver, SessionRecord, UserId } from '../../imps/index.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import { clientOf, type DeviceMap } from '../identity/device-map.js';
import { clientUuid } from '../identity/instance-name.js';
import type { DeviceRecord } from '../records.js';
import type { PhoneRegistration, Registrations } from './registrations.js';
import { contactParams, contactUri, deviceName, proofOf, readContactUser, userAgent } from './contact.js';

export interface PhonesOptions {
  readonly imps: () => ImpsServer;
  readonly registrations: Registrations;
  readonly devices: DeviceMap;
  /** All devices of users, phones among them. */
  readonly registered: RegisteredDevices;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  /** Host of the phones' contacts. */
  readonly host: string;
  /** Whether the phones of a user take part in CPM sessions. @param set key of the user's registration set */
  sessions(set: string): Promise<boolean>;
  /** The identity that a phone's user registers; undefined when the user is none of the domain. */
  identityOf(user: UserId): Promise<string | undefined>;
}

/** Seconds by which a binding outlives what is left of its session: the session's end removes it. */
const GRACE = 60;
/** Sessions that are registered again at once after a restart. */
const AT_ONCE = 64;

/** A phone as requests find it. */
export interface Phone {
  readonly session: SessionRecord;
  readonly device: DeviceRecord;
}

/**
 * IMPS sessions as registered CPM devices: login makes a binding, what the session negotiates and its traffic refresh it, its end
 * removes it. What happens to one session happens in order.
 */
export class Phones implements Omit<SessionObserver, 'userRemoved'> {
  readonly #options: PhonesOptions;
  readonly #running = new Map<string, Promise<void>>();
  #starting: Promise<unknown> = Promise.resolve();
  #open: () => void = () => undefined;
  readonly #ready = new Promise<void>((resolve) => (this.#open = resolve));

  constructor(options: PhonesOptions) {
    this.#options = options;
  }

  sessionStarted(session: SessionRecord): void {
    this.#inOrder(session, () => this.#register(session));
  }

  sessionChanged(session: SessionRecord): void {
    this.#inOrder(session, () => this.#register(session));
  }

  sessionEnded(session: SessionRecord): void {
    this.#inOrder(session, () => this.#remove(session));
  }

  /**
   * The listeners are open: phones that log in are registered from now on, and those that are there already, unless the process before
   * has registered them as this one would.
   * @returns how many there were
   */
  start(): Promise<number> {
    this.#open();
    const all = this.#bringBack();
    this.#starting = all.catch(() => undefined);
    return all;
  }

  async #bringBack(): Promise<number> {
    let count = 0;
    const sessions = this.#options.imps().sessions()[Symbol.asyncIterator]();
    const some = async (): Promise<void> => {
      for (let next = await sessions.next(); next.done !== true; next = await sessions.next()) {
        const session = next.value;
        count++;
        await this.#register(session, true).catch((error: unknown) => this.#failed(session, error));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, some));
    return count;
  }

  /** Another node is gone: phones whose bindings led to it are registered here. @returns how many phones there are */
  takeOver(): Promise<number> {
    return this.#starting.then(() => this.#bringBack());
  }

  /** Resolves when everything that sessions asked for until now is done. */
  async settled(): Promise<void> {
    await this.#starting;
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  /** The phone that a contact stands for. @throws ParleyError `gateway-phone-away` */
  async at(contactUser: string | undefined): Promise<Phone> {
    const named = readContactUser(contactUser);
    const device = named && (await this.#options.devices.find(named.user, named.uuid));
    if (named && device) {
      for await (const session of this.#options.imps().sessions(named.user))
        if (proofOf(session) === named.proof) return { session, device };
    }
    throw new ParleyError('gateway-phone-away');
  }

  /** The phone of an IMPS session. @throws ParleyError `gateway-phone-away` */
  async ofSession(user: UserId, id: string): Promise<Phone> {
    for await (const session of this.#options.imps().sessions(user))
      if (session.id === id) return { session, device: await this.#options.devices.of(clientOf(session)) };
    throw new ParleyError('gateway-phone-away');
  }

  /** GRUU of the device that an IMPS session is; undefined without one. */
  async gruuOf(user: UserId, id: string): Promise<string | undefined> {
    const identity = await this.#options.identityOf(user);
    if (identity === undefined) return undefined;
    for await (const session of this.#options.imps().sessions(user)) {
      if (session.id !== id) continue;
      const proof = proofOf(session);
      const registered = await this.#options.registered.of(identity);
      return registered.find(({ contact }) => contact.includes(proof))?.publicGruu;
    }
    return undefined;
  }

  #inOrder(session: SessionRecord, work: () => Promise<void>): void {
    const before = this.#running.get(session.id) ?? this.#ready;
    const done = before
      .then(work)
      .catch((error: unknown) => this.#failed(session, error))
      .finally(() => {
        if (this.#running.get(session.id) === done) this.#running.delete(session.id);
      });
    this.#running.set(session.id, done);
  }

  #failed({ user }: SessionRecord, error: unknown): void {
    this.#options.trail.record({
      code: 'gateway.device-refused',
      outcome: 'refused',
      clause: 'document 003 §5.1.2',
      subject: user,
      detail: error instanceof ParleyError ? error.code : 'failed',
    });
    if (!(error instanceof ParleyError))
      this.#options.log.error({ err: error, user }, 'a phone is not registered');
  }

  /** @param ifNew leaves alone what is registered so already */
  async #register(session: SessionRecord, ifNew = false): Promise<void> {
    const { clock, registrations } = this.#options;
    const seconds =
      Math.ceil((session.seenAt - clock.now()) / 1000 + session.keepAliveSeconds * 1.25) + GRACE;
    if (seconds <= 0) return;
    const device = await this.#options.devices.of(clientOf(session), session.imei);
    const registration = await this.#registration(session, device, seconds);
    if (!registration || (ifNew && (await registrations.stands(registration)))) return;
    await registrations.register(registration, () => this.#again(session));
  }

  async #remove(session: SessionRecord): Promise<void> {
    const { devices, registrations } = this.#options;
    const device = await devices.find(session.user, clientUuid(clientOf(session)));
    const registration = device && (await this.#registration(session, device, 0));
    if (registration) await registrations.remove(registration);
  }

  /** A registration ends before the session does, or failed. */
  #again({ id, user }: SessionRecord): void {
    const now = async (): Promise<void> => {
      for await (const session of this.#options.imps().sessions(user))
        if (session.id === id) this.sessionChanged(session);
    };
    now().catch((error: unknown) =>
      this.#options.log.error({ err: error, user }, 'a phone is not registered'),
    );
  }

  /** Undefined when the user has no identity that registers. */
  async #registration(
    session: SessionRecord,
    device: DeviceRecord,
    expires: number,
  ): Promise<PhoneRegistration | undefined> {
    const { registrations, host } = this.#options;
    const identity = await this.#options.identityOf(session.user);
    const set = identity === undefined ? undefined : await registrations.setOf(identity);
    if (identity === undefined || set === undefined) return undefined;
    return {
      identity,
      set,
      contact: {
        uri: contactUri(device, session, host),
        params: contactParams(device, session, await this.#options.sessions(set)),
        deviceName: deviceName(session),
        instance: InstanceId.fromUrn(device.instance),
        regId: undefined,
        q: 1,
        expires,
      },
      callId: callIdOf(session),
      userAgent: userAgent(session),
    };
  }
}

const callIdOf = (session: SessionRecord): string =>
  `imps-${clientUuid(clientOf(session))}-${proofOf(session).slice(0, 12)}`;
