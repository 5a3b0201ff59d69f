import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { ServerRequest, ServerResponse } from '../../sip/stack.js';
import type { KeptSubscription } from '../../subscriptions/kept-subscription.js';
import type { SubscriptionKeeper } from '../../subscriptions/subscription-keeper.js';
import type { AddressMap } from '../addresses/address-map.js';
import '../errors.js';
import { formatPidf, PIDF_TYPE, type PresenceView } from './pidf.js';
import type { Sights, SipWatcher } from './sights.js';

export interface WatchersOptions {
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  /** Where subscriptions outlive the process: what is watched is the key of a registration set. */
  readonly keeper: SubscriptionKeeper;
  readonly addresses: AddressMap;
  readonly sights: Sights;
  /** Milliseconds between two NOTIFYs of a subscription at least (RFC 3856 §6.10 asks for 5 s). */
  readonly intervalMs: number;
  /** Subscriptions to one user, and altogether. */
  readonly perUser: number;
  readonly total: number;
  readonly setOf: (aor: string) => Promise<string | undefined>;
  /** Presence of a user, as far as these attributes show it. */
  readonly view: (set: string, sight: ReadonlySet<string>) => Promise<PresenceView>;
  /**
   * Calls `listener` when another node changes the registration of a set.
   * @returns a function that ends it.
   */
  readonly onOtherNode: (set: string, listener: () => void) => () => void;
  /** A user's registration was changed by another node. */
  readonly registrationChanged: (set: string) => void;
}

/** Who watches, and under which address. */
interface WatcherRow {
  readonly uri: string;
  /** The identity that was asked for. */
  readonly entity: string;
}

interface Subscription extends WatcherRow {
  readonly kept: KeptSubscription;
  lastAt: number;
  timer: Timer | undefined;
  /** A NOTIFY is on its way; what happens meanwhile is told after it, so that none overtakes another. */
  telling: boolean;
  again: boolean;
}

/** Seconds of a SUBSCRIBE that asks for none (RFC 3856 §6.4), and at most. */
const EXPIRES = 3_600;

/** SIP watchers of presence (RFC 3856): what each may see, at most so often. */
export class Watchers {
  readonly #options: WatchersOptions;
  readonly #bySet = new Map<string, Set<Subscription>>();
  /** What ends hearing of other nodes, by set. */
  readonly #unlisten = new Map<string, () => void>();
  #count = 0;

  constructor(options: WatchersOptions) {
    this.#options = options;
  }

  /** Whether this process has watchers of a user. */
  has(set: string): boolean {
    return this.#bySet.has(set);
  }

  /** Answers a SUBSCRIBE outside dialogs. @throws ParleyError `presence-no-identity`, `presence-limit`, `presence-not-acceptable`, `store-unavailable` */
  async accept(
    request: ServerRequest,
    response: ServerResponse,
    { set, entity }: { readonly set: string; readonly entity: string },
  ): Promise<void> {
    const { trail, perUser, total } = this.#options;
    const [watcher] = request.addresses('P-Asserted-Identity');
    if (!watcher) throw new ParleyError('presence-no-identity');
    const accept = request.headers
      .list('Accept')
      .map((value) => value.split(';', 1)[0]!.trim().toLowerCase());
    if (accept.length > 0 && !accept.some((type) => [PIDF_TYPE, 'application/*', '*/*'].includes(type)))
      throw new ParleyError('presence-not-acceptable');
    if ((this.#bySet.get(set)?.size ?? 0) >= perUser || this.#count >= total)
      throw new ParleyError('presence-limit');
    const row: WatcherRow = { uri: watcher.uriText, entity };
    const kept = await this.#options.keeper.accept({
      request,
      response,
      resource: set,
      watcher: JSON.stringify(row),
      expires: granted(request),
    });
    trail.record({
      code: 'presence.subscribed',
      outcome: 'accepted',
      clause: 'RFC 3856 §6.6',
      subject: set,
      trace: request.callId,
      detail: row.uri,
    });
    this.#add(kept);
  }

  /** Goes on with the subscriptions of processes that are no more. @throws ParleyError `store-unavailable` */
  async resume(): Promise<void> {
    for await (const kept of this.#options.keeper.orphans()) this.#add(kept);
  }

  /** Presence of a user is another one now, or who may see it. */
  changed(set: string): void {
    const { clock, intervalMs } = this.#options;
    for (const subscription of this.#bySet.get(set) ?? []) {
      if (subscription.timer) continue;
      const wait = subscription.lastAt + intervalMs - clock.now();
      if (wait <= 0) this.#tell(subscription);
      else subscription.timer = clock.after(wait, () => this.#tell(subscription));
    }
  }

  /** Presence of anybody may be another one. */
  changedUnheard(): void {
    for (const set of this.#bySet.keys()) this.changed(set);
  }

  close(): void {
    for (const end of this.#unlisten.values()) end();
    for (const all of this.#bySet.values()) for (const { timer } of all) timer?.cancel();
  }

  #add(kept: KeptSubscription): void {
    const set = kept.resource;
    const subscription: Subscription = {
      ...(JSON.parse(kept.watcher) as WatcherRow),
      kept,
      lastAt: -Infinity,
      timer: undefined,
      telling: false,
      again: false,
    };
    const all = this.#bySet.get(set) ?? this.#watchedNow(set);
    all.add(subscription);
    this.#count++;
    kept.serve({
      request: (request, response) => this.#inDialog(subscription, request, response),
      ended: () => {
        subscription.timer?.cancel();
        this.#count--;
        all.delete(subscription);
        if (all.size > 0 || this.#bySet.get(set) !== all) return;
        this.#bySet.delete(set);
        this.#unlisten.get(set)?.();
        this.#unlisten.delete(set);
      },
    });
    this.#tell(subscription);
  }

  #watchedNow(set: string): Set<Subscription> {
    const all = new Set<Subscription>();
    const { onOtherNode, registrationChanged } = this.#options;
    this.#bySet.set(set, all);
    this.#unlisten.set(
      set,
      onOtherNode(set, () => registrationChanged(set)),
    );
    return all;
  }

  async #inDialog(
    subscription: Subscription,
    request: ServerRequest,
    response: ServerResponse,
  ): Promise<void> {
    const { kept } = subscription;
    if (request.method !== 'SUBSCRIBE') response.send(405, { headers: { Allow: 'SUBSCRIBE' } });
    else {
      await kept.refresh(request, response, granted(request));
      if (kept.dialog.state !== 'terminated') this.#tell(subscription);
    }
  }

  #tell(subscription: Subscription): void {
    subscription.timer?.cancel();
    subscription.timer = undefined;
    subscription.again = subscription.telling;
    if (subscription.telling) return;
    subscription.telling = true;
    subscription.lastAt = this.#options.clock.now();
    this.#notify(subscription)
      .catch((error: unknown) => this.#options.log.info({ err: error }, 'presence was not told'))
      .finally(() => {
        subscription.telling = false;
        if (subscription.again && subscription.kept.dialog.state !== 'terminated') this.#tell(subscription);
      });
  }

  /** Says how things are now, as far as the watcher may see them (RFC 3856 §6.7). */
  async #notify({ kept, uri, entity }: Subscription): Promise<void> {
    const { addresses, sights, view, setOf } = this.#options;
    const set = kept.resource;
    const watcher: SipWatcher = { uri, wv: await addresses.toWv(uri), set: await setOf(uri) };
    const sight = await sights.of(set, watcher);
    if (sight === 'rejected') {
      await kept.dialog.destroy({ 'Subscription-State': 'terminated;reason=rejected' });
      return;
    }
    if (sight === 'pending') {
      await kept.notify(() => ({ headers: { 'Subscription-State': 'pending' }, body: '' }));
      return;
    }
    const body = formatPidf(entity, await view(set, sight));
    await kept.notify(() => ({ headers: { 'Content-Type': PIDF_TYPE }, body }));
  }
}

const granted = (request: ServerRequest): number => Math.min(request.number('Expires') ?? EXPIRES, EXPIRES);
