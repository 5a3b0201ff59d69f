import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { Policies } from '../policy/policies.js';
import type { ContentStore } from './content-store.js';
import { DeferredDelivery, type Occasion } from './deferred-delivery.js';
import { keptHeaders, senderOf } from './deferred-headers.js';
import type { DeferredMessage, DeferredStore, StoredContent } from './deferred-store.js';
import type { DeliveryClaims } from './delivery-claims.js';
import type { MessageOrigins } from './message-origins.js';
import { LossNotices } from './loss-notices.js';
import { StandaloneDelivery, type StandaloneDeliveryOptions } from './standalone-delivery.js';

export interface DeferralOptions extends StandaloneDeliveryOptions {
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly devices: RegisteredDevices;
  readonly deferred: DeferredStore;
  readonly contents: ContentStore;
  readonly origins: MessageOrigins;
  readonly policies: Policies;
  /** Agreement with other nodes on the same store; undefined when there are none. */
  readonly claims: DeliveryClaims | undefined;
  /** Times that a device came back and a message failed, after which it lets those behind it pass. */
  readonly attempts: number;
  /** Whether each device of a user gets each message once, instead of the user. */
  readonly perDevice: boolean;
  /** Seconds that a deferred message waits at most, and when its sender names no time. */
  readonly longestWait: number;
  /** Field of the Non-CPM Communication Service Identifier. */
  readonly serviceHeader: string;
  /** Called after a message was stored for a user, of whom perhaps no device is there. */
  onDeferred?(set: string): Promise<void> | undefined;
}

/** A message to be kept, beside what its request says. */
export interface ToKeep {
  readonly recipient: string;
  readonly set: string;
  /** Media type of the message; that of the request unless given. */
  readonly contentType?: string | undefined;
  /** The message, or of a large one its header sections. */
  readonly body: Uint8Array;
  readonly content?: StoredContent | undefined;
  /** Instance key of the only device that it is for. */
  readonly device?: string | undefined;
  /** Of a try that had no answer: a device that got the message knows the next try by it. */
  readonly unanswered?: DeferredMessage['unanswered'];
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

const SWEEP_MS = 1_000;

/** What becomes of standalone messages, in either mode, for whom no device is there: kept, handed out, expired, told. */
export class Deferral {
  readonly perDevice: boolean;
  readonly #options: DeferralOptions;
  readonly #delivery: DeferredDelivery;
  readonly #losses: LossNotices;
  readonly #unlisten: () => void;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: DeferralOptions) {
    this.#options = options;
    this.perDevice = options.perDevice;
    this.#losses = new LossNotices({
      ...options,
      onward: (sessionCase, user) => options.onward(sessionCase, user, 'pager'),
    });
    const standalone = new StandaloneDelivery(options);
    this.#delivery = new DeferredDelivery({
      ...options,
      isQuiet: async (set) => (await options.policies.of(set)).doNotDisturb,
      chosen: async (set) => (await options.policies.of(set)).deliverTo,
      canTake: (message, devices) => standalone.modeOf(message, devices) !== undefined,
      send: (message, to, sequence) => standalone.send(message, to, sequence),
      lost: (message) => this.#losses.tell(message),
    });
    this.#unlisten = options.devices.onChange(({ set, event }) => {
      if (event === 'registered' || event === 'created' || event === 'refreshed') this.start(set, 'returned');
    });
    this.#scheduleSweep();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#unlisten();
    this.#delivery.close();
  }

  /** Hands out what was kept when this process, or another node, ended; called when messages can be sent. */
  resume(): Promise<void> {
    return this.#delivery.resume();
  }

  /** Begins a round of deliveries to a user. */
  start(set: string, occasion: Occasion): void {
    this.#delivery.start(set, occasion);
  }

  /** Whether messages wait for a user, whom a new one may not overtake. */
  async waits(set: string): Promise<boolean> {
    return (await this.#options.deferred.waiting(set)) > 0;
  }

  /** Until when the message of a request waits, in milliseconds since the epoch. */
  endOf(request: SipRequest): number {
    const { clock, longestWait } = this.#options;
    // Expires of an INVITE is how long it may ring (RFC 3261 §13.3.1)
    const own = request.method === 'INVITE' ? undefined : request.number('Expires');
    const wanted = own ?? request.number('Message-Expires') ?? longestWait;
    return clock.now() + Math.min(wanted, longestWait) * 1000;
  }

  /** Resolves when the message is committed. @throws ParleyError `cpm-mailbox-full`, `store-unavailable` */
  async keep(request: SipRequest, message: ToKeep): Promise<void> {
    const { clock, deferred, trail } = this.#options;
    const { contentType, ...kept } = message;
    const now = clock.now();
    await deferred.add({
      ...kept,
      sender: senderOf(request),
      headers: keptHeaders(request, contentType, now, this.#options.serviceHeader),
      body: Uint8Array.from(message.body),
      receivedAt: now,
    });
    trail.record({
      code: 'cpm.message-deferred',
      outcome: 'accepted',
      clause: 'RFC 3428 §7',
      subject: message.recipient,
      trace: request.callId,
    });
  }

  /** Tells whoever can wake a device of the user. */
  announce(set: string): void {
    this.#options
      .onDeferred?.(set)
      ?.catch((error: unknown) =>
        this.#options.log.error({ err: error, set }, 'nobody was told of a stored message'),
      );
  }

  /** Removes a message that waits, once its sender is told; nobody gets it any more. @returns whether it was there. */
  async discard(set: string, id: string): Promise<boolean> {
    const { deferred } = this.#options;
    const message = await deferred.get({ set, id });
    if (!message) return false;
    if (await this.#losses.tell(message)) return deferred.remove(message);
    // told when that can be done
    return deferred.end(message);
  }

  /** A user is no more: what waits is lost, and its senders are told; whoever gets the address gets none of it. */
  async discardAll(set: string): Promise<void> {
    const { deferred, origins } = this.#options;
    for await (const message of deferred.of(set)) await deferred.end(message);
    await origins.forget(set);
  }

  #scheduleSweep(): void {
    const { log, contents, origins } = this.#options;
    this.#timer = this.#options.clock.after(SWEEP_MS, () => {
      void Promise.all([this.#delivery.sweep(), contents.sweep(), origins.sweep()])
        .catch((error: unknown) => log.error({ err: error }, 'expired messages stay; it is tried again'))
        .finally(() => {
          if (!this.#closed) this.#scheduleSweep();
        });
    });
  }
}
