import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import { InstanceId } from '../../identity/instance-id.js';
import type { RegisteredDevice, RegisteredDevices } from '../../reg-event/devices.js';
import { triesOf, type DeferredMessage, type DeferredStore, type Tries } from './deferred-store.js';
import type { DeliveryClaims } from './delivery-claims.js';
import { Turns } from './turns.js';

/** Who gets a message by itself: the user with all devices, or one device. */
export interface Addressee {
  /** Instance key of the device; empty for all devices that have no addressee of their own. */
  readonly key: string;
  /** The device; undefined for all together. */
  readonly device: RegisteredDevice | undefined;
  /** Devices that are addressed by themselves, and left out where there is no {@link device}. */
  readonly others: readonly RegisteredDevice[];
  /** Instance ID of the device that the user chose for messages that are for none of their own. */
  readonly chosen?: string | undefined;
}

export interface DeferredDeliveryOptions {
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly devices: RegisteredDevices;
  readonly deferred: DeferredStore;
  /** Agreement with other nodes on the same store; undefined when there are none. */
  readonly claims: DeliveryClaims | undefined;
  /** Times that a device came back and a message failed, after which it lets those behind it pass. */
  readonly attempts: number;
  /** Whether each device gets each message, instead of those devices that answer first. */
  readonly perDevice: boolean;
  /** Whether one of these devices can take such a message. */
  canTake(message: DeferredMessage, devices: readonly RegisteredDevice[]): boolean;
  /** Whether the user wants nothing now. */
  isQuiet(set: string): Promise<boolean>;
  /** Instance ID of the device that the user chose for all messages, if any. */
  chosen(set: string): Promise<string | undefined>;
  /** @param sequence grows with each attempt that was answered. @returns the status. */
  send(message: DeferredMessage, to: Addressee, sequence: number): Promise<number>;
  /** Tells the sender that the message is lost. @returns false when that must be tried again. */
  lost(message: DeferredMessage): Promise<boolean>;
}

/** Why a round is made: a device came back, or something else changed. */
export type Occasion = 'returned' | 'more';

/** The device is not there, or could not be reached: it is worth trying again when it registers. */
export const away: ReadonlySet<number> = new Set([408, 410, 430, 480, 500, 503, 504]);
/** The device knows the request already: an answer of it was lost (RFC 3261 §8.2.2.2). */
const MERGED = 482;
const TIMEOUT = 408;

/** A message whose sender cannot be told of its end is kept so long for that. */
const TELL_MS = 3_600_000;
const SWEEP_BATCH = 200;
/** So many messages are on their way to devices at once, of all users: what more would be lost in the buffers of sockets. */
const AT_ONCE = 128;
/** A device that has not answered by then keeps no other from being served. */
const PATIENCE_MS = 1_000;
/** A device that is there and did not take a message is asked again after this, and each time after twice as long. */
const FIRST_RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 3_600_000;

/** What an attempt leaves to do: the next message, nothing while nobody is there, or the same again. */
type Outcome = 'next' | 'nobody' | 'failed';

/**
 * Hands the messages that wait for a user to its devices: in the order in which they came, at one node at a time, and each
 * addressee's next one only when the one before has its answer. The first that finds nobody ends the round, and so does one that
 * fails, which is tried again by and by. One that has failed each of `attempts` times that a device came back is passed over: it is
 * tried again whenever a device comes back, and those behind it need not wait for it.
 */
export class DeferredDelivery {
  readonly #options: DeferredDeliveryOptions;
  /** Users to whom messages are on their way, and why there is one more round to come. */
  readonly #running = new Map<string, Occasion | undefined>();
  /** Messages whose senders are being told that their time is over. */
  readonly #ending = new Set<Promise<void>>();
  /** Users one of whose devices is there and failed, and when they are tried again by themselves. */
  readonly #retries = new Map<string, { readonly timer: Timer; readonly afterMs: number }>();
  readonly #turns: Turns;
  #closed = false;

  constructor(options: DeferredDeliveryOptions) {
    this.#options = options;
    this.#turns = new Turns(options.clock, AT_ONCE, PATIENCE_MS);
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#retries.values()) timer.cancel();
    this.#retries.clear();
  }

  /** Hands out what was kept when this process, or another node, ended; called when messages can be sent. */
  async resume(): Promise<void> {
    for await (const set of this.#options.deferred.users())
      if ((await this.#options.devices.of(set)).length > 0) this.start(set, 'more');
  }

  /** Begins a round, or one more after that which runs. */
  start(set: string, occasion: Occasion): void {
    if (this.#running.has(set)) {
      if (this.#running.get(set) !== 'returned') this.#running.set(set, occasion);
      return;
    }
    if (this.#hasNothing(set)) return;
    this.#running.set(set, undefined);
    this.#atOneNode(set, occasion)
      .catch((error: unknown) => this.#options.log.error({ err: error, set }, 'deferred messages wait on'))
      .finally(() => {
        const next = this.#running.get(set);
        this.#running.delete(set);
        if (next && !this.#closed) this.start(set, next);
      });
  }

  /** So it is of nearly everyone who registers, and is known at once where the store need not be waited for. */
  #hasNothing(set: string): boolean {
    try {
      return this.#options.deferred.waiting(set) === 0;
    } catch {
      return false; // the round says why the store cannot be read
    }
  }

  /**
   * What is due by the clock: claims, and messages whose time is over. It does not wait for senders to be told: one that is out of
   * reach takes half a minute, in which claims would lapse.
   */
  async sweep(): Promise<void> {
    const { claims, deferred, log } = this.#options;
    await claims?.renew();
    for (const set of (await claims?.lapsed(SWEEP_BATCH)) ?? []) this.start(set, 'more');
    const room = SWEEP_BATCH - this.#ending.size;
    if (room <= 0) return;
    for (const message of await deferred.expired(room)) {
      const end = this.#end(message)
        .catch((error: unknown) =>
          log.error({ err: error, id: message.id }, 'an expired message stays; it is tried again'),
        )
        .finally(() => this.#ending.delete(end));
      this.#ending.add(end);
    }
  }

  async #end(message: DeferredMessage): Promise<void> {
    const { deferred, trail, clock } = this.#options;
    const hasIt = message.tries?.some(({ end }) => end === 'delivered') === true;
    // told before it goes, so that a crash in between tells twice and not never
    const told = hasIt || (await this.#options.lost(message));
    if (!told && clock.now() < message.expiresAt + TELL_MS) return;
    if (!(await deferred.remove(message)) || hasIt) return;
    trail.record({
      code: 'cpm.message-expired',
      outcome: 'noted',
      clause: 'RFC 3428 §7',
      subject: message.recipient,
      trace: callIdOf(message),
    });
  }

  async #atOneNode(set: string, occasion: Occasion): Promise<void> {
    const { deferred, claims } = this.#options;
    if ((await deferred.waiting(set)) === 0 || (await this.#options.isQuiet(set))) return;
    if (!claims) {
      await this.#round(set, occasion);
      return;
    }
    if (!(await claims.take(set))) return;
    let again = true;
    for (let why = occasion; again; why = 'more') {
      try {
        await this.#round(set, why);
      } finally {
        again = await claims.release(set);
      }
      if (this.#closed) return;
    }
  }

  async #round(set: string, occasion: Occasion): Promise<void> {
    const { devices, deferred, perDevice } = this.#options;
    const here = await devices.of(set);
    // what waits for an absent user is not read again with each message that comes
    if (here.length === 0) return;
    const chosen = await this.#options.chosen(set);
    const outcomes = await Promise.all(
      addressees(here, perDevice).map((to) => this.#deliver(set, { ...to, chosen }, here, occasion)),
    );
    this.#retry(set, outcomes.includes('failed'));
    await deferred.recount(set);
  }

  /** @param failed whether there is something to be tried again. */
  #retry(set: string, failed: boolean): void {
    const before = this.#retries.get(set);
    before?.timer.cancel();
    this.#retries.delete(set);
    if (!failed || this.#closed) return;
    const afterMs = before ? Math.min(2 * before.afterMs, LONGEST_RETRY_MS) : FIRST_RETRY_MS;
    const timer = this.#options.clock.after(afterMs, () => this.start(set, 'more'));
    this.#retries.set(set, { timer, afterMs });
  }

  async #deliver(
    set: string,
    to: Addressee,
    here: readonly RegisteredDevice[],
    occasion: Occasion,
  ): Promise<Outcome> {
    const { deferred, attempts, clock } = this.#options;
    for await (const message of deferred.of(set)) {
      if (this.#closed) return 'nobody';
      if (message.expiresAt <= clock.now()) continue;
      if (triesOf(message, to.key).end !== undefined || !this.#reaches(message, to, here)) continue;
      const passedOver = triesOf(message, to.key).attempts >= attempts;
      if (passedOver && occasion === 'more') continue;
      const outcome = await this.#try(message, to, occasion);
      if (outcome !== 'next') return outcome;
    }
    return 'next';
  }

  async #try(message: DeferredMessage, to: Addressee, occasion: Occasion): Promise<Outcome> {
    const { deferred, devices, perDevice } = this.#options;
    const tries = triesOf(message, to.key);
    const status = await this.#turns.take(() => this.#options.send(message, to, 1 + tries.answers));
    if (away.has(status)) {
      // nobody is there any more: that is not the message's fault
      if (!this.#reaches(message, to, await devices.of(message.set))) return 'nobody';
      return this.#failed(message, tries, status, occasion);
    }
    const delivered = status < 300 || status === MERGED;
    const end = { ...tries, end: delivered ? 'delivered' : 'refused' } as const;
    if (perDevice) await deferred.tried(message, end);
    // told before it goes, so that a crash in between tells twice and not never
    else if (!delivered && !(await this.#options.lost(message))) await deferred.tried(message, end, 'over');
    else if (!(await deferred.remove(message))) return 'next';
    this.#note(
      delivered ? 'cpm.message-delivered' : 'cpm.message-undeliverable',
      delivered ? 'accepted' : 'refused',
      message,
      status,
    );
    return 'next';
  }

  /** Whether a device is here that the message is for, that the addressee stands for, and that can take it. */
  #reaches(message: DeferredMessage, { key, chosen }: Addressee, here: readonly RegisteredDevice[]): boolean {
    const only = message.device ?? (chosen && InstanceId.parse(`<${chosen}>`).key);
    const devices = here.filter(
      (device) =>
        (only === undefined || isNamed(device, only)) && (key === ALL || device.instanceKey === key),
    );
    return devices.length > 0 && this.#options.canTake(message, devices);
  }

  async #failed(
    message: DeferredMessage,
    tries: Tries,
    status: number,
    occasion: Occasion,
  ): Promise<Outcome> {
    const { deferred, attempts } = this.#options;
    const failed = {
      to: tries.to,
      attempts: tries.attempts + (occasion === 'returned' ? 1 : 0),
      answers: tries.answers + (status === TIMEOUT ? 0 : 1),
    };
    await deferred.tried(message, failed);
    if (failed.attempts < attempts) return 'failed';
    if (tries.attempts < attempts) this.#note('cpm.message-passed-over', 'noted', message, status);
    return 'next';
  }

  #note(
    code: string,
    outcome: 'accepted' | 'refused' | 'noted',
    message: DeferredMessage,
    status: number,
  ): void {
    this.#options.trail.record({
      code,
      outcome,
      clause: 'RFC 3428 §7',
      subject: message.recipient,
      trace: callIdOf(message),
      detail: String(status),
    });
  }
}

/** The same at each attempt, by which a device that got the message before a crash may know it again. */
export const callIdOf = ({ id, unanswered }: Pick<DeferredMessage, 'id' | 'unanswered'>): string =>
  unanswered?.callId ?? `deferred-${id}`;

const ALL = '';

/** Others may know a device by the UUID URN of its GRUU, where its hardware identity is hidden from them. */
const isNamed = ({ instanceKey, publicGruu }: RegisteredDevice, key: string): boolean =>
  instanceKey === key ||
  (key.startsWith('uuid:') && publicGruu?.toLowerCase().endsWith(`;gr=urn:${key}`) === true);

function addressees(here: readonly RegisteredDevice[], perDevice: boolean): Addressee[] {
  if (!perDevice) return [{ key: ALL, device: undefined, others: [] }];
  const byKey = new Map<string, RegisteredDevice>();
  for (const device of here) if (device.instanceKey !== undefined) byKey.set(device.instanceKey, device);
  const others = [...byKey.values()];
  const known = [...byKey].map(([key, device]) => ({ key, device, others: [] }));
  // those without Instance ID cannot be told apart
  return here.some(({ instanceKey }) => instanceKey === undefined)
    ? [...known, { key: ALL, device: undefined, others }]
    : known;
}
