import type { Clock, Timer } from '../base/clock.js';
import { ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import { aorDomain, parseAor, type Aor } from '../identity/aor.js';
import { InstanceId } from '../identity/instance-id.js';
import { buildResponse } from '../sip/embedded/respond.js';
import { serialize } from '../sip/message/serialize.js';
import type { ServerRequest, ServerResponse } from '../sip/stack.js';
import type { Change, Store } from '../store/store.js';
import { Announcements } from './announcements.js';
import {
  applyRegister,
  emptyRegistration,
  removeBindings,
  removeExpired,
  shortenBindings,
  type Applied,
  type ApplyContext,
  type IndexesNeeded,
} from './apply.js';
import type { Authenticator } from './authenticator.js';
import { answeredChargingVector } from './charging.js';
import { ConnectionFlows } from './connection-flows.js';
import './errors.js';
import { FlowOwners } from './flow-owners.js';
import type { Gruus } from './gruus.js';
import {
  decodeRegister,
  type ContactRequest,
  type ExpiryPolicy,
  type RegisterCommand,
} from './register-command.js';
import { findRegistrant, type Registrant } from './registrant.js';
import { registerResponse } from './register-response.js';
import {
  registrations,
  type AnsweredRegister,
  type Binding,
  type BindingChange,
  type ContactEvent,
  type Registration,
  type RegistrationEvent,
} from './registration.js';
import { refuseRoaming } from './roaming.js';
import type { Subscribers } from './subscribers.js';

export interface RegistrarOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly subscribers: Subscribers;
  readonly gruus: Gruus;
  readonly authenticator: Authenticator;
  /** Home domains, lower-case; the first one is the realm. */
  readonly domains: readonly string[];
  readonly expiry: ExpiryPolicy;
  readonly maxContacts: number;
  readonly matching: 'instance' | 'contact';
  /** Whether GRUUs are issued at all. */
  readonly gruu: boolean;
  /** Identities of the home domains that nobody provisioned may register (only with open authentication). */
  readonly openDomain: boolean;
  /** IP addresses of edge proxies and other peers inside the trust domain. */
  readonly trusted: ReadonlySet<string>;
  /** Names of networks that REGISTERs may come from, lower case; undefined for all. */
  readonly visitedNetworks?: ReadonlySet<string> | undefined;
  /** The largest message that can be answered, in octets; undefined where nothing need be spared. */
  readonly maxMessageBytes?: number | undefined;
  /** The same of one header field with all its values. */
  readonly maxFieldBytes?: number | undefined;
  /** This node in the names of its flows, where others use the same store. */
  readonly node?: string | undefined;
  /** Service-Route values for the 200, by the listener the request came in on (RFC 3608). */
  serviceRoute(request: ServerRequest): readonly string[];
}

/** A device that a node of this server stands for: a phone of another system. */
export interface StandInDevice {
  readonly contact: ContactRequest;
  /** Constant while the device stays: another one ends the validity of its temporary GRUUs. */
  readonly callId: string;
  /** Route values that lead to the node. */
  readonly path: readonly string[];
  readonly userAgent?: string | undefined;
}

/** The same command as the next one of its Call-ID: the order of a stand-in's registrations is that of its calls. */
function following(command: RegisterCommand, { bindings }: Registration): RegisterCommand {
  const last = bindings.find(({ callId }) => callId === command.callId);
  return last ? { ...command, cseq: last.cseq + 1 } : command;
}

type Decode = (before: Registration) => RegisterCommand;

interface Attempt<A = Applied | IndexesNeeded> {
  readonly command: RegisterCommand;
  readonly applied: A;
}

type Committed = Attempt<Applied>;

function isCommitted(attempt: Attempt): attempt is Committed {
  return !('indexesNeeded' in attempt.applied);
}

/** What the store is to do with a registration after that. */
function changeTo<R>({ registration, changes }: Applied, result: R): Change<Registration, R> {
  if (changes.length === 0) return { kind: 'keep', result };
  const { bindings, away = [] } = registration;
  if (bindings.length === 0 && away.length === 0) return { kind: 'remove', result };
  let deadline = Infinity;
  for (const { expiresAt } of bindings) deadline = Math.min(deadline, expiresAt);
  return { kind: 'put', value: registration, deadline, result };
}

const noIndexes: ReadonlyMap<string, number> = new Map();

const SWEEP_MS = 1_000;
/** Octets of Service-Route, P-Associated-URI, charging and authentication in a 200. */
const REST_OF_RESPONSE = 1_500;
const SWEEP_BATCH = 500;

/** The registrar of the home domains (RFC 3261 §10, 3327, 3608, 5626, 5627). */
export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #announcements: Announcements;
  /** What is bound to connections, and goes with them. */
  readonly connections: ConnectionFlows;
  readonly #flowOwners = new FlowOwners();
  #sweep: Timer | undefined;
  #closed = false;

  constructor(options: RegistrarOptions) {
    this.#options = options;
    this.connections = new ConnectionFlows({
      store: options.store,
      node: options.node,
      removeLost: (set, chosen) => this.deregister(set, 'expired', chosen),
    });
    this.#announcements = new Announcements(options.log);
    this.#scheduleSweep();
  }

  /** Handles a REGISTER whose Request-URI may or may not be ours. Failures are thrown as ParleyError for the stack to answer. */
  async handle(request: ServerRequest, response: ServerResponse): Promise<void> {
    const { trail } = this.#options;
    if (!this.#options.domains.includes(request.requestUri.host) || request.requestUri.user !== undefined) {
      throw new ParleyError('register-wrong-domain', request.requestUri.host);
    }
    const { visitedNetworks } = this.#options;
    if (visitedNetworks && this.#options.trusted.has(request.source.address))
      refuseRoaming(request, visitedNetworks);
    const judged = this.#options.authenticator.authenticate(request, 'registrar');
    const authentication = judged instanceof Promise ? await judged : judged;
    if (authentication.kind === 'refused') throw authentication.error;
    if (authentication.kind === 'challenge') {
      response.send(authentication.status, { headers: authentication.headers });
      return;
    }
    const found = findRegistrant(request, authentication.privateId, this.#options);
    const registrant = found instanceof Promise ? await found : found;
    let committed: Committed;
    try {
      const decode: Decode = ({ bindings }) =>
        decodeRegister(request, this.#options.expiry, registrant.aor, bindings);
      const attempt = await this.#attempt(registrant, decode);
      committed = isCommitted(attempt) ? attempt : await this.#commit(registrant, decode, attempt);
    } catch (error) {
      if (!(error instanceof ParleyError) || error.code !== 'register-brief') throw error;
      this.#refuseBrief(request, response);
      return;
    }
    const { command, applied } = committed;
    const { registration, changes } = applied;
    const { clock, gruu, gruus, trusted, domains } = this.#options;
    const fields = registerResponse(registration, command, {
      aor: registrant.aor,
      set: registrant.set,
      now: clock.now(),
      gruus: gruu ? gruus : undefined,
      serviceRoute: this.#options.serviceRoute(request),
      room: this.#roomFor(request),
    });
    let headers = authentication.headers ? { ...fields, ...authentication.headers } : fields;
    if (trusted.has(request.source.address))
      headers = { ...headers, 'P-Charging-Vector': answeredChargingVector(request, domains[0]!) };
    const register: AnsweredRegister = {
      aor: registrant.aor,
      request,
      answer: () => buildResponse(request, 200, response.tag, { headers }),
    };
    const told = this.#announce(registrant.set[0]!, applied, register, () => {
      response.send(200, { headers });
      trail.record({
        code:
          command.kind === 'query'
            ? 'register.queried'
            : changes.some((change) => change.event === 'registered')
              ? 'register.stored'
              : 'register.updated',
        outcome: 'accepted',
        clause: 'RFC 3261 §10.3',
        subject: registrant.aor,
        trace: request.callId,
      });
    });
    if (told) await told;
  }

  /** The registration of an identity's set, without what has expired, or undefined when there is none. */
  async lookup(set: string): Promise<Registration | undefined> {
    const registration = await this.#options.store.get(registrations, set);
    return registration && removeExpired(registration, this.#options.clock.now()).registration;
  }

  /** Key of the implicit set that an identity belongs to, or undefined when it is not one of this domain or is barred. */
  async setOf(aor: string): Promise<string | undefined> {
    const row = await this.#options.subscribers.identity(aor);
    if (row) return row.barred ? undefined : row.set[0];
    return this.#options.openDomain && this.#options.domains.includes(aorDomain(aor as Aor) ?? '')
      ? aor
      : undefined;
  }

  /** Key of the set that alone is registered over a flow of this node, where that is known. */
  async setOver(flow: string): Promise<string | undefined> {
    let found: string | undefined;
    for (const set of this.#flowOwners.of(flow)) {
      const registration = await this.lookup(set);
      if (!registration?.bindings.some((binding) => binding.flow === flow)) continue;
      if (found !== undefined) return undefined;
      found = set;
    }
    return found;
  }

  /** All sets with bindings in order of their keys, after `after`. */
  async *list(after?: string): AsyncGenerator<{ set: string; registration: Registration }> {
    for await (const { key, value } of this.#options.store.scan(
      registrations,
      after === undefined ? {} : { after },
    )) {
      const { registration } = removeExpired(value, this.#options.clock.now());
      if (registration.bindings.length > 0) yield { set: key, registration };
    }
  }

  /**
   * Registers a device on behalf of a user of the domain, without a REGISTER: a node of this server that stands for the device
   * vouches for it.
   * @returns false when the identity is not one of the domain, or is barred.
   * @throws ParleyError `register-too-many-contacts`
   */
  async registerFor(identity: string, device: StandInDevice): Promise<boolean> {
    const aor = parseAor(identity);
    const row = await this.#options.subscribers.identity(aor);
    if (row?.barred) return false;
    const set = row?.set ?? (this.#options.openDomain && (await this.setOf(aor)) ? [aor] : undefined);
    if (!set) return false;
    const command: RegisterCommand = {
      kind: 'update',
      contacts: [device.contact],
      callId: device.callId,
      cseq: 1,
      path: device.path,
      wantsGruu: true,
      outbound: false,
      direct: false,
      flow: undefined,
      flowOnly: false,
      userAgent: device.userAgent?.slice(0, 128),
    };
    const registrant = { aor, privateId: row?.privateId ?? aor, set };
    const { applied } = await this.#commit(registrant, (before) => following(command, before));
    await this.#announce(set[0]!, applied);
    return true;
  }

  /**
   * Network-initiated de-registration of a set, or of what `chosen` picks from it.
   * @returns the bindings that went.
   */
  async deregister(
    set: string,
    event: ContactEvent,
    chosen: (binding: Binding) => boolean = () => true,
  ): Promise<readonly Binding[]> {
    const applied = await this.#update(set, (before) =>
      removeBindings(before, before.bindings.filter(chosen), event),
    );
    await this.#announce(set, applied);
    return applied.changes.map((change) => change.binding);
  }

  /**
   * Network-initiated re-authentication (3GPP TS 24.229 §5.4.1.6): what `chosen` picks of a set gets that many seconds at most.
   * @returns the bindings that lost time.
   */
  async reauthenticate(
    set: string,
    seconds: number,
    chosen: (binding: Binding) => boolean = () => true,
  ): Promise<readonly Binding[]> {
    const { clock, trail } = this.#options;
    const applied = await this.#update(set, (before) =>
      shortenBindings(before, before.bindings.filter(chosen), clock.now() + seconds * 1000),
    );
    for (const { binding } of applied.changes)
      trail.record({
        code: 'register.shortened',
        outcome: 'noted',
        clause: '3GPP TS 24.229 §5.4.1.6',
        subject: binding.aor,
        trace: binding.callId,
      });
    await this.#announce(set, applied);
    return applied.changes.map((change) => change.binding);
  }

  /** A connection of this node has gone. */
  flowClosed(flow: string): Promise<void> {
    this.#flowOwners.delete(flow);
    return this.connections.closed(flow);
  }

  /** Calls `listener` after every committed change, in the order of commits for each set. */
  onChange(listener: (event: RegistrationEvent) => void): () => void {
    return this.#announcements.onChange(listener);
  }

  /**
   * What has to be in the store, beside the bindings, before a REGISTER is answered and listeners are told: `prepare` gives undefined when that
   * is nothing, and must not reject. The last one set counts.
   */
  beforeTold(prepare: (event: RegistrationEvent) => Promise<void> | undefined): void {
    this.#announcements.beforeTold(prepare);
  }

  close(): void {
    this.#closed = true;
    this.#sweep?.cancel();
  }

  /** What the 200 has besides its contacts is copied from the request, or is short. */
  #roomFor(request: ServerRequest): number | undefined {
    const { maxMessageBytes, maxFieldBytes = Infinity } = this.#options;
    if (maxMessageBytes === undefined) return undefined;
    return Math.min(maxFieldBytes, maxMessageBytes - serialize(request).length - REST_OF_RESPONSE);
  }

  /** RFC 3261 §10.3 step 7. */
  #refuseBrief(request: ServerRequest, response: ServerResponse): void {
    const { expiry, trail } = this.#options;
    response.send(423, { headers: { 'Min-Expires': String(expiry.minimum) } });
    trail.record({
      code: 'register.brief',
      outcome: 'refused',
      clause: 'RFC 3261 §10.3',
      trace: request.callId,
    });
  }

  /** Goes on from an attempt, the first one when it is absent, until all indexes that are needed are there. */
  async #commit(registrant: Registrant, decode: Decode, attempt?: Attempt): Promise<Committed> {
    const { aor } = registrant;
    const set = registrant.set[0]!;
    const indexes = new Map<string, number>();
    let last = attempt ?? (await this.#attempt(registrant, decode));
    while (!isCommitted(last)) {
      for (const instanceKey of (last.applied as IndexesNeeded).indexesNeeded)
        indexes.set(instanceKey, await this.#options.gruus.allocateIndex({ set, aor, instanceKey }));
      last = await this.#attempt(registrant, decode, indexes);
    }
    return last;
  }

  /**
   * Nearly always the only one.
   * @param decode gives the command, beside the record: what the record has already need not be read again.
   */
  #attempt(
    registrant: Registrant,
    decode: Decode,
    indexes: ReadonlyMap<string, number> = noIndexes,
  ): Promise<Attempt> {
    const { store, clock, maxContacts, matching } = this.#options;
    const { aor, privateId, set } = registrant;
    const context: ApplyContext = {
      aor,
      privateId,
      now: clock.now(),
      maxContacts,
      matching,
      gr: this.#gr,
      indexes,
    };
    return store.update(registrations, set[0]!, (current): Change<Registration, Attempt> => {
      const before = current ?? emptyRegistration;
      const command = decode(before);
      const applied = applyRegister(before, command, context);
      const attempt = { command, applied };
      return 'indexesNeeded' in applied ? { kind: 'keep', result: attempt } : changeTo(applied, attempt);
    });
  }

  readonly #gr = (urn: string): string => this.#options.gruus.gr(InstanceId.fromUrn(urn));

  #update(set: string, change: (before: Registration) => Applied): Promise<Applied> {
    return this.#options.store.update(registrations, set, (current): Change<Registration, Applied> => {
      const applied = change(current ?? emptyRegistration);
      return changeTo(applied, applied);
    });
  }

  #announce(
    set: string,
    { changes, registration, gone }: Applied,
    register?: AnsweredRegister,
    answer?: () => void,
  ): Promise<void> | undefined {
    if (changes.length === 0) {
      answer?.();
      return undefined;
    }
    for (const { index } of gone) this.#release(index);
    const watched = register && this.#watchFlows(set, changes);
    return this.#announcements.tell({ set, changes, registration, register }, answer, watched);
  }

  /** A row that stays because the store failed leads to nothing and only takes room. */
  #release(index: number): void {
    const { gruus, log } = this.#options;
    gruus
      .releaseIndex(index)
      .catch((error: unknown) => log.warn({ err: error }, 'the index of a gone instance stays in the store'));
  }

  /** @returns what must be waited for before the REGISTER that made these changes is answered. */
  #watchFlows(set: string, changes: readonly BindingChange[]): Promise<void> | undefined {
    let stored: Promise<void> | undefined;
    for (const { event, binding } of changes) {
      const { flow, flowOnly } = binding;
      if (flow === undefined || (event !== 'registered' && event !== 'refreshed')) continue;
      this.#flowOwners.add(flow, set);
      // the bindings of one REGISTER share its flow
      if (flowOnly && !flow.startsWith('udp')) stored = this.connections.add(flow, set);
    }
    return stored;
  }

  #scheduleSweep(): void {
    this.#sweep = this.#options.clock.after(SWEEP_MS, () => {
      void this.#expire()
        .catch((error: unknown) =>
          this.#options.log.error({ err: error }, 'expiry of bindings failed; it is tried again'),
        )
        .finally(() => {
          if (!this.#closed) this.#scheduleSweep();
        });
    });
  }

  /** Expiry acts: what is due leaves the store and is announced. */
  async #expire(): Promise<void> {
    const { store, clock, trail } = this.#options;
    for (;;) {
      const due = await store.due(registrations, clock.now(), SWEEP_BATCH);
      for (const set of due) {
        const applied = await this.#update(set, (before) => removeExpired(before, clock.now()));
        for (const { binding } of applied.changes) {
          trail.record({
            code: 'register.expired',
            outcome: 'noted',
            clause: 'RFC 3261 §10.3',
            subject: binding.aor,
            trace: binding.callId,
          });
        }
        void this.#announce(set, applied);
      }
      if (due.length < SWEEP_BATCH || this.#closed) return;
    }
  }
}
