import type { Clock, Timer } from '../base/clock.js';
import { ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Registrar } from '../registrar/registrar.js';
import type { RegistrationFeed } from '../registrar/registration-feed.js';
import type {
  BindingChange,
  ContactEvent,
  Registration,
  RegistrationEvent,
} from '../registrar/registration.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { SipRequest } from '../sip/message/message.js';
import type { Dialog, ServerRequest, ServerResponse, SipStack } from '../sip/stack.js';
import './errors.js';
import { REGINFO_TYPE, writeReginfo } from './reginfo.js';

export interface NotifierOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly registrar: Registrar;
  readonly subscribers: Subscribers;
  /** Undefined when GRUUs are switched off. */
  readonly gruus: Gruus | undefined;
  /** What other nodes on the same store change; undefined when there are none. */
  readonly feed?: RegistrationFeed | undefined;
  readonly settings: NotifierSettings;
}

export interface NotifierSettings {
  /** Seconds granted at most, at least, and to a SUBSCRIBE that asks for none (RFC 3680 §4.4). */
  readonly expires: { readonly maximum: number; readonly minimum: number; readonly standard: number };
  /** Documents after the first hold everything (`full`, as 3GPP TS 24.229 wants) or what changed (`partial`, RFC 3680 §5.1). */
  readonly documents: 'full' | 'partial';
  /** Seconds between two NOTIFYs of one subscription at least; what happens meanwhile comes together (RFC 3680 §4.10). */
  readonly interval: number;
  /** Subscriptions to one registration set, and altogether. */
  readonly perSet: number;
  readonly total: number;
}

/** A SUBSCRIBE whose sender the core knows. */
export interface RegSubscribe {
  readonly request: ServerRequest;
  readonly response: ServerResponse;
  /** Key of the registration set that is watched. */
  readonly set: string;
  /** The user itself (who also learns temporary GRUUs), a node of the trust domain, or anybody else. */
  readonly watcher: 'user' | 'network' | 'stranger';
}

const EMPTY: Registration = { bindings: [], instances: [] };

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

/** All subscriptions to one registration set. */
interface Watched {
  readonly subscriptions: Set<Subscription>;
  /** Ends the listening to other nodes. */
  readonly end: (() => void) | undefined;
}

/** One subscription: a dialog and what it was told. */
class Subscription {
  readonly set: string;
  readonly dialog: Dialog;
  readonly withTemporary: boolean;
  version = 0;
  /** Not told yet: the last change of each contact. */
  pending = new Map<string, BindingChange>();
  /** What the next document is made from. */
  registration: Registration = EMPTY;
  full = true;
  /** How often the registration changed. */
  changes = 0;
  sending = false;
  sentAt = -Infinity;
  timer: Timer | undefined;

  constructor(set: string, dialog: Dialog, withTemporary: boolean) {
    this.set = set;
    this.dialog = dialog;
    this.withTemporary = withTemporary;
  }
}

/**
 * The notifier of the reg event package (RFC 3680, RFC 5628, 3GPP TS 24.229 §5.4.2.1). Subscriptions live in the process: after a
 * restart a refresh gets 481, on which the subscriber subscribes anew (RFC 6665 §4.1.2.2).
 */
export class RegEventNotifier {
  readonly #options: NotifierOptions;
  readonly #bySet = new Map<string, Watched>();
  readonly #unlisten: () => void;
  #count = 0;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#unlisten = options.registrar.onChange(({ set, changes, registration }: RegistrationEvent) =>
      this.#changed(set, changes, registration),
    );
  }

  /** Living subscriptions. */
  get count(): number {
    return this.#count;
  }

  close(): void {
    this.#unlisten();
  }

  /** Answers a SUBSCRIBE outside dialogs and sends the first NOTIFY. @throws ParleyError `reg-event-*` */
  async subscribe({ request, response, set, watcher }: RegSubscribe): Promise<void> {
    const { stack, trail, settings } = this.#options;
    if (watcher === 'stranger') throw this.#refused('reg-event-forbidden', 'RFC 3680 §4.6', request, set);
    if (request.contacts.length !== 1)
      throw this.#refused('reg-event-no-contact', 'RFC 6665 §4.2.1.1', request, set);
    if (!accepts(request)) throw this.#refused('reg-event-not-acceptable', 'RFC 3680 §4.5', request, set);
    const expires = this.#grant(request, response);
    if (expires === undefined) return;
    if ((this.#bySet.get(set)?.subscriptions.size ?? 0) >= settings.perSet || this.#count >= settings.total)
      throw this.#refused('reg-event-too-many', 'RFC 6665 §4.2.1.1', request, set);
    const dialog = await stack.createUAS(request, response, { headers: { Expires: expires } });
    const subscription = new Subscription(set, dialog, watcher === 'user');
    this.#add(subscription);
    dialog.onRequest((again, answer) => this.#inDialog(subscription, again, answer));
    dialog.onEnd(() => this.#remove(subscription));
    trail.record({
      code: 'reg-event.subscribed',
      outcome: 'accepted',
      clause: 'RFC 3680 §4.6',
      subject: set,
      trace: request.callId,
      detail: watcher,
    });
    await this.#look(subscription);
  }

  /** Tells the whole state, as it is in the store unless a change tells it meanwhile. */
  async #look(subscription: Subscription): Promise<void> {
    const { changes } = subscription;
    const found = (await this.#options.registrar.lookup(subscription.set)) ?? EMPTY;
    if (subscription.changes === changes) subscription.registration = found;
    subscription.full = true;
    this.#notify(subscription);
  }

  #refused(code: string, clause: string, request: SipRequest, set: string): ParleyError {
    this.#options.trail.record({
      code: 'reg-event.refused',
      outcome: 'refused',
      clause,
      subject: set,
      trace: request.callId,
      detail: code,
    });
    return new ParleyError(code);
  }

  /** Seconds granted; undefined when 423 was answered (RFC 6665 §4.2.1.1). */
  #grant(request: SipRequest, response: ServerResponse): number | undefined {
    const { maximum, minimum, standard } = this.#options.settings.expires;
    const asked = request.number('Expires') ?? standard;
    if (asked > 0 && asked < 3_600 && asked < minimum) {
      response.send(423, { headers: { 'Min-Expires': minimum } });
      return undefined;
    }
    return Math.min(asked, maximum);
  }

  /** A refresh, or the end when it asks for 0 seconds; either brings the whole state again (RFC 6665 §4.2.1.2). */
  async #inDialog(
    subscription: Subscription,
    request: ServerRequest,
    response: ServerResponse,
  ): Promise<void> {
    if (request.method !== 'SUBSCRIBE') {
      response.send(405, { headers: { Allow: 'SUBSCRIBE' } });
      return;
    }
    const expires = this.#grant(request, response);
    if (expires === undefined) return;
    response.send(200, { headers: { Expires: expires } });
    subscription.sentAt = -Infinity;
    await this.#look(subscription);
  }

  #add(subscription: Subscription): void {
    const { set } = subscription;
    let watched = this.#bySet.get(set);
    if (!watched) {
      const end = this.#options.feed?.watch(set, (changes) => this.#changed(set, changes));
      this.#bySet.set(set, (watched = { subscriptions: new Set(), end }));
    }
    watched.subscriptions.add(subscription);
    this.#count++;
  }

  #remove(subscription: Subscription): void {
    subscription.timer?.cancel();
    const watched = this.#bySet.get(subscription.set);
    if (!watched?.subscriptions.delete(subscription)) return;
    this.#count--;
    if (watched.subscriptions.size > 0) return;
    this.#bySet.delete(subscription.set);
    watched.end?.();
  }

  /** @param registration as the change left it; undefined when it is another node's and to be read. */
  #changed(set: string, changes: readonly BindingChange[], registration?: Registration): void {
    for (const subscription of this.#bySet.get(set)?.subscriptions ?? []) {
      for (const change of changes) subscription.pending.set(change.binding.id, change);
      if (registration) subscription.registration = registration;
      subscription.changes++;
      this.#notify(subscription);
    }
  }

  /** One NOTIFY at a time and no faster than the interval; what comes meanwhile goes into the next one. */
  #notify(subscription: Subscription): void {
    if (subscription.sending || subscription.timer) return;
    const { clock, settings, log } = this.#options;
    const wait = subscription.sentAt + settings.interval * 1000 - clock.now();
    if (wait > 0) {
      subscription.timer = clock.after(wait, () => {
        subscription.timer = undefined;
        this.#notify(subscription);
      });
      return;
    }
    subscription.sending = true;
    subscription.sentAt = clock.now();
    this.#send(subscription)
      .catch((error: unknown) =>
        log.warn({ err: error, set: subscription.set }, 'a NOTIFY could not be sent'),
      )
      .finally(() => {
        subscription.sending = false;
        if (subscription.pending.size > 0 && subscription.dialog.state !== 'terminated')
          this.#notify(subscription);
      });
  }

  async #send(subscription: Subscription): Promise<void> {
    const { clock, gruus, settings } = this.#options;
    const { dialog, withTemporary } = subscription;
    const { identities, pending, registration } = await this.#state(subscription);
    const living = new Set(registration.bindings.map(({ id }) => id));
    // what another node changed since is still to be told, and will be next
    const changes = [...pending.values()].filter(
      ({ event, binding }) => FINAL.has(event) !== living.has(binding.id),
    );
    const state = subscription.full ? 'full' : settings.documents;
    subscription.full = false;
    const body = writeReginfo({
      identities,
      registration,
      changes,
      version: subscription.version++,
      state,
      now: clock.now(),
      gruus,
      withTemporary,
    });
    // nothing is left to watch (3GPP TS 24.229 §5.4.2.1.2)
    const over = registration.bindings.length === 0 && changes.length > 0;
    await dialog.send({
      method: 'NOTIFY',
      body,
      headers: {
        'Content-Type': REGINFO_TYPE,
        ...(over ? { 'Subscription-State': 'terminated;reason=deactivated' } : {}),
      },
    });
  }

  /**
   * What the next document tells, with the changes it has taken from the subscription. Where other nodes change the registration
   * too it is read after them, since what they and this node tell may come in another order than it happened.
   */
  async #state(subscription: Subscription): Promise<{
    readonly identities: readonly string[];
    readonly pending: ReadonlyMap<string, BindingChange>;
    readonly registration: Registration;
  }> {
    const { subscribers, registrar, feed, clock, log } = this.#options;
    const { set } = subscription;
    for (;;) {
      try {
        const identities = (await subscribers.identity(set))?.set ?? [set];
        // taken together, with no await in between: the changes are those of this registration, or of one before
        const { pending } = subscription;
        subscription.pending = new Map();
        if (!feed) return { identities, pending, registration: subscription.registration };
        try {
          return { identities, pending, registration: (await registrar.lookup(set)) ?? EMPTY };
        } catch (error) {
          subscription.pending = new Map([...pending, ...subscription.pending]);
          throw error;
        }
      } catch (error) {
        if (subscription.dialog.state === 'terminated') throw error;
        log.warn({ err: error, set }, 'a NOTIFY waits for the store');
        await new Promise<void>((resolve) => clock.after(STORE_RETRY_MS, resolve));
      }
    }
  }
}

/** Without Accept, reginfo is what is meant (RFC 3680 §4.5). */
function accepts(request: SipRequest): boolean {
  const lines = request.headers.list('Accept');
  if (lines.length === 0) return true;
  const types = lines.map((line) => line.split(';')[0]!.trim().toLowerCase());
  return types.some((type) => type === REGINFO_TYPE || type === 'application/*' || type === '*/*');
}
