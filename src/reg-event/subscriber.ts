import { backOff } from '../base/back-off.js';
import type { Clock, Timer } from '../base/clock.js';
import { orNone, ParleyError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Trail } from '../base/trail.js';
import { parseGruu, sameGruu } from '../identity/gruu.js';
import { subscriptionState } from '../sip/dialog/subscription-state.js';
import type { SipRequest } from '../sip/message/message.js';
import type { Dialog, ServerRequest, ServerResponse } from '../sip/stack.js';
import type { Store } from '../store/store.js';
import type { DeviceChange, RegisteredDevice, RegisteredDevices } from './devices.js';
import './errors.js';
import { parseReginfo } from './reginfo-reader.js';
import { REGINFO_TYPE } from './reginfo.js';
import { MAX_WAIT_MS, SubscribeQueue, type SubscribeQueueOptions } from './subscribe-queue.js';
import { readTold, type ToldContacts } from './told-contacts.js';
import type { Watch } from './watch.js';
import { WatchList } from './watch-list.js';
import {
  readDocument,
  watchedUsers,
  type Reading,
  type WatchedChange,
  type WatchedDevice,
  type WatchedUser,
} from './watched-user.js';

export interface SubscriberOptions extends SubscribeQueueOptions {
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly store: Store;
  /** The name of this node, the same after a restart; undefined when nobody else uses the store. */
  readonly node?: (() => string) | undefined;
  /** Users watched at most. */
  readonly total: number;
}

const SWEEP_MS = 1_000;
const SWEEP_BATCH = 500;
const CROSSING_MS = 5_000;
/** A document that says what a REGISTER did comes that much before it, or after it. */
const EXPECTED_MS = 5_000;
/** A subscription that is over earlier is no better than a SUBSCRIBE that failed. */
const SHORT_LIFE_MS = 30_000;
/** Refreshes that brought no full document, after which the core is taken to have none. */
const PARTIAL_ONLY = 2;
/** After its time a user is left to the node that is told of it so long. */
const GRACE_MS = 60_000;

/** Reasons after which a notifier will not take the subscription back (RFC 6665 §4.1.3). */
const finals: ReadonlySet<string | undefined> = new Set(['rejected', 'noresource', 'invariant']);

/**
 * The subscriber of the reg event package: the devices of users that a foreign core registers. What it knows is in the
 * store, so that it is there after a restart, when every user is subscribed to anew, and at other nodes.
 */
export class RegEventSubscriber implements RegisteredDevices {
  readonly #options: SubscriberOptions;
  readonly #queue: SubscribeQueue;
  readonly #listeners = new Set<(change: DeviceChange) => void>();
  #list!: WatchList;
  #sweep: Timer | undefined;
  /** Users whose time was over at the last sweep, and who could not go yet. */
  #leftOver = 0;
  #dialogs = 0;
  #closed = false;

  private constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#queue = new SubscribeQueue(options, {
      accepted: (watch, dialog) => this.#attach(watch, dialog),
      gone: (watch) => this.#forgetLater(watch),
    });
  }

  /** Reads what was known when the process ended. */
  static async open(options: SubscriberOptions): Promise<RegEventSubscriber> {
    const subscriber = new RegEventSubscriber(options);
    const leave = (watch: Watch): void => subscriber.#leave(watch);
    subscriber.#list = await WatchList.open(options, { moved: leave, gone: leave });
    return subscriber;
  }

  /** Subscribes to the users that are known; called once, when requests can be sent. */
  start(): void {
    for (const watch of this.#list.all()) if (this.#list.isOurs(watch)) this.#queue.add(watch);
    this.#scheduleSweep();
  }

  close(): void {
    this.#closed = true;
    this.#queue.close();
    this.#list.close();
    this.#sweep?.cancel();
    for (const watch of this.#list.all()) watch.rest();
  }

  /** Users with a subscription of this node. */
  get count(): number {
    return this.#dialogs;
  }

  /**
   * The core says that a user is registered: subscribes unless that is done already. Resolves when it is committed.
   * @param seconds until the core says so again at the latest. @param contacts that it told along.
   * @throws ParleyError `reg-event-too-many`
   */
  async registered(aor: string, seconds: number, contacts?: ToldContacts): Promise<void> {
    const { clock, total } = this.#options;
    let watch = this.#list.of(aor);
    if (!watch) {
      if (this.#list.size >= total) throw new ParleyError('reg-event-too-many');
      watch = this.#list.add(aor, { identities: [aor], devices: [], version: undefined, until: 0 });
    }
    watch.ending = false;
    const now = (watch.heardAt = clock.now());
    let changes: readonly WatchedChange[] = [];
    await this.#list.claim(watch, (known: WatchedUser) => {
      const learnt = contacts && readTold(known, contacts, now);
      changes = learnt?.changes ?? [];
      return { ...(learnt?.user ?? known), until: now + seconds * 1000 };
    });
    if (!watch.dialog) this.#queue.add(watch);
    else this.#expect(watch, watch.dialog);
    for (const change of changes) this.#tell(watch, change);
  }

  /** The core says that nothing of a user is registered any more: its last NOTIFY is waited for, then it is forgotten. */
  async deregistered(aor: string): Promise<void> {
    const watch = this.#list.of(aor);
    if (!watch) return;
    watch.ending = true;
    const { dialog } = watch;
    if (!dialog) {
      await this.#forget(watch);
      return;
    }
    this.#unsubscribe(watch, dialog);
  }

  async of(aor: string): Promise<readonly RegisteredDevice[]> {
    const watch = this.#list.of(aor);
    const now = this.#options.clock.now();
    return Promise.resolve(
      watch?.user.devices.filter(({ expiresAt = Infinity }) => expiresAt > now).map(shown) ?? [],
    );
  }

  async at(gruu: string, owner?: string): Promise<RegisteredDevice | undefined> {
    const aor = owner ?? orNone(() => parseGruu(gruu)?.aor);
    const devices = aor === undefined ? [] : await this.of(aor);
    return devices.find(({ publicGruu, temporaryGruu }) =>
      [publicGruu, temporaryGruu].some((known) => known !== undefined && sameGruu(known, gruu)),
    );
  }

  onChange(listener: (change: DeviceChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The key of the user that an identity belongs to; the identity itself when nothing is known of it. */
  setOf(aor: string): string {
    return this.#list.keyOf(aor) ?? aor;
  }

  /** The same, undefined for a user that nobody told of. */
  keyOf(aor: string): string | undefined {
    return this.#list.keyOf(aor);
  }

  /** Users with devices in order of their keys, after `after`. */
  async *list(after?: string): AsyncGenerator<{ set: string; devices: readonly RegisteredDevice[] }> {
    for await (const { key } of this.#options.store.scan(
      watchedUsers,
      after === undefined ? {} : { after },
    )) {
      const devices = await this.of(key);
      if (devices.length > 0) yield { set: key, devices };
    }
  }

  #attach(watch: Watch, dialog: Dialog): void {
    if (this.#list.at(watch.key) !== watch || !this.#list.isOurs(watch)) {
      this.#unsubscribe(watch, dialog);
      return;
    }
    this.#setDialog(watch, dialog);
    watch.acceptedAt = this.#options.clock.now();
    // versions count within a subscription
    watch.user = { ...watch.user, version: undefined };
    dialog.onRequest((request, response) => this.#inDialog(watch, dialog, request, response));
    dialog.onEnd((cause) => this.#ended(watch, dialog, cause));
    if (watch.ending) this.#unsubscribe(watch, dialog);
  }

  #setDialog(watch: Watch, dialog: Dialog | undefined): void {
    this.#dialogs += Number(dialog !== undefined) - Number(watch.dialog !== undefined);
    watch.dialog = dialog;
  }

  /** Another node is told of the user from now on, or nobody is registered any more. */
  #leave(watch: Watch): void {
    watch.rest();
    const { dialog } = watch;
    this.#setDialog(watch, undefined);
    if (dialog) this.#unsubscribe(watch, dialog);
  }

  #unsubscribe(watch: Watch, dialog: Dialog): void {
    dialog
      .destroy()
      .catch((error: unknown) =>
        this.#options.log.info({ err: error, user: watch.key }, 'a subscription ended without an answer'),
      );
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
    if (watch.dialog !== dialog) {
      response.send(200);
      return;
    }
    const reading = this.#read(watch, request);
    const ours = reading?.kind !== 'applied' || (await this.#list.save(watch, reading.user));
    response.send(200);
    if (!ours) this.#leave(watch);
    else if (reading?.kind === 'gap') this.#askAgain(watch, dialog);
    else if (reading?.kind === 'applied') for (const change of reading.changes) this.#tell(watch, change);
  }

  /** Undefined when there is no document. @throws ParleyError `reginfo-*` */
  #read(watch: Watch, request: ServerRequest): Reading | undefined {
    if (request.body.length === 0) return undefined;
    const type = request.get('Content-Type')?.split(';')[0]?.trim().toLowerCase();
    if (type !== REGINFO_TYPE) throw this.#refused('reginfo-type', watch, request, type);
    try {
      const now = this.#options.clock.now();
      const partialOnly = watch.gaps - watch.refused >= PARTIAL_ONLY;
      const reading = readDocument(watch.user, parseReginfo(request.body), now, partialOnly);
      watch.documentAt = now;
      if (reading.kind === 'applied') watch.gaps = watch.refused = 0;
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

  /** A refresh brings the whole state (RFC 3680 §5.1): one at a time, and later each time that it did not. */
  #askAgain(watch: Watch, dialog: Dialog): void {
    watch.user = { ...watch.user, version: undefined };
    if (watch.asking) return;
    const wait = watch.gaps === 0 ? 0 : backOff(watch.gaps - 1);
    watch.gaps++;
    const asking = this.#options.clock.after(wait, () => {
      void this.#refresh(watch, dialog).then((isAccepted) => {
        if (watch.asking !== asking) return;
        watch.asking = undefined;
        if (isAccepted || watch.dialog !== dialog) return;
        watch.refused++;
        this.#askAgain(watch, dialog);
      });
    });
    watch.asking = asking;
  }

  async #refresh(watch: Watch, dialog: Dialog): Promise<boolean> {
    try {
      return (await dialog.modify('')).status < 300;
    } catch (error) {
      this.#options.log.warn({ err: error, user: watch.key }, 'a subscription could not be refreshed');
      return false;
    }
  }

  /** A core that is alive tells what the REGISTER did. One that has restarted may know no subscription any more: it is asked. */
  #expect(watch: Watch, dialog: Dialog): void {
    if (watch.expected) return;
    const { clock } = this.#options;
    const since = clock.now() - EXPECTED_MS;
    watch.expected = clock.after(EXPECTED_MS, () => {
      watch.expected = undefined;
      if (watch.dialog === dialog && !watch.ending && watch.documentAt < since) this.#askAgain(watch, dialog);
    });
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
    this.#setDialog(watch, undefined);
    watch.rest();
    if (this.#closed) return;
    const state = typeof cause === 'string' ? undefined : subscriptionState(cause);
    const now = this.#options.clock.now();
    // a last NOTIFY and the REGISTER of a device that is back may cross
    const back = now - watch.heardAt < CROSSING_MS;
    const nothing = watch.user.devices.length === 0 && !back;
    const over = state !== undefined && (finals.has(state.reason) || nothing);
    if (watch.ending || over) {
      this.#forgetLater(watch);
      return;
    }
    if (now - watch.acceptedAt >= SHORT_LIFE_MS) watch.failures = 0;
    const wait = watch.failures === 0 ? 0 : backOff(watch.failures - 1);
    watch.failures++;
    const later = state?.reason === 'probation' || state?.reason === 'giveup';
    const asked = later ? (state.retryAfter === undefined ? MAX_WAIT_MS : state.retryAfter * 1_000) : 0;
    if (asked > 0 || wait > 0) this.#queue.addIn(watch, Math.max(asked, wait));
    else this.#queue.add(watch);
  }

  #forgetLater(watch: Watch): void {
    this.#forget(watch).catch((error: unknown) =>
      this.#options.log.error({ err: error, user: watch.key }, 'a user that is gone stays in the store'),
    );
  }

  /** Nothing is left of the user. */
  async #forget(watch: Watch): Promise<void> {
    if (this.#list.at(watch.key) !== watch) return;
    watch.rest();
    if (await this.#list.remove(watch)) this.#tellGone(watch);
  }

  /** Those who know of its devices hear that they are gone, at the node that forgot the user. */
  #tellGone(watch: Watch): void {
    for (const device of watch.user.devices) this.#tell(watch, { event: 'unregistered', device });
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
    const now = clock.now();
    let left = 0;
    // those that cannot go yet hide nobody behind them
    for (const key of await store.due(watchedUsers, now, this.#leftOver + SWEEP_BATCH)) {
      const watch = this.#list.at(key);
      if (!watch) await this.#list.discard(key);
      else if (!this.#list.isOurs(watch)) {
        if (await this.#list.removeStale(watch, now - GRACE_MS)) this.#tellGone(watch);
        else left++;
      } else if (watch.user.until <= now) {
        if (!watch.ending) await this.deregistered(key);
        left++;
      }
    }
    this.#leftOver = left;
  }
}

const shown = ({ registeredBy: _, features, ...device }: WatchedDevice): RegisteredDevice => ({
  ...device,
  features: new Map(features),
});
