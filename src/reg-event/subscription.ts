import type { Clock, Timer } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Registrar } from '../registrar/registrar.js';
import type { BindingChange, ContactEvent, Registration } from '../registrar/registration.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { SipResponse } from '../sip/message/message.js';
import { retryAfterSeconds } from '../sip/message/times.js';
import type { ServerRequest, ServerResponse } from '../sip/stack.js';
import type { KeptSubscription, Notification, SubscriptionUser } from '../subscriptions/kept-subscription.js';
import { partsOf } from './document-parts.js';
import { REGINFO_TYPE, writeReginfo } from './reginfo.js';

/** What all subscriptions are given. */
export interface SubscriptionContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly registrar: Registrar;
  readonly subscribers: Subscribers;
  /** Undefined when GRUUs are switched off. */
  readonly gruus: Gruus | undefined;
  readonly settings: {
    /** Documents after the first hold everything (`full`, as 3GPP TS 24.229 wants) or what changed (`partial`, RFC 3680 §5.1). */
    readonly documents: 'full' | 'partial';
    /** Seconds between two NOTIFYs of one subscription at least; what happens meanwhile comes together (RFC 3680 §4.10). */
    readonly interval: number;
  };
  /** Whether other nodes change registrations too. */
  readonly shared: boolean;
  /** The largest NOTIFY that can be sent, in octets. */
  readonly maxMessageBytes: number;
  /** Answers a request of the watcher inside the dialog. */
  inDialog(subscription: Subscription, request: ServerRequest, response: ServerResponse): Promise<void>;
  ended(subscription: Subscription): void;
}

/** Who watches: the user itself (who also learns temporary GRUUs), or a node of the trust domain. */
export type Watcher = 'user' | 'network';

interface State {
  readonly identities: readonly string[];
  readonly wildcards: readonly string[] | undefined;
  readonly changes: readonly BindingChange[];
  readonly registration: Registration;
}

/** Octets of the header of a NOTIFY. */
const HEAD_OCTETS = 2_000;

const EMPTY: Registration = { bindings: [], instances: [] };
const nothing: ReadonlyMap<string, BindingChange> = new Map();

/** After which a contact is no more. */
const FINAL: ReadonlySet<ContactEvent> = new Set([
  'expired',
  'deactivated',
  'probation',
  'unregistered',
  'rejected',
]);

/** Before the store is asked again for a state that it could not give. */
const STORE_RETRY_MS = 1_000;

/** NOTIFYs after one that was refused: how many, and before the first and at most before the others. */
const TRIES = 6;
const NOTIFY_RETRY_MS = 2_000;
const MAX_WAIT_MS = 600_000;

/** One watcher of one registration set: what it was told, and what is still to be told. */
export class Subscription implements SubscriptionUser {
  readonly kept: KeptSubscription;
  readonly #context: SubscriptionContext;
  /** Not told yet: the last change of each contact. */
  #pending: ReadonlyMap<string, BindingChange> = nothing;
  /** What the next document is made from, when that is known. */
  #registration: Registration | undefined;
  #full = true;
  /** Something is to be told that is no change. */
  #wanted = false;
  /** How often the registration changed. */
  #changes = 0;
  #sending = false;
  #sentAt = -Infinity;
  /** NOTIFYs that were refused one after the other. */
  #refused = 0;
  #timer: Timer | undefined;

  constructor(kept: KeptSubscription, context: SubscriptionContext) {
    this.kept = kept;
    this.#context = context;
  }

  get set(): string {
    return this.kept.resource;
  }

  /** Whether something was sent by this process. */
  get told(): boolean {
    return this.#sentAt > -Infinity;
  }

  /** Tells the whole state at once, as it is in the store unless a change tells it meanwhile. */
  async tellAll(): Promise<void> {
    const changes = this.#changes;
    const found = await this.#context.registrar.lookup(this.set);
    if (this.#changes === changes) this.#registration = found ?? EMPTY;
    this.#full = true;
    this.#wanted = true;
    this.#sentAt = -Infinity;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#notify();
  }

  /** @param registration as the change left it; undefined when it is another node's and to be read. */
  changed(changes: readonly BindingChange[], registration: Registration | undefined): void {
    const pending = new Map(this.#pending);
    for (const change of changes) pending.set(change.binding.id, change);
    this.#pending = pending;
    if (registration) this.#registration = registration;
    this.#changes++;
    this.#notify();
  }

  request(request: ServerRequest, response: ServerResponse): Promise<void> {
    return this.#context.inDialog(this, request, response);
  }

  ended(): void {
    this.#timer?.cancel();
    this.#context.ended(this);
  }

  /** One NOTIFY at a time and no faster than the interval; what comes meanwhile goes into the next one. */
  #notify(): void {
    if (this.#sending || this.#timer) return;
    const { clock, settings, log } = this.#context;
    const wait = this.#sentAt + settings.interval * 1000 - clock.now();
    if (wait > 0) {
      this.#timer = clock.after(wait, () => {
        this.#timer = undefined;
        this.#notify();
      });
      return;
    }
    this.#sending = true;
    this.#wanted = false;
    this.#sentAt = clock.now();
    this.#send()
      .catch((error: unknown) => log.warn({ err: error, set: this.set }, 'a NOTIFY could not be sent'))
      .finally(() => {
        this.#sending = false;
        if ((this.#wanted || this.#pending.size > 0) && this.kept.dialog.state !== 'terminated')
          this.#notify();
      });
  }

  async #send(): Promise<void> {
    const state = await this.#state();
    let others: readonly State[] = [];
    let response = await this.kept.notify((version) => {
      const { maxMessageBytes, settings } = this.#context;
      const kind = this.#full ? 'full' : settings.documents;
      this.#full = false;
      const whole = this.#document(state, version, kind);
      const [size, room] = [Buffer.byteLength(whole.body), maxMessageBytes - HEAD_OCTETS];
      if (size <= room) return whole;
      const [first, ...rest] = partsOf(state, size, room);
      others = rest;
      return this.#document(first, version, kind);
    });
    for (const part of others) {
      if (response.status >= 300) break;
      response = await this.kept.notify((version) => this.#document(part, version, 'partial'));
    }
    if (response.status < 300) this.#refused = 0;
    else this.#sendAgain(response, state.changes);
  }

  /** A watcher that could not take a NOTIFY gets the whole state later, unless its answer ended the subscription (RFC 6665 §4.2.2). */
  #sendAgain(response: SipResponse, changes: readonly BindingChange[]): void {
    if (this.kept.dialog.state === 'terminated' || this.#refused >= TRIES) return;
    this.#full = true;
    this.#pending = new Map([
      ...changes.map((change) => [change.binding.id, change] as const),
      ...this.#pending,
    ]);
    const asked = (retryAfterSeconds(response.get('Retry-After') ?? '') ?? 0) * 1_000;
    const wait = Math.min(MAX_WAIT_MS, Math.max(asked, NOTIFY_RETRY_MS * 2 ** this.#refused));
    this.#refused++;
    this.#timer ??= this.#context.clock.after(wait, () => {
      this.#timer = undefined;
      this.#notify();
    });
  }

  #document(told: State, version: number, state: 'full' | 'partial'): Notification {
    const { registration, changes } = told;
    const { clock, gruus } = this.#context;
    const withTemporary = this.kept.watcher === 'user';
    const body = writeReginfo({ ...told, version, state, now: clock.now(), gruus, withTemporary });
    // nothing is left to watch (3GPP TS 24.229 §5.4.2.1.2)
    const over = registration.bindings.length === 0 && changes.length > 0;
    const headers = {
      'Content-Type': REGINFO_TYPE,
      ...(over ? { 'Subscription-State': 'terminated;reason=deactivated' } : {}),
    };
    return { headers, body };
  }

  /**
   * What the next document tells, with the changes taken from those to be told. Where other nodes change the registration
   * too it is read after them, since what they and this node tell may come in another order than it happened.
   */
  async #state(): Promise<State> {
    const { subscribers, registrar, shared, clock, log } = this.#context;
    for (;;) {
      let pending = nothing;
      try {
        if (this.kept.exhausted) await this.kept.reserve();
        const { set: identities, wildcards } = (await subscribers.identity(this.set)) ?? { set: [this.set] };
        // taken together, with no await in between: the changes are those of this registration, or of one before
        pending = this.#pending;
        this.#pending = nothing;
        const known = shared ? undefined : this.#registration;
        this.#registration = undefined;
        const registration = known ?? (await registrar.lookup(this.set)) ?? EMPTY;
        const living = new Set(registration.bindings.map(({ id }) => id));
        // what another node changed since is still to be told, and will be next
        const changes = [...pending.values()].filter(
          ({ event, binding }) => FINAL.has(event) !== living.has(binding.id),
        );
        return { identities, wildcards, changes, registration };
      } catch (error) {
        if (this.kept.dialog.state === 'terminated') throw error;
        this.#pending = new Map([...pending, ...this.#pending]);
        log.warn({ err: error, set: this.set }, 'a NOTIFY waits for the store');
        await new Promise<void>((resolve) => clock.after(STORE_RETRY_MS, resolve));
      }
    }
  }
}
