import { ParleyError } from '../../base/errors.js';
import type { Next, Service, ServiceCall, ServiceSubject } from '../../core/service.js';
import type { Policies } from '../../cpm/policy/policies.js';
import type { Element, UserId } from '../../imps/index.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import { parseMediaType } from '../../sip/message/content.js';
import { parseEvent } from '../../sip/message/event.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { ServerRequest, ServerResponse } from '../../sip/stack.js';
import { SubscriptionKeeper } from '../../subscriptions/subscription-keeper.js';
import '../errors.js';
import { fromAttributes, toAttributes } from './attributes.js';
import { Elsewhere, type ElsewhereOptions } from './elsewhere.js';
import { LARGEST_PIDF, parsePidf, PIDF_TYPE, type PresenceView } from './pidf.js';
import type { Publications } from './publications.js';
import { Sights } from './sights.js';
import { Watchers } from './watchers.js';

export interface PresenceOptions extends Omit<ElsewhereOptions, 'total'> {
  readonly devices: RegisteredDevices;
  readonly policies: Policies;
  readonly publications: Publications;
  /** Host of the phones' own contacts. */
  readonly host: string;
  /** Milliseconds between two NOTIFYs of a subscription at least (RFC 3856 §6.10 asks for 5 s). */
  readonly intervalMs: number;
  /** Subscriptions to one user, and altogether: of others here, and of phones elsewhere. */
  readonly perUser: number;
  readonly total: number;
  /**
   * Calls `listener` when another node changes the registration of a set.
   * @returns a function that ends it.
   */
  onOtherNode(set: string, listener: () => void): () => void;
}

/** Keys of registration sets whose presence changed, to all nodes. */
const CHANGES = 'gateway-presence';
/** Seconds of a publication: at least, at most, and when it asks for none. */
const PUBLISHED = { minimum: 60, maximum: 3_600, standard: 3_600 };

/**
 * The event package `presence` (RFC 3856, RFC 3903) for users of the domain. What the IMPS server knows of a user is the source, with
 * its authorisation; registration and what devices publish go into it.
 */
export class Presence implements Service {
  readonly name = 'presence';
  readonly packages = ['presence'];
  readonly #options: PresenceOptions;
  readonly #keeper: SubscriptionKeeper;
  readonly #sights: Sights;
  readonly #watchers: Watchers;
  readonly #elsewhere: Elsewhere;
  readonly #unlisten: readonly (() => void)[];

  constructor(options: PresenceOptions) {
    this.#options = options;
    const { store, devices, holder } = options;
    this.#sights = new Sights(options);
    this.#elsewhere = new Elsewhere(options);
    this.#keeper = new SubscriptionKeeper({ ...options, event: 'presence', node: holder });
    this.#watchers = new Watchers({
      ...options,
      keeper: this.#keeper,
      sights: this.#sights,
      view: (set, sight) => this.#view(set, sight),
      registrationChanged: (set) => this.#background(this.#registrationChanged(set)),
    });
    this.#unlisten = [
      devices.onChange(({ set, event }) => {
        if (event !== 'refreshed') this.#background(this.#registrationChanged(set));
      }),
      // what one node is told of changes what watchers of the others see
      store.subscribe(
        CHANGES,
        (set) => this.#watchers.changed(set),
        () => this.#watchers.changedUnheard(),
      ),
    ];
  }

  /** Requests can be sent: subscriptions of processes that are no more go on here. */
  async resume(): Promise<void> {
    await Promise.all([this.#watchers.resume(), this.#elsewhere.resume()]);
  }

  close(): void {
    for (const end of this.#unlisten) end();
    this.#watchers.close();
    this.#elsewhere.close();
    this.#keeper.close();
  }

  matches({ request, sessionCase }: ServiceSubject): boolean {
    if (sessionCase === 'originating' || (request.method !== 'SUBSCRIBE' && request.method !== 'PUBLISH'))
      return false;
    const event = request.get('Event');
    return event !== undefined && parseEvent(event).type === 'presence';
  }

  async handle(call: ServiceCall, _next: Next): Promise<void> {
    const { request, response, set, servedUser } = call;
    if (request.method === 'PUBLISH') await this.#publish(call);
    else await this.subscribed(request, response, { set, entity: servedUser });
  }

  /**
   * Answers a SUBSCRIBE for a user.
   * @param entity the identity that it is for
   * @throws ParleyError `presence-no-identity`, `presence-limit`, `presence-not-acceptable`
   */
  subscribed(
    request: ServerRequest,
    response: ServerResponse,
    user: { readonly set: string; readonly entity: string },
  ): Promise<void> {
    return this.#watchers.accept(request, response, user);
  }

  /** Publications that have expired. */
  async expire(limit: number): Promise<void> {
    for (const set of await this.#options.publications.expire(limit)) await this.#announce(set);
  }

  /** Presence of an IMPS user, or who may see it, changed. */
  async changed(wv: UserId): Promise<void> {
    const aor = await this.#options.addresses.toAor(wv);
    const set = aor === undefined ? undefined : await this.#options.setOf(aor);
    if (set !== undefined) await this.#options.store.publish(CHANGES, set);
  }

  /** Whether the block list of a user keeps a watcher of the IMPS side from seeing anything. */
  hides(owner: UserId, watcher: UserId): Promise<boolean> {
    return this.#sights.isBlocked(owner, watcher);
  }

  /**
   * Somebody on the IMPS side begins to watch: what SIP knows is to be found there.
   * @returns true for a user elsewhere, whose own system tells this watcher
   */
  async watched(wv: UserId, watcher: UserId): Promise<boolean> {
    const elsewhere = await this.#elsewhere.addressOf(wv);
    if (elsewhere !== undefined) {
      await this.#elsewhere.watch(wv, watcher, elsewhere);
      return true;
    }
    const aor = await this.#options.addresses.toAor(wv);
    const set = aor === undefined ? undefined : await this.#options.setOf(aor);
    if (set !== undefined) await this.#announce(set, wv);
    return false;
  }

  unwatched(wv: UserId, watcher: UserId): Promise<void> {
    return this.#elsewhere.unwatch(wv, watcher);
  }

  /** Presence for one question of a phone: of a user whom only the SIP side has; of others what SIP knows goes into the IMPS presence. */
  async fetch(wv: UserId, watcher: UserId): Promise<Element | undefined> {
    const elsewhere = await this.#elsewhere.addressOf(wv);
    if (elsewhere !== undefined)
      return toAttributes((await this.#elsewhere.fetch(wv, watcher, elsewhere)) ?? {});
    const aor = await this.#options.addresses.toAor(wv);
    const set = aor === undefined ? undefined : await this.#options.setOf(aor);
    if (set === undefined) return undefined;
    if (!(await this.#options.imps().users.find(wv))) return toAttributes(await this.#ofSip(set));
    await this.#announce(set, wv);
    return undefined;
  }

  /** @throws ParleyError `presence-not-yours`, `presence-document`, `presence-too-large`, `presence-type`, `presence-no-match` */
  async #publish({ request, response, set }: ServiceCall): Promise<void> {
    const { publications, trail } = this.#options;
    const [sender] = request.addresses('P-Asserted-Identity');
    if (!sender || (await this.#options.setOf(sender.uriText)) !== set)
      throw new ParleyError('presence-not-yours');
    const seconds = Math.min(request.number('Expires') ?? PUBLISHED.standard, PUBLISHED.maximum);
    if (seconds > 0 && seconds < PUBLISHED.minimum) {
      response.send(423, { headers: { 'Min-Expires': PUBLISHED.minimum } });
      return;
    }
    const match = request.get('SIP-If-Match')?.trim();
    const etag = await publications.put(set, match, documentOf(request, match), seconds);
    await this.#announce(set);
    trail.record({
      code: 'presence.published',
      outcome: 'accepted',
      clause: 'RFC 3903 §6',
      subject: set,
      trace: request.callId,
      detail: String(seconds),
    });
    response.send(200, { headers: { 'SIP-ETag': etag, Expires: seconds } });
  }

  async #view(set: string, sight: ReadonlySet<string>): Promise<PresenceView> {
    const imps = this.#options.imps();
    const owner = await this.#options.addresses.toWv(set);
    if (!(await imps.users.find(owner))) return seen(await this.#ofSip(set), sight);
    const view = fromAttributes(await imps.presence.read(owner, sight));
    return seen({ ...view, open: view.open === true || (await this.#hasDevice(set)) }, sight);
  }

  /** Presence by registration and by what the devices have published. */
  async #ofSip(set: string): Promise<PresenceView> {
    const said = await this.#options.publications.of(set);
    return { ...said, open: (await this.#hasDevice(set)) && said?.open !== false };
  }

  /** Whether a device other than IMPS phones is registered: those say themselves that they are there. */
  async #hasDevice(set: string): Promise<boolean> {
    const all = await this.#options.devices.of(set);
    return all.some(({ contact }) => !contact.endsWith(`@${this.#options.host}`));
  }

  /** Puts what SIP knows of a user into the IMPS presence, which tells its watchers, and through it those of SIP. */
  async #announce(set: string, known?: UserId): Promise<void> {
    const imps = this.#options.imps();
    const wv = known ?? (await this.#options.addresses.toWv(set));
    const view = await this.#ofSip(set);
    // a phone is online by its own session
    const open = view.open === true || !(await imps.users.find(wv)) ? view.open : undefined;
    await imps.publishPresence(wv, toAttributes({ ...view, open }));
  }

  async #registrationChanged(set: string): Promise<void> {
    const wv = await this.#options.addresses.toWv(set);
    if (this.#watchers.has(set) || (await this.#options.imps().presence.isWatched(wv)))
      await this.#announce(set, wv);
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#options.log.info({ err: error }, 'presence was not told'));
  }
}

/** What the request publishes; undefined for a refresh. */
function documentOf(request: SipRequest, match: string | undefined): PresenceView | undefined {
  if (request.body.length === 0) {
    if (match === undefined) throw new ParleyError('presence-document', 'no body');
    return undefined;
  }
  if (request.body.length > LARGEST_PIDF) throw new ParleyError('presence-too-large');
  if (parseMediaType(request.get('Content-Type') ?? 'text/plain').type !== PIDF_TYPE)
    throw new ParleyError('presence-type');
  return parsePidf(request.body);
}

function seen(view: PresenceView, sight: ReadonlySet<string>): PresenceView {
  return {
    open: sight.has('OnlineStatus') ? view.open : undefined,
    availability: sight.has('UserAvailability') ? view.availability : undefined,
    mood: sight.has('StatusMood') ? view.mood : undefined,
    text: sight.has('StatusText') ? view.text : undefined,
  };
}
