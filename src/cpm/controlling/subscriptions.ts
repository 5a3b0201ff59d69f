import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { ServerRequest, ServerResponse } from '../../sip/stack.js';
import type { KeptSubscription } from '../../subscriptions/kept-subscription.js';
import type { SubscriptionKeeper } from '../../subscriptions/subscription-keeper.js';
import {
  CONFERENCE_INFO_TYPE,
  formatFullInfo,
  formatPartialInfo,
  isShown,
  showUsers,
  takeOut,
} from './conference-info.js';
import { groupError } from './errors.js';
import { focusContact } from './invitation.js';
import { findMember, type Group } from './group.js';
import { holdsMembership, type Member } from './member.js';

/** Seconds of a SUBSCRIBE that asks for none (RFC 4575 §3.3), and at most. */
const EXPIRES = { standard: 3_600, maximum: 86_400 };

/** Of one member: two for each device that anybody has, one of which it has forgotten. */
const MOST_SUBSCRIPTIONS = 32;

interface Subscription {
  readonly kept: KeptSubscription;
  readonly identity: string;
  /** Whose change is not yet told. */
  readonly changed: Set<string>;
  /** Who has been told as disconnected, and is still in what the subscriber has. */
  readonly out: Set<string>;
  lastAt: number;
  timer: Timer | undefined;
}

export interface SubscriptionsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Milliseconds between two NOTIFYs of one subscription at least (RFC 4575 §3.9). */
  readonly notifyInterval: number;
  /** Where subscriptions outlive the process: what is watched is the id of the group. */
  readonly keeper: SubscriptionKeeper;
}

/** Who watches one group (RFC 4575 §3): the whole state first, then what changed, as often as the interval lets it. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #group: () => Group;
  readonly #all = new Set<Subscription>();
  /** How many of each member are being stored. */
  readonly #coming = new Map<string, number>();
  #over = false;

  constructor(options: SubscriptionsOptions, group: () => Group) {
    this.#options = options;
    this.#group = group;
  }

  /** Answers a SUBSCRIBE of a participant. @throws ParleyError `group-too-many`, `store-unavailable`, `sip-*` */
  async accept(request: ServerRequest, response: ServerResponse, identity: string): Promise<void> {
    const group = this.#group();
    const coming = this.#coming.get(identity) ?? 0;
    if (this.#of(identity).length + coming >= MOST_SUBSCRIPTIONS)
      throw groupError('group-too-many', `${MOST_SUBSCRIPTIONS} subscriptions`);
    this.#coming.set(identity, coming + 1);
    try {
      await this.#accept(group, request, response, identity);
    } finally {
      const left = this.#coming.get(identity)! - 1;
      if (left > 0) this.#coming.set(identity, left);
      else this.#coming.delete(identity);
    }
  }

  async #accept(
    group: Group,
    request: ServerRequest,
    response: ServerResponse,
    identity: string,
  ): Promise<void> {
    const expires = granted(request);
    this.#add(
      await this.#options.keeper.accept({
        request,
        response,
        resource: group.id,
        watcher: identity,
        expires,
        headers: { Contact: focusContact(group) },
      }),
      expires === 0,
    );
  }

  /** Goes on with the subscriptions that a process had which is no more. @throws ParleyError `store-unavailable` */
  async resume(): Promise<void> {
    for await (const kept of this.#options.keeper.orphans(this.#group().id)) this.#add(kept);
  }

  changed(identities: Iterable<string>): void {
    for (const subscription of this.#all) {
      for (const identity of identities) subscription.changed.add(identity);
      this.#schedule(subscription);
    }
  }

  #schedule(subscription: Subscription): void {
    if (subscription.timer) return;
    const { clock, notifyInterval } = this.#options;
    const wait = subscription.lastAt + notifyInterval - clock.now();
    if (wait <= 0) this.#notifyPartial(subscription);
    else subscription.timer = clock.after(wait, () => this.#notifyPartial(subscription));
  }

  /** The group has gone, or its sessions have: all end (RFC 6665 §4.1.3: `noresource`). */
  end(): void {
    this.#over = true;
    for (const { kept } of [...this.#all]) this.#terminate(kept, 'noresource');
  }

  /** Another process has the group, and goes on with them. */
  leave(): void {
    this.#over = true;
    for (const { kept } of [...this.#all]) kept.dialog.leave();
  }

  /** A user has lost the right to watch the group (`rejected`). */
  endOf(identity: string): void {
    for (const { kept } of this.#of(identity)) this.#terminate(kept, 'rejected');
  }

  #of(identity: string): Subscription[] {
    return [...this.#all].filter((subscription) => subscription.identity === identity);
  }

  /** @param once whether the first NOTIFY is the last one too. */
  #add(kept: KeptSubscription, once = false): void {
    const { dialog, watcher: identity } = kept;
    const member = findMember(this.#group(), identity);
    if (this.#over || !member || !holdsMembership(member)) {
      this.#terminate(kept, this.#over ? 'noresource' : 'rejected');
      return;
    }
    const lastAt = this.#options.clock.now();
    const subscription: Subscription = {
      kept,
      identity,
      changed: new Set(),
      out: new Set(),
      lastAt,
      timer: undefined,
    };
    this.#all.add(subscription);
    kept.serve({
      request: async (request, response) => {
        if (request.method !== 'SUBSCRIBE') response.send(405, { headers: { Allow: 'SUBSCRIBE' } });
        else {
          const expires = granted(request);
          await kept.refresh(request, response, expires);
          if (dialog.state !== 'terminated') this.#notifyFull(subscription, expires === 0);
        }
      },
      ended: () => {
        subscription.timer?.cancel();
        this.#all.delete(subscription);
      },
    });
    this.#notifyFull(subscription, once);
  }

  #terminate({ dialog }: KeptSubscription, reason: string): void {
    this.#send(dialog.destroy({ 'Subscription-State': `terminated;reason=${reason}` }));
  }

  /** The whole state; of a large group as much of it as one document holds, and the rest with the changes. @param once all the same all of it. */
  #notifyFull(subscription: Subscription, once: boolean): void {
    const group = this.#group();
    const { changed, out, identity: self } = subscription;
    const { elements, left } = showUsers(group.members.filter(isShown), self, once ? Infinity : undefined);
    changed.clear();
    out.clear();
    this.#notify(subscription, (version) => formatFullInfo(group, version, elements));
    this.#later(subscription, left);
  }

  #later(subscription: Subscription, members: readonly Member[]): void {
    for (const { identity } of members) subscription.changed.add(identity);
    if (members.length > 0) this.#schedule(subscription);
  }

  #notifyPartial(subscription: Subscription): void {
    subscription.timer = undefined;
    const group = this.#group();
    const { changed, out, identity: self } = subscription;
    const members = group.members.filter(({ identity }) => changed.has(identity));
    const gone = group.members.filter(({ identity }) => out.has(identity) && !changed.has(identity));
    changed.clear();
    if (members.length === 0) return;
    out.clear();
    const { elements, left } = showUsers(members, self);
    for (const member of members.slice(0, members.length - left.length))
      if (!isShown(member)) out.add(member.identity);
    this.#notify(subscription, (version) => formatPartialInfo(group, version, elements + takeOut(gone)));
    this.#later(subscription, left);
  }

  #notify(subscription: Subscription, body: (version: number) => string): void {
    subscription.lastAt = this.#options.clock.now();
    const headers = { 'Content-Type': CONFERENCE_INFO_TYPE, Contact: focusContact(this.#group()) };
    this.#send(subscription.kept.notify((version) => ({ headers, body: body(version) })));
  }

  #send(work: Promise<unknown>): void {
    work.catch((error: unknown) =>
      this.#options.log.info({ err: error }, 'a NOTIFY of a group could not be sent'),
    );
  }
}

const granted = (request: ServerRequest): number =>
  Math.min(request.number('Expires') ?? EXPIRES.standard, EXPIRES.maximum);
