import type { Clock, Timer } from '../base/clock.js';
import { ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import { subscriptionState } from '../sip/dialog/subscription-state.js';
import { FinalResponseError } from '../sip/final-response-error.js';
import type { SipRequest } from '../sip/message/message.js';
import type { Dialog, ServerRequest, ServerResponse, SipStack } from '../sip/stack.js';
import type { Store } from '../store/store.js';
import type { DeviceChange, RegisteredDevice, RegisteredDevices } from './devices.js';
import './errors.js';
import { parseReginfo } from './reginfo-reader.js';
import { REGINFO_TYPE } from './reginfo.js';
import { readTold, type ToldContacts } from './told-contacts.js';
import {
  readDocument,
  watchedUsers,
  type Reading,
  type WatchedDevice,
  type WatchedUser,
} from './watched-user.js';

export interface SubscriberOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly store: Store;
  /** Our own URI: From and P-Asserted-Identity of SUBSCRIBE. */
  readonly self: string;
  /** Route values that lead to the core. */
  readonly route: readonly string[];
  /** Seconds that subscriptions ask for. */
  readonly expires: number;
  /** Users watched at most. */
  readonly total: number;
}

/** One user, and the dialog in which the core tells of it. */
class Watch {
  readonly key: string;
  user: WatchedUser;
  dialog: Dialog | undefined;
  /** Waits for its turn, or a SUBSCRIBE is on its way. */
  subscribing = false;
  /** The core says that nothing is registered any more. */
  ending = false;
  /** When the core said last that the user is registered. */
  heardAt = -Infinity;
  /** SUBSCRIBEs that failed one after the other. */
  failures = 0;
  retry: Timer | undefined;

  constructor(key: string, user: WatchedUser) {
    this.key = key;
    this.user = user;
  }
}

/** SUBSCRIBEs on their way at once: after a restart there is one for every user. */
const AT_ONCE = 64;
const SWEEP_MS = 1_000;
const SWEEP_BATCH = 500;
const MAX_WAIT_MS = 60_000;
const CROSSING_MS = 5_000;

/** Final responses after which another SUBSCRIBE would be answered the same way; the next REGISTER tries again. */
const refusals: ReadonlySet<number> = new Set([403, 404, 405, 406, 410, 416, 420, 423, 485, 489, 501, 604]);
/** Reasons after which a notifier will not take the subscription back (RFC 6665 §4.1.3). */
const finals: ReadonlySet<string | undefined> = new Set(['rejected', 'noresource', 'invariant']);

/**
 * The subscriber of the reg event package: the devices of users that a foreign core registers. What it knows is in the
 * store, so that it is there after a restart, when every user is subscribed to anew.
 */
export class RegEventSubscriber implements RegisteredDevices {
  readonly #options: SubscriberOptions;
  readonly #watches = new Map<string, Watch>();
  /** From every identity of a watched user to its key. */
  readonly #keys = new Map<string, string>();
  readonly #listeners = new Set<(change: DeviceChange) => void>();
  readonly #queue: Watch[] = [];
  #running = 0;
  #sweep: Timer | undefined;
  #closed = false;

  private constructor(options: SubscriberOptions) {
    this.#options = options;
  }

  /** Reads what was known when the process ended. */
  static async open(options: SubscriberOptions): Promise<RegEventSubscriber> {
    const subscriber = new RegEventSubscriber(options);
    for await (const { key, value } of options.store.scan(watchedUsers)) {
      const watch = new Watch(key, { ...value, version: undefined });
      subscriber.#watches.set(key, watch);
      subscriber.#index(watch);
    }
    return subscriber;
  }

  /** Subscribes to the users that are known; called once, when requests can be sent. */
  start(): void {
    for (const watch of this.#watches.values()) this.#subscribe(watch);
    this.#scheduleSweep();
  }

  close(): void {
    this.#closed = true;
    this.#sweep?.cancel();
    for (const watch of this.#watches.values()) watch.retry?.cancel();
  }

  /** Users with a subscription. */
  get count(): number {
    let count = 0;
    for (const { dialog } of this.#watches.values()) if (dialog) count++;
    return count;
  }

  /**
   * The core says that a user is registered: subscribes unless that is done already. Resolves when it is committed.
   * @param seconds until the core says so again at the latest. @param contacts that it told along.
   * @throws ParleyError `reg-event-too-many`
   */
  async registered(aor: string, seconds: number, contacts?: ToldContacts): Promise<void> {
    const { clock, total } = this.#options;
    let watch = this.#watchOf(aor);
    if (!watch) {
      if (this.#watches.size >= total) throw new ParleyError('reg-event-too-many');
      watch = new Watch(aor, { identities: [aor], devices: [], version: undefined, until: 0 });
      this.#watches.set(aor, watch);
      this.#index(watch);
    }
    watch.ending = false;
    watch.heardAt = clock.now();
    const learnt = contacts && readTold(watch.user, contacts, watch.heardAt);
    watch.user = { ...(learnt?.user ?? watch.user), until: watch.heardAt + seconds * 1000 };
    await this.#save(watch);
    watch.failures = 0;
    if (!watch.dialog) this.#subscribe(watch);
    for (const change of learnt?.changes ?? []) this.#tell(watch, change);
  }

  /** The core says that nothing of a user is registered any more: its last NOTIFY is waited for, then it is forgotten. */
  async deregistered(aor: string): Promise<void> {
    const watch = this.#watchOf(aor);
    if (!watch) return;
    watch.ending = true;
    const { dialog } = watch;
    if (!dialog) {
      await this.#forget(watch);
      return;
    }
    dialog
      .destroy()
      .catch((error: unknown) =>
        this.#options.log.info({ err: error, user: watch.key }, 'a subscription ended without an answer'),
      );
  }

  async of(aor: string): Promise<readonly RegisteredDevice[]> {
    const watch = this.#watchOf(aor);
    const now = this.#options.clock.now();
    return Promise.resolve(
      watch?.user.devices.filter(({ expiresAt = Infinity }) => expiresAt > now).map(shown) ?? [],
    );
  }

  onChange(listener: (change: DeviceChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The key of the user that an identity belongs to; the identity itself when nothing is known of it. */
  setOf(aor: string): string {
    return this.#keys.get(aor) ?? aor;
  }

  /** The same, undefined for a user that nobody told of. */
  keyOf(aor: string): string | undefined {
    return this.#keys.get(aor);
  }

  /** Users with devices in order of their keys, after `after`. */
  async *list(after = ''): AsyncGenerator<{ set: string; devices: readonly RegisteredDevice[] }> {
    for (const key of [...this.#watches.keys()].filter((one) => one > after).sort()) {
      const devices = await this.of(key);
      if (devices.length > 0) yield { set: key, devices };
    }
  }

  #watchOf(aor: string): Watch | undefined {
    return this.#watches.get(this.setOf(aor));
  }

  #index({ key, user }: Watch): void {
    for (const identity of user.identities) this.#keys.set(identity, key);
  }

  #unindex({ key, user }: Watch): void {
    for (const identity of user.identities) if (this.#keys.get(identity) === key) this.#keys.delete(identity);
  }

  async #save({ key, user }: Watch): Promise<void> {
    await this.#options.store.update(watchedUsers, key, () => ({
      kind: 'put',
      value: user,
      deadline: user.until,
      result: undefined,
    }));
  }

  /** In its turn, a few at once. */
  #subscribe(watch: Watch): void {
    if (watch.subscribing || watch.dialog || this.#closed) return;
    watch.retry?.cancel();
    watch.subscribing = true;
    this.#queue.push(watch);
    this.#next();
  }

  #next(): void {
    while (this.#running < AT_ONCE && !this.#closed) {
      const watch = this.#queue.shift();
      if (!watch) return;
      this.#running++;
      void this.#try(watch).finally(() => {
        this.#running--;
        this.#next();
      });
    }
  }

  async #try(watch: Watch): Promise<void> {
    const { stack, trail, self, route, expires } = this.#options;
    try {
      const dialog = await stack.createUAC(watch.key, {
        method: 'SUBSCRIBE',
        route,
        headers: {
          From: `<${self}>`,
          'P-Asserted-Identity': `<${self}>`,
          Event: 'reg',
          Accept: REGINFO_TYPE,
          Expires: expires,
        },
      });
      watch.subscribing = false;
      watch.failures = 0;
      this.#attach(watch, dialog);
      trail.record({
        code: 'reg-event.subscribed-to',
        outcome: 'accepted',
        clause: '3GPP TS 24.229 §5.7.1.1',
        subject: watch.key,
        trace: dialog.callId,
      });
    } catch (error) {
      watch.subscribing = false;
      this.#failed(watch, error);
    }
  }

  #attach(watch: Watch, dialog: Dialog): void {
    watch.dialog = dialog;
    // versions count within a subscription
    watch.user = { ...watch.user, version: undefined };
    dialog.onRequest((request, response) => this.#inDialog(watch, dialog, request, response));
    dialog.onEnd((cause) => this.#ended(watch, dialog, cause));
    if (watch.ending) void this.deregistered(watch.key);
  }

  /** The answer waits for the commit: what was acknowledged is known after a restart. */
  async #inDialog(
    watch: Watch,
    dialog: Dialog,
    request: ServerRequest,
    response: ServerResponse,
  ): Promise<void> {
    if (request.method !== 'NOTIFY') {
      response.send(405, { headers: { Allow: 'NOTIFY' } });
      return;
    }
    const reading = this.#read(watch, request);
    if (reading?.kind === 'applied') {
      this.#unindex(watch);
      watch.user = reading.user;
      this.#index(watch);
      await this.#save(watch);
    }
    response.send(200);
    if (reading?.kind === 'gap') this.#askAgain(watch, dialog);
    if (reading?.kind === 'applied') for (const change of reading.changes) this.#tell(watch, change);
  }

  /** Undefined when there is no document. @throws ParleyError `reginfo-*` */
  #read(watch: Watch, request: ServerRequest): Reading | undefined {
    if (request.body.length === 0) return undefined;
    const type = request.get('Content-Type')?.split(';')[0]?.trim().toLowerCase();
    if (type !== REGINFO_TYPE) throw this.#refused('reginfo-type', watch, request, type);
    try {
      const reading = readDocument(watch.user, parseReginfo(request.body), this.#options.clock.now());
      if (reading.kind !== 'applied')
        this.#options.trail.record({
          code: `reg-event.document-${reading.kind}`,
          outcome: 'noted',
          clause: 'RFC 3680 §5.1',
          subject: watch.key,
          trace: request.callId,
        });
      return reading;
    } catch (error) {
      if (error instanceof ParleyError) throw this.#refused(error.code, watch, request, error.message);
      throw error;
    }
  }

  #refused(code: string, watch: Watch, request: SipRequest, detail?: string): ParleyError {
    this.#options.trail.record({
      code: 'reg-event.document-refused',
      outcome: 'refused',
      clause: 'RFC 3680 §5',
      subject: watch.key,
      trace: request.callId,
      ...(detail !== undefined && { detail }),
    });
    return new ParleyError(code, detail);
  }

  /** A refresh brings the whole state (RFC 3680 §5.1). */
  #askAgain(watch: Watch, dialog: Dialog): void {
    watch.user = { ...watch.user, version: undefined };
    dialog
      .modify('')
      .catch((error: unknown) =>
        this.#options.log.warn({ err: error, user: watch.key }, 'a subscription could not be refreshed'),
      );
  }

  #tell(watch: Watch, { event, device }: { event: DeviceChange['event']; device: WatchedDevice }): void {
    for (const listener of this.#listeners) {
      try {
        listener({ set: watch.key, event, device: shown(device) });
      } catch (error) {
        this.#options.log.error({ err: error, user: watch.key }, 'a listener of registered devices failed');
      }
    }
  }

  /** RFC 6665 §4.1.3: what the reason asks for. A core that restarted answers 481: it is asked anew. */
  #ended(watch: Watch, dialog: Dialog, cause: SipRequest | string): void {
    if (watch.dialog !== dialog) return;
    watch.dialog = undefined;
    if (this.#closed) return;
    const state = typeof cause === 'string' ? undefined : subscriptionState(cause);
    // a last NOTIFY and the REGISTER of a device that is back may cross
    const back = this.#options.clock.now() - watch.heardAt < CROSSING_MS;
    const nothing = watch.user.devices.length === 0 && !back;
    const over = state !== undefined && (finals.has(state.reason) || nothing);
    if (watch.ending || over) {
      this.#forget(watch).catch((error: unknown) => this.#stays(watch, error));
      return;
    }
    const later = state?.reason === 'probation' || state?.reason === 'giveup';
    if (later) this.#retryIn(watch, MAX_WAIT_MS);
    else this.#subscribe(watch);
  }

  #failed(watch: Watch, error: unknown): void {
    const { log, trail } = this.#options;
    const status = error instanceof FinalResponseError ? error.status : undefined;
    trail.record({
      code: 'reg-event.subscribe-failed',
      outcome: 'noted',
      clause: 'RFC 6665 §4.1.2',
      subject: watch.key,
      detail: String(status ?? 'no answer'),
    });
    if (watch.ending) {
      this.#forget(watch).catch((problem: unknown) => this.#stays(watch, problem));
      return;
    }
    if (status !== undefined && refusals.has(status)) {
      log.warn({ user: watch.key, status }, 'the core refuses a subscription to registration events');
      return;
    }
    if (status === undefined) log.warn({ err: error, user: watch.key }, 'a SUBSCRIBE failed');
    this.#retryIn(watch, Math.min(MAX_WAIT_MS, 1_000 * 2 ** Math.min(watch.failures++, 10)));
  }

  #retryIn(watch: Watch, ms: number): void {
    watch.retry?.cancel();
    watch.retry = this.#options.clock.after(ms, () => this.#subscribe(watch));
  }

  /** Nothing is left of the user: those who know of its devices hear that they are gone. */
  async #forget(watch: Watch): Promise<void> {
    if (this.#watches.get(watch.key) !== watch) return;
    watch.retry?.cancel();
    this.#watches.delete(watch.key);
    this.#unindex(watch);
    await this.#options.store.update(watchedUsers, watch.key, () => ({ kind: 'remove', result: undefined }));
    for (const device of watch.user.devices) this.#tell(watch, { event: 'unregistered', device });
  }

  #stays(watch: Watch, error: unknown): void {
    this.#options.log.error({ err: error, user: watch.key }, 'a user that is gone stays in the store');
  }

  #scheduleSweep(): void {
    this.#sweep = this.#options.clock.after(SWEEP_MS, () => {
      void this.#expire()
        .catch((error: unknown) =>
          this.#options.log.error({ err: error }, 'expiry of watched users failed; it is tried again'),
        )
        .finally(() => {
          if (!this.#closed) this.#scheduleSweep();
        });
    });
  }

  /** The core did not repeat its REGISTER in time: the registration is over. */
  async #expire(): Promise<void> {
    const { store, clock } = this.#options;
    for (const key of await store.due(watchedUsers, clock.now(), SWEEP_BATCH)) {
      const watch = this.#watches.get(key);
      if (watch && watch.user.until > clock.now()) continue;
      if (watch && !watch.ending) await this.deregistered(key);
      else if (!watch) await store.update(watchedUsers, key, () => ({ kind: 'remove', result: undefined }));
    }
  }
}

const shown = ({ registeredBy: _, features, ...device }: WatchedDevice): RegisteredDevice => ({
  ...device,
  features: new Map(features),
});
