import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { TransientMap } from '../../base/transient-map.js';
import type { Registrar } from '../../registrar/registrar.js';
import type { Binding, RegistrationEvent } from '../../registrar/registration.js';
import type { Subscribers } from '../../registrar/subscribers.js';
import { Headers } from '../../sip/message/headers.js';
import { SipRequest } from '../../sip/message/message.js';
import type { SipStack } from '../../sip/stack.js';
import { ownPlace } from '../own-place.js';
import type { TriggerSubject } from '../triggers/compile.js';
import { DEFAULT_PROFILE, type RegistrationType } from '../triggers/criteria.js';
import type { Profiles } from '../triggers/profiles.js';
import { OwedBacklog } from './owed-backlog.js';
import type { OwedRegister, OwedRegisters } from './owed-registers.js';
import { thirdPartyRegister, type ThirdPartyRegister } from './register-request.js';
import { AT_ONCE, ServerQueue } from './server-queue.js';

export interface RegistrationTriggersOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly registrar: Registrar;
  readonly subscribers: Subscribers;
  readonly profiles: Profiles;
  /** The home domain. */
  readonly domain: string;
  /** IP addresses of trusted peers. */
  readonly trusted: ReadonlySet<string>;
  /** Milliseconds within which a server must answer. */
  readonly patience: number;
  /** How many wait for one server with what the device said. */
  readonly waiting: number;
  /** What is still to be sent, for who goes on after a crash. */
  readonly owed: OwedRegisters;
}

interface Told extends ThirdPartyRegister {
  readonly set: string;
  /** When the registration was as it says. */
  readonly at: number;
  readonly owed: OwedRegister;
}

/** Before the store is asked again how the registration of one that waits is. */
const STORE_RETRY_MS = 1_000;

/**
 * Tells the application servers of a user's filter criteria that the user is registered, still, or no longer, by third-party REGISTER
 * (3GPP TS 24.229 §5.4.1.7). It happens behind the 200 to the device, and a server that is slow holds up nobody. When a server fails, the
 * criterion's default handling says whether the user stays registered.
 */
export class RegistrationTriggers {
  readonly #options: RegistrationTriggersOptions;
  readonly #queues = new Map<string, ServerQueue<Told>>();
  /** What each registration set waits for, so that its events keep their order. */
  readonly #turns = new TransientMap<Promise<void>>();
  /** What servers are to be told of changes that are not told yet. */
  readonly #chosen = new WeakMap<RegistrationEvent, Promise<readonly Told[]>>();
  readonly #unlisten: () => void;
  /** Taken over, or too many at once: sent when those before are answered. */
  readonly #backlog = new OwedBacklog();
  #closed = false;

  constructor(options: RegistrationTriggersOptions) {
    this.#options = options;
    options.registrar.beforeTold((event) => this.#prepare(event));
    this.#unlisten = options.registrar.onChange((event) => this.#changed(event));
  }

  /** Takes over what a process that is no more has not sent: this server's life before, or another node. */
  async resume(): Promise<void> {
    for await (const owed of this.#options.owed.orphans()) this.#backlog.add(owed);
  }

  /** Sends what was taken over; called when requests can be sent. */
  tellResumed(): void {
    for (const server of [...this.#backlog.servers]) for (let i = 0; i < AT_ONCE; i++) this.#tellNext(server);
  }

  /** The next one of those that wait behind the queue of a server. */
  #tellNext(server: string): void {
    const owed = this.#closed ? undefined : this.#backlog.take(server);
    if (!owed) return;
    this.#inTurn(owed.set, async () => {
      try {
        await this.#tellOwed(owed);
      } catch (error) {
        this.#backlog.add(owed);
        this.#options.clock.after(STORE_RETRY_MS, () => this.#tellNext(server));
        throw error;
      }
    });
  }

  /** What is on its way then fails for want of a stack, which is not the servers' failure. */
  close(): void {
    this.#closed = true;
    this.#unlisten();
  }

  /** What servers are owed is noted before the device has its 200: it does not come again after that. */
  #prepare(event: RegistrationEvent): Promise<void> | undefined {
    const { profiles, clock } = this.#options;
    const type = profiles.anyOnRegister ? typeOf(event) : undefined;
    if (!type) return undefined;
    const chosen = this.#choose(event, type, clock.now());
    this.#chosen.set(event, chosen);
    // a failure is told where the servers are told
    return chosen.then(
      () => undefined,
      () => undefined,
    );
  }

  #changed(event: RegistrationEvent): void {
    const chosen = this.#chosen.get(event);
    if (!chosen) return;
    this.#inTurn(event.set, async () => {
      for (const told of await chosen) this.#add(told);
    });
  }

  #inTurn(set: string, work: () => Promise<void>): void {
    const { log } = this.#options;
    const turn = (this.#turns.get(set) ?? Promise.resolve())
      .then(work)
      .catch((error: unknown) =>
        log.error({ err: error, set }, 'application servers were not told of a registration'),
      )
      .finally(() => {
        if (this.#turns.get(set) === turn) this.#turns.delete(set);
      });
    this.#turns.set(set, turn);
  }

  /** What servers are to be told, noted. */
  async #choose(
    event: RegistrationEvent,
    registrationType: RegistrationType,
    at: number,
  ): Promise<readonly Told[]> {
    const { profiles, domain, trusted } = this.#options;
    const { set, registration, register, changes } = event;
    const seconds = secondsLeft(registration.bindings, at);
    const wanted = register?.aor ?? changes[0]!.binding.aor;
    const believed =
      register !== undefined && (register.request.fromNode || trusted.has(register.request.source.address));
    const chosen: Promise<Told>[] = [];
    for (const [profile, identity] of await this.#profilesOf(set, wanted)) {
      const subject: TriggerSubject = {
        request: register?.request ?? registerOf(identity, domain, seconds),
        sessionCase: 'originating',
        registered: true,
        registrationType,
      };
      for (const { criterion, holds, tellsOfRegistrations } of profiles.criteria(profile))
        if (tellsOfRegistrations && holds(subject))
          chosen.push(this.#noted({ criterion, identity, seconds, register, believed, set, at }));
    }
    return Promise.all(chosen);
  }

  /** What a server sees is noted before: whoever goes on after a crash tells it how that went on. */
  async #noted(told: Omit<Told, 'owed'>): Promise<Told> {
    const { set, identity, criterion } = told;
    const { server, priority } = criterion;
    return { ...told, owed: await this.#options.owed.note({ set, identity, server, priority }) };
  }

  /** The registration as it is now; what the device sent is not known any more. */
  async #tellOwed(owed: OwedRegister): Promise<void> {
    const { profiles, subscribers, registrar, clock } = this.#options;
    const { set, identity, server, priority } = owed;
    const profile = (await subscribers.identity(identity))?.profile ?? DEFAULT_PROFILE;
    const found = profiles
      .criteria(profile)
      .find(({ criterion }) => criterion.server === server && criterion.priority === priority);
    if (!found) {
      this.#options.owed.settle(owed);
      this.#tellNext(server);
      return;
    }
    const at = clock.now();
    const seconds = secondsLeft((await registrar.lookup(set))?.bindings ?? [], at);
    const { criterion } = found;
    this.#add(
      await this.#noted({ criterion, identity, seconds, register: undefined, believed: false, set, at }),
    );
  }

  /** The service profiles of a set, each with the identity that stands for it: the one that registered, else the first. */
  async #profilesOf(set: string, wanted: string): Promise<ReadonlyMap<string, string>> {
    const { subscribers } = this.#options;
    const identities = (await subscribers.identity(set))?.set ?? [set];
    const found = new Map<string, string>();
    for (const identity of identities) {
      const profile = (await subscribers.identity(identity))?.profile ?? DEFAULT_PROFILE;
      if (identity === wanted || !found.has(profile)) found.set(profile, identity);
    }
    return found;
  }

  #add(told: Told): void {
    const { owed } = told;
    const { server } = owed;
    let queue = this.#queues.get(server);
    if (!queue) this.#queues.set(server, (queue = this.#open(server)));
    if (queue.add(`${told.set}\n${told.identity}\n${told.criterion.priority}`, told))
      this.#backlog.remove(owed);
    else if (!this.#backlog.add(owed)) {
      this.#options.owed.settle(owed);
      this.#note(told, 'core.server-not-told', 'too many wait');
    }
  }

  #open(server: string): ServerQueue<Told> {
    return new ServerQueue<Told>(
      this.#options.waiting,
      (told, superseded) =>
        this.#tell(told, superseded).catch((error: unknown) =>
          this.#options.log.error(
            { err: error, set: told.set },
            'a user whose server failed stays registered',
          ),
        ),
      () => this.#queues.delete(server),
    );
  }

  async #tell(told: Told, superseded: () => boolean): Promise<void> {
    if (this.#closed) return;
    const { criterion, seconds, set, at } = told;
    const status = await this.#send(told);
    if (this.#closed) return;
    this.#tellNext(criterion.server);
    this.#options.owed.settle(told.owed);
    if (status < 300) {
      this.#note(told, 'core.server-told', String(status));
      return;
    }
    this.#note(told, 'core.server-not-told', String(status));
    if (!isFailure(status) || criterion.defaultHandling === 'continued' || seconds === 0 || superseded())
      return;
    // what registered since is for the next third-party REGISTER to judge
    await this.#options.registrar.deregister(set, 'deactivated', ({ refreshedAt }) => refreshedAt <= at);
  }

  /** The final status; 408 when there is none in time. */
  async #send(told: Told): Promise<number> {
    const { stack, clock, log, patience } = this.#options;
    const { server } = told.criterion;
    const self = `sip:${ownPlace(stack.listeners, told.register?.request.source)}`;
    let timer: Timer | undefined;
    const late = new Promise<number>((resolve) => {
      timer = clock.after(patience, () => resolve(408));
    });
    try {
      const answer = stack.request(server, { method: 'REGISTER', ...thirdPartyRegister(told, self) });
      return await Promise.race([answer.then(({ status }) => status), late]);
    } catch (error) {
      log.warn({ err: error, server }, 'a third-party REGISTER could not be sent');
      return 503;
    } finally {
      timer?.cancel();
    }
  }

  #note({ criterion, identity, seconds, register }: Told, code: string, result: string): void {
    this.#options.trail.record({
      code,
      outcome: code === 'core.server-told' ? 'accepted' : 'refused',
      clause: '3GPP TS 24.229 §5.4.1.7',
      subject: identity,
      trace: register?.request.callId,
      detail: `${criterion.server} Expires ${seconds}: ${result}`,
    });
  }
}

/** What makes the default handling apply (3GPP TS 24.229 §5.4.1.7): no answer, 408 and 5xx. */
const isFailure = (status: number): boolean => status === 408 || (status >= 500 && status < 600);

/**
 * Of a change that servers are told of. That one of several devices went without a REGISTER, or got less time, is told by registration
 * events alone.
 */
function typeOf({ registration, changes, register }: RegistrationEvent): RegistrationType | undefined {
  const { bindings } = registration;
  if (bindings.length === 0) return 'de-registration';
  const fresh = changes.filter(({ event }) => event === 'registered').length;
  const gone = changes.some(({ event }) => event === 'unregistered');
  if (!register && fresh === 0 && !changes.some(({ event }) => event === 'refreshed')) return undefined;
  return fresh === bindings.length && !gone ? 'initial' : 're-registration';
}

function secondsLeft(bindings: readonly Binding[], now: number): number {
  let longest = 0;
  for (const { expiresAt } of bindings) longest = Math.max(longest, Math.ceil((expiresAt - now) / 1000));
  return longest;
}

/** What criteria are held against where no device sent anything. */
function registerOf(identity: string, domain: string, seconds: number): SipRequest {
  const address = `<${identity}>`;
  return new SipRequest(
    'REGISTER',
    `sip:${domain}`,
    Headers.from({ From: address, To: address, Expires: seconds }),
  );
}
