import type { Clock } from '../base/clock.js';
import { ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import type { Gruus } from '../registrar/gruus.js';
import type { Registrar } from '../registrar/registrar.js';
import type { RegistrationFeed } from '../registrar/registration-feed.js';
import type { BindingChange, Registration, RegistrationEvent } from '../registrar/registration.js';
import type { Subscribers } from '../registrar/subscribers.js';
import type { SipRequest } from '../sip/message/message.js';
import type { ServerRequest, ServerResponse } from '../sip/stack.js';
import type { KeptSubscription } from '../subscriptions/kept-subscription.js';
import type { SubscriptionKeeper } from '../subscriptions/subscription-keeper.js';
import './errors.js';
import { REGINFO_TYPE } from './reginfo.js';
import { Subscription, type SubscriptionContext, type Watcher } from './subscription.js';

export interface NotifierOptions {
  readonly keeper: SubscriptionKeeper;
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
  /** The largest NOTIFY that can be sent, in octets. */
  readonly maxMessageBytes: number;
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
  readonly watcher: Watcher | 'stranger';
}

/** After a restart the watchers are told how things are, so many at a time. */
const TOLD_AT_ONCE = 50;
const TOLD_EVERY_MS = 100;

/**
 * The notifier of the reg event package (RFC 3680, RFC 5628, 3GPP TS 24.229 §5.4.2.1). Subscriptions outlive the process
 * ({@link SubscriptionKeeper}).
 */
export class RegEventNotifier {
  readonly #options: NotifierOptions;
  readonly #context: SubscriptionContext;
  /** Few each, and nearly always one: arrays of exactly their length take least. */
  readonly #bySet = new Map<string, readonly Subscription[]>();
  /** By set: ends the listening to other nodes. */
  readonly #listening = new Map<string, () => void>();
  readonly #unlisten: () => void;
  /** To be told how things are: taken over, unless a change tells them before, or because changes of others were missed. */
  readonly #untold = new Map<Subscription, 'taken-over' | 'missed'>();
  #telling = false;
  #count = 0;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#context = {
      ...options,
      shared: options.feed !== undefined,
      inDialog: (subscription, request, response) => this.#inDialog(subscription, request, response),
      ended: (subscription) => this.#remove(subscription),
    };
    this.#unlisten = options.registrar.onChange(({ set, changes, registration }: RegistrationEvent) =>
      this.#changed(set, changes, registration),
    );
  }

  /** Living subscriptions. */
  get count(): number {
    return this.#count;
  }

  /** Goes on with the subscriptions of a process that is no more: of this server's life before, or of another node. */
  async resume(): Promise<void> {
    let count = 0;
    for await (const kept of this.#options.keeper.orphans()) {
      this.#untold.set(this.#add(kept), 'taken-over');
      count++;
    }
    if (count > 0) this.#options.log.info({ subscriptions: count }, 'subscriptions go on');
  }

  /** What may have happened while nobody was there is told to those whose subscriptions go on; called when requests can be sent. */
  tellResumed(): void {
    if (!this.#telling && this.#untold.size > 0) this.#tellNext();
  }

  close(): void {
    this.#unlisten();
    this.#untold.clear();
  }

  /** Answers a SUBSCRIBE outside dialogs and sends the first NOTIFY. @throws ParleyError `reg-event-*` */
  async subscribe({ request, response, set, watcher }: RegSubscribe): Promise<void> {
    const { keeper, trail, settings } = this.#options;
    if (watcher === 'stranger') throw this.#refused('reg-event-forbidden', 'RFC 3680 §4.6', request, set);
    if (request.contacts.length !== 1)
      throw this.#refused('reg-event-no-contact', 'RFC 6665 §4.2.1.1', request, set);
    if (!accepts(request)) throw this.#refused('reg-event-not-acceptable', 'RFC 3680 §4.5', request, set);
    const expires = this.#grant(request, response);
    if (expires === undefined) return;
    if ((this.#bySet.get(set)?.length ?? 0) >= settings.perSet || this.#count >= settings.total)
      throw this.#refused('reg-event-too-many', 'RFC 6665 §4.2.1.1', request, set);
    const kept = await keeper.accept({ request, response, resource: set, watcher, expires });
    trail.record({
      code: 'reg-event.subscribed',
      outcome: 'accepted',
      clause: 'RFC 3680 §4.6',
      subject: set,
      trace: request.callId,
      detail: watcher,
    });
    await this.#add(kept).tellAll();
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
    await subscription.kept.refresh(request, response, expires);
    if (subscription.kept.dialog.state !== 'terminated') await subscription.tellAll();
  }

  #add(kept: KeptSubscription): Subscription {
    const { feed } = this.#options;
    const subscription = new Subscription(kept, this.#context);
    const { set } = subscription;
    const others = this.#bySet.get(set) ?? [];
    if (others.length === 0 && feed)
      this.#listening.set(
        set,
        feed.watch(set, (changes) => {
          if (changes.length > 0) this.#changed(set, changes, undefined);
          else this.#tellLater(set);
        }),
      );
    this.#bySet.set(set, others.concat(subscription));
    this.#count++;
    kept.serve(subscription);
    return subscription;
  }

  #remove(subscription: Subscription): void {
    const { set } = subscription;
    const all = this.#bySet.get(set) ?? [];
    const others = all.filter((one) => one !== subscription);
    if (others.length === all.length) return;
    this.#count--;
    if (others.length > 0) {
      this.#bySet.set(set, others);
      return;
    }
    this.#bySet.delete(set);
    this.#listening.get(set)?.();
    this.#listening.delete(set);
  }

  #changed(set: string, changes: readonly BindingChange[], registration: Registration | undefined): void {
    for (const subscription of this.#bySet.get(set) ?? []) subscription.changed(changes, registration);
  }

  /** What other nodes did was perhaps missed. */
  #tellLater(set: string): void {
    for (const subscription of this.#bySet.get(set) ?? []) this.#untold.set(subscription, 'missed');
    this.tellResumed();
  }

  #tellNext(): void {
    const { clock, log } = this.#options;
    this.#telling = true;
    let left = TOLD_AT_ONCE;
    for (const [subscription, why] of this.#untold) {
      if (left-- === 0) break;
      this.#untold.delete(subscription);
      if (subscription.kept.dialog.state === 'terminated') continue;
      if (why === 'taken-over' && subscription.told) continue;
      subscription
        .tellAll()
        .catch((error: unknown) =>
          log.warn({ err: error, set: subscription.set }, 'a watcher waits for the next change'),
        );
    }
    if (this.#untold.size > 0) clock.after(TOLD_EVERY_MS, () => this.#tellNext());
    else this.#telling = false;
  }
}

/** Without Accept, reginfo is what is meant (RFC 3680 §4.5). */
function accepts(request: SipRequest): boolean {
  const lines = request.headers.list('Accept');
  if (lines.length === 0) return true;
  const types = lines.map((line) => line.split(';')[0]!.trim().toLowerCase());
  return types.some((type) => type === REGINFO_TYPE || type === 'application/*' || type === '*/*');
}
