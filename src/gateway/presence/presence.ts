import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Trail } from '../../base/trail.js';
import type { Next, Service, ServiceCall, ServiceSubject } from '../../core/service.js';
import { isBlocked, type Policies } from '../../cpm/policy/policies.js';
import type { Element, ImpsServer, UserId } from '../../imps/index.js';
import type { RegisteredDevices } from '../../reg-event/devices.js';
import { parseMediaType } from '../../sip/message/content.js';
import { parseEvent } from '../../sip/message/event.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { Dialog, SipStack } from '../../sip/stack.js';
import type { AddressMap } from '../addresses/address-map.js';
import '../errors.js';
import { fromAttributes, toAttributes } from './attributes.js';
import { formatPidf, parsePidf, PIDF_TYPE, type PresenceView } from './pidf.js';
import type { Publications } from './publications.js';

export interface PresenceOptions {
  readonly stack: SipStack;
  readonly clock: Clock;
  readonly trail: Trail;
  readonly log: Logger;
  readonly devices: RegisteredDevices;
  readonly policies: Policies;
  readonly addresses: AddressMap;
  readonly publications: Publications;
  readonly imps: () => ImpsServer;
  /** Host of the phones' own contacts. */
  readonly host: string;
  /** Milliseconds between two NOTIFYs of a subscription at least (RFC 3856 §6.10 asks for 5 s). */
  readonly intervalMs: number;
  /** Subscriptions to one user, and altogether. */
  readonly perUser: number;
  readonly total: number;
  setOf(aor: string): Promise<string | undefined>;
}

interface Subscription {
  readonly dialog: Dialog;
  readonly set: string;
  readonly entity: string;
  readonly watcher: { readonly uri: string; readonly wv: UserId; readonly set: string | undefined };
  lastAt: number;
  timer: Timer | undefined;
}

/** What a watcher may see: everything, some attributes, nothing yet, or nothing at all. */
type Sight = ReadonlySet<string> | 'pending' | 'rejected';

const NAMES = ['OnlineStatus', 'UserAvailability', 'StatusMood', 'StatusText'];
const everything: ReadonlySet<string> = new Set(NAMES);
const LARGEST = 16_384;
/** Seconds of a publication: at least, at most, and when it asks for none. */
const PUBLISHED = { minimum: 60, maximum: 3_600, standard: 3_600 };

/**
 * The event package `presence` (RFC 3856, RFC 3903) for users of the domain. What the IMPS server knows of a user is the source, with
 * its authorisation; registration and what devices publish go into it.
 */
export class Presence implements Service {
  readonly name = 'presence';
  readonly #options: PresenceOptions;
  readonly #bySet = new Map<string, Set<Subscription>>();
  readonly #unlisten: () => void;
  #count = 0;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#unlisten = options.devices.onChange(({ set, event }) => {
      if (event !== 'refreshed') this.#background(this.#registrationChanged(set));
    });
  }

  close(): void {
    this.#unlisten();
  }

  matches({ request, sessionCase }: ServiceSubject): boolean {
    if (sessionCase === 'originating' || (request.method !== 'SUBSCRIBE' && request.method !== 'PUBLISH'))
      return false;
    const event = request.get('Event');
    return event !== undefined && parseEvent(event).type === 'presence';
  }

  async handle(call: ServiceCall, _next: Next): Promise<void> {
    if (call.request.method === 'PUBLISH') await this.#publish(call);
    else await this.#subscribe(call);
  }

  /** Publications that have expired. */
  async expire(limit: number): Promise<void> {
    for (const set of await this.#options.publications.expire(limit)) await this.#announce(set);
  }

  /** Presence of an IMPS user, or who may see it, changed. */
  async changed(wv: UserId): Promise<void> {
    const aor = await this.#options.addresses.toAor(wv);
    const set = aor === undefined ? undefined : await this.#options.setOf(aor);
    if (set !== undefined) this.#notifyAll(set);
  }

  /** Somebody on the IMPS side begins to watch: what SIP knows is to be found there. */
  async watched(wv: UserId): Promise<void> {
    const aor = await this.#options.addresses.toAor(wv);
    const set = aor === undefined ? undefined : await this.#options.setOf(aor);
    if (set !== undefined) await this.#announce(set, wv);
  }

  /** Presence of a user whom only the SIP side has, for one question of a phone. */
  async fetch(wv: UserId): Promise<Element | undefined> {
    if (await this.#options.imps().users.find(wv)) return undefined;
    const aor = await this.#options.addresses.toAor(wv);
    const set = aor === undefined ? undefined : await this.#options.setOf(aor);
    return set === undefined ? undefined : toAttributes(await this.#ofSip(set));
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

  /** @throws ParleyError `presence-no-identity`, `presence-limit`, `presence-not-acceptable` */
  async #subscribe({ request, response, set, servedUser }: ServiceCall): Promise<void> {
    const { stack, trail, perUser, total } = this.#options;
    const [watcher] = request.addresses('P-Asserted-Identity');
    if (!watcher) throw new ParleyError('presence-no-identity');
    const accept = request.headers
      .list('Accept')
      .map((value) => value.split(';', 1)[0]!.trim().toLowerCase());
    if (accept.length > 0 && !accept.some((type) => [PIDF_TYPE, 'application/*', '*/*'].includes(type)))
      throw new ParleyError('presence-not-acceptable');
    if ((this.#bySet.get(set)?.size ?? 0) >= perUser || this.#count >= total)
      throw new ParleyError('presence-limit');
    const uri = watcher.uriText;
    const wv = await this.#options.addresses.toWv(uri);
    const dialog = await stack.createUAS(request, response);
    const subscription: Subscription = {
      dialog,
      set,
      entity: servedUser,
      watcher: { uri, wv, set: await this.#options.setOf(uri) },
      lastAt: -Infinity,
      timer: undefined,
    };
    this.#add(subscription);
    trail.record({
      code: 'presence.subscribed',
      outcome: 'accepted',
      clause: 'RFC 3856 §6.6',
      subject: set,
      trace: request.callId,
      detail: uri,
    });
    await this.#notify(subscription);
  }

  #add(subscription: Subscription): void {
    const { dialog, set } = subscription;
    const all = this.#bySet.get(set) ?? new Set();
    this.#bySet.set(set, all.add(subscription));
    this.#count++;
    dialog.onEnd(() => {
      subscription.timer?.cancel();
      this.#count--;
      all.delete(subscription);
      if (all.size === 0 && this.#bySet.get(set) === all) this.#bySet.delete(set);
    });
    dialog.onRequest((request, response) => {
      if (request.method !== 'SUBSCRIBE') response.send(405, { headers: { Allow: 'SUBSCRIBE' } });
      else {
        response.send(200);
        this.#background(this.#notify(subscription));
      }
    });
  }

  #notifyAll(set: string): void {
    const { clock, intervalMs } = this.#options;
    for (const subscription of this.#bySet.get(set) ?? []) {
      if (subscription.timer) continue;
      const wait = subscription.lastAt + intervalMs - clock.now();
      if (wait <= 0) this.#background(this.#notify(subscription));
      else subscription.timer = clock.after(wait, () => this.#background(this.#notify(subscription)));
    }
  }

  /** Says how things are now, as far as the watcher may see them (RFC 3856 §6.7). */
  async #notify(subscription: Subscription): Promise<void> {
    const { dialog, set, entity } = subscription;
    subscription.timer?.cancel();
    subscription.timer = undefined;
    subscription.lastAt = this.#options.clock.now();
    const sight = await this.#sight(subscription);
    if (sight === 'rejected') {
      await dialog.destroy({ 'Subscription-State': 'terminated;reason=rejected' });
      return;
    }
    if (sight === 'pending') {
      await dialog.send({ method: 'NOTIFY', headers: { 'Subscription-State': 'pending' } });
      return;
    }
    const body = formatPidf(entity, seen(await this.#view(set, sight), sight));
    await dialog.send({ method: 'NOTIFY', headers: { 'Content-Type': PIDF_TYPE }, body });
  }

  /** The owner's own authorisation: block list, and for IMPS users what they granted there. */
  async #sight({ set, watcher }: Subscription): Promise<Sight> {
    const { policies, addresses } = this.#options;
    if (watcher.set === set) return everything;
    const identities = watcher.set === undefined ? [watcher.uri] : [watcher.uri, watcher.set];
    if (isBlocked(await policies.of(set), identities)) return 'rejected';
    const imps = this.#options.imps();
    const owner = await addresses.toWv(set);
    if (!(await imps.users.find(owner))) return everything;
    const granted = await imps.presence.ask(owner, watcher.wv, NAMES);
    if (granted === undefined) return 'pending';
    return granted.size === 0 ? 'rejected' : granted;
  }

  async #view(set: string, sight: ReadonlySet<string>): Promise<PresenceView> {
    const imps = this.#options.imps();
    const owner = await this.#options.addresses.toWv(set);
    if (!(await imps.users.find(owner))) return this.#ofSip(set);
    const view = fromAttributes(await imps.presence.read(owner, sight));
    return { ...view, open: view.open === true || (await this.#hasDevice(set)) };
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
    if (this.#bySet.has(set) || (await this.#options.imps().presence.isWatched(wv)))
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
  if (request.body.length > LARGEST) throw new ParleyError('presence-too-large');
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
