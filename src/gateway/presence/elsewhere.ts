import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Outcome, Trail } from '../../base/trail.js';
import { aorDomain, isTelAor, type Aor } from '../../identity/aor.js';
import type { ImpsServer, UserId } from '../../imps/index.js';
import { FinalResponseError } from '../../sip/final-response-error.js';
import { parseSubscriptionState, type SubscriptionState } from '../../sip/message/event.js';
import { SipRequest } from '../../sip/message/message.js';
import type { Dialog, ServerRequest, ServerResponse, SipStack } from '../../sip/stack.js';
import { table, type Store } from '../../store/store.js';
import type { AddressMap } from '../addresses/address-map.js';
import '../errors.js';
import { toAttributes } from './attributes.js';
import { LARGEST_PIDF, parsePidf, PIDF_TYPE, type PresenceView } from './pidf.js';

export interface ElsewhereOptions {
  readonly stack: SipStack;
  readonly store: Store;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly addresses: AddressMap;
  readonly imps: () => ImpsServer;
  /** SIP domains of this server. */
  readonly domains: readonly string[];
  /** Whether users of these domains are here, and not at another core. */
  readonly ownCore: boolean;
  /** Names this process among those that share the store. */
  readonly holder: string;
  readonly isAlive: (holder: string) => boolean;
  /** Subscriptions at once. */
  readonly total: number;
  readonly setOf: (aor: string) => Promise<string | undefined>;
  readonly identityOf: (user: UserId) => Promise<string | undefined>;
  readonly originating: (user: { servedUser: string; set: string }) => readonly string[];
}

/** That a phone's user watches somebody elsewhere, and which process asks for it. */
interface WatchRow {
  readonly watcher: UserId;
  readonly user: UserId;
  readonly holder: string;
}

const watches = table<WatchRow>('gateway-presence-watches');

interface Watch {
  readonly watcher: UserId;
  readonly user: UserId;
  readonly aor: Aor;
  dialog: Dialog | undefined;
  asking: boolean;
  /** What was told last. */
  view: PresenceView | undefined;
  timer: Timer | undefined;
}

/** Before a subscription is tried again that ended, or did not come about, for a time. */
const PAUSE_MS = 60_000;
/** How long a phone waits for the answer to a question, milliseconds. */
const ANSWER_MS = 3_000;
/** Questions that wait, and subscriptions that are taken over. */
const AT_ONCE = 64;
/** No way there now, or too much to do: asked again. Other refusals are the user's, or for good. */
const passing: ReadonlySet<number> = new Set([408, 430, 480, 500, 503, 504]);
/** Reasons for which a notifier wants no further subscription (RFC 6665 §4.1.3). */
const final: ReadonlySet<string> = new Set(['rejected', 'noresource', 'invariant']);

/**
 * Presence of users of other domains, or of the core that this server stands behind, for phones: the gateway subscribes for each
 * watcher (RFC 3856 §6), so that the user's own system decides what that one may see. What is watched outlives the process.
 */
export class Elsewhere {
  readonly #options: ElsewhereOptions;
  readonly #watches = new Map<string, Watch>();
  /** Those that wait for their answer. */
  #questions = 0;

  constructor(options: ElsewhereOptions) {
    this.#options = options;
  }

  /** The address of a user whose presence another system has; undefined for anybody else. */
  async addressOf(user: UserId): Promise<Aor | undefined> {
    const { imps, addresses, ownCore, domains, setOf } = this.#options;
    if (await imps().users.find(user)) return undefined;
    const aor = await addresses.toAor(user);
    if (aor === undefined || !ownCore) return aor;
    const foreign = !isTelAor(aor) && !domains.includes(aorDomain(aor)!);
    return foreign && (await setOf(aor)) === undefined ? aor : undefined;
  }

  /** A phone's user begins to watch, at one more session: what is known is told at once. */
  async watch(user: UserId, watcher: UserId, aor: Aor): Promise<void> {
    const { store, holder, total } = this.#options;
    const key = keyOf(watcher, user);
    const known = this.#watches.get(key);
    if (!known && this.#watches.size >= total) {
      this.#note(watcher, user, 'refused', 'presence-limit');
      return;
    }
    const watch = known ?? newWatch(watcher, user, aor);
    this.#watches.set(key, watch);
    await store.update(watches, key, () => ({
      kind: 'put',
      value: { watcher, user, holder },
      result: undefined,
    }));
    if (watch.view) await this.#options.imps().presence.tell(user, watcher, toAttributes(watch.view));
    if (!watch.dialog) this.#start(watch);
  }

  /** A session watches no more; the last one of the user ends the subscription. */
  async unwatch(user: UserId, watcher: UserId): Promise<void> {
    const { store, imps } = this.#options;
    const key = keyOf(watcher, user);
    if (!this.#watches.has(key) && !(await store.get(watches, key))) return;
    if (await imps().presence.watches(user, watcher)) return;
    await store.update(watches, key, () => ({ kind: 'remove', result: undefined }));
    this.#drop(key);
  }

  /**
   * One question: what is known by a subscription, else by one that ends with its first NOTIFY (RFC 6665 §4.4.3). A phone waits for it no
   * longer than a moment, however long the other system takes.
   */
  async fetch(user: UserId, watcher: UserId, aor: Aor): Promise<PresenceView | undefined> {
    const known = this.#watches.get(keyOf(watcher, user))?.view;
    if (known || this.#questions >= AT_ONCE) return known;
    this.#questions++;
    const answer = this.#ask(watcher, aor).finally(() => this.#questions--);
    let timer: Timer | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = this.#options.clock.after(ANSWER_MS, () => resolve(undefined));
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      timer?.cancel();
    }
  }

  /** Goes on with what processes that are gone watched. */
  async resume(): Promise<void> {
    const { store, holder, isAlive } = this.#options;
    const running = new Set<Promise<void>>();
    for await (const { key, value } of store.scan(watches)) {
      if (value.holder === holder || isAlive(value.holder)) continue;
      const one = this.#resumeOne(key, value)
        .catch((error: unknown) => this.#options.log.error({ err: error }, 'a user elsewhere is not watched'))
        .finally(() => running.delete(one));
      running.add(one);
      if (running.size >= AT_ONCE) await Promise.race(running);
    }
    await Promise.all(running);
  }

  close(): void {
    for (const { timer, dialog } of this.#watches.values()) {
      timer?.cancel();
      dialog?.leave();
    }
    this.#watches.clear();
  }

  async #resumeOne(key: string, { user, watcher }: WatchRow): Promise<void> {
    const aor = await this.addressOf(user);
    if (aor !== undefined && (await this.#options.imps().presence.watches(user, watcher)))
      await this.watch(user, watcher, aor);
    else await this.#options.store.update(watches, key, () => ({ kind: 'remove', result: undefined }));
  }

  #start(watch: Watch): void {
    watch.timer?.cancel();
    watch.timer = undefined;
    if (watch.asking) return;
    watch.asking = true;
    this.#open(watch)
      .catch((error: unknown) => this.#failed(watch, error))
      .finally(() => (watch.asking = false));
  }

  async #open(watch: Watch): Promise<void> {
    const { watcher, user, aor } = watch;
    const dialog = await this.#subscribe(watcher, aor, EXPIRES);
    if (!this.#isWanted(watch)) {
      await dialog.destroy();
      return;
    }
    watch.dialog = dialog;
    this.#note(watcher, user, 'accepted', 'subscribed', dialog.callId);
    let before: Promise<unknown> = Promise.resolve();
    dialog.onRequest((request, response) => {
      const view = this.#read(request, response);
      // in order: a later state must not be overtaken
      if (view)
        before = before
          .then(() => this.#told(watch, view))
          .catch((error: unknown) =>
            this.#options.log.info({ err: error }, 'presence from elsewhere was not told'),
          );
    });
    dialog.onEnd((cause) => this.#ended(watch, dialog, cause));
  }

  async #told(watch: Watch, view: PresenceView): Promise<void> {
    const { store, holder, imps } = this.#options;
    const { user, watcher } = watch;
    const key = keyOf(watcher, user);
    if (this.#watches.get(key) !== watch) return;
    // the phone's session is at another node now, which has asked for itself, or is over
    if ((await store.get(watches, key))?.holder !== holder) {
      this.#drop(key);
      return;
    }
    watch.view = view;
    await imps().presence.tell(user, watcher, toAttributes(view));
  }

  #ended(watch: Watch, dialog: Dialog, cause: SipRequest | string): void {
    if (watch.dialog !== dialog) return;
    watch.dialog = undefined;
    watch.view = undefined;
    const { reason = '', retryAfter } = stateIn(cause) ?? {};
    if (final.has(reason)) this.#note(watch.watcher, watch.user, 'refused', reason, dialog.callId);
    else this.#later(watch, retryAfter === undefined ? PAUSE_MS : retryAfter * 1_000);
  }

  #failed(watch: Watch, error: unknown): void {
    const status = error instanceof FinalResponseError ? error.status : undefined;
    this.#note(watch.watcher, watch.user, 'refused', String(status ?? 'failed'));
    if (status === undefined || passing.has(status)) this.#later(watch, PAUSE_MS);
  }

  #later(watch: Watch, ms: number): void {
    if (this.#isWanted(watch)) watch.timer = this.#options.clock.after(ms, () => this.#start(watch));
  }

  #isWanted(watch: Watch): boolean {
    return this.#watches.get(keyOf(watch.watcher, watch.user)) === watch;
  }

  #drop(key: string): void {
    const watch = this.#watches.get(key);
    this.#watches.delete(key);
    watch?.timer?.cancel();
    const dialog = watch?.dialog;
    if (!dialog || dialog.state === 'terminated') return;
    dialog
      .destroy()
      .catch((error: unknown) => this.#options.log.info({ err: error }, 'a subscription did not end well'));
  }

  async #subscribe(watcher: UserId, aor: Aor, expires: number): Promise<Dialog> {
    const { stack, identityOf, setOf, originating } = this.#options;
    const identity = (await identityOf(watcher)) ?? watcher;
    const set = (await setOf(identity)) ?? identity;
    return stack.createUAC(aor, {
      method: 'SUBSCRIBE',
      headers: {
        From: `<${identity}>`,
        To: `<${aor}>`,
        'P-Asserted-Identity': `<${identity}>`,
        Event: 'presence',
        Accept: PIDF_TYPE,
        Expires: expires,
      },
      route: originating({ servedUser: identity, set }),
    });
  }

  /** Answers a NOTIFY. @returns what it tells; undefined when that is nothing yet */
  #read(request: ServerRequest, response: ServerResponse): PresenceView | undefined {
    if (request.method !== 'NOTIFY') throw new ParleyError('gateway-method', request.method);
    if (request.body.length > LARGEST_PIDF) throw new ParleyError('presence-too-large');
    const view = request.body.length === 0 ? undefined : parsePidf(request.body);
    response.send(200);
    return view;
  }

  async #ask(watcher: UserId, aor: Aor): Promise<PresenceView | undefined> {
    try {
      const dialog = await this.#subscribe(watcher, aor, 0);
      return await new Promise((resolve) => {
        dialog.onRequest((request, response) => resolve(this.#read(request, response)));
        dialog.onEnd(() => resolve(undefined));
      });
    } catch (error) {
      if (error instanceof FinalResponseError || error instanceof ParleyError) return undefined;
      throw error;
    }
  }

  #note(watcher: UserId, user: UserId, outcome: Outcome, detail: string, trace?: string): void {
    this.#options.trail.record({
      code: 'presence.watched-elsewhere',
      outcome,
      clause: 'RFC 3856 §6.3',
      subject: watcher,
      detail: `${user} ${detail}`,
      ...(trace === undefined ? {} : { trace }),
    });
  }
}

/** Seconds that subscriptions ask for; the stack refreshes them. */
const EXPIRES = 3_600;

const keyOf = (watcher: UserId, user: UserId): string => `${watcher}\t${user}`;

const newWatch = (watcher: UserId, user: UserId, aor: Aor): Watch => ({
  watcher,
  user,
  aor,
  dialog: undefined,
  asking: false,
  view: undefined,
  timer: undefined,
});

/** Of the NOTIFY that ended a subscription. */
function stateIn(cause: SipRequest | string): SubscriptionState | undefined {
  const text = cause instanceof SipRequest ? cause.get('Subscription-State') : undefined;
  return text === undefined ? undefined : parseSubscriptionState(text);
}
