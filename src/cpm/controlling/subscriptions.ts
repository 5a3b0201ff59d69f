import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { Dialog } from '../../sip/stack.js';
import { CONFERENCE_INFO_TYPE, formatFullInfo, formatPartialInfo } from './conference-info.js';
import { focusContact } from './invitation.js';
import type { Group } from './group.js';

/** Between two NOTIFYs of one subscription, milliseconds (RFC 4575 §3.10 asks for one second or more). */
const THROTTLE_MS = 1_000;

interface Subscription {
  readonly dialog: Dialog;
  readonly identity: string;
  version: number;
  /** Whose change is not yet told. */
  readonly changed: Set<string>;
  lastAt: number;
  timer: Timer | undefined;
}

/** Who watches one group (RFC 4575 §3): the whole state first, then what changed, at most once a second. */
export class Subscriptions {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #group: () => Group;
  readonly #all = new Set<Subscription>();

  constructor(clock: Clock, log: Logger, group: () => Group) {
    this.#clock = clock;
    this.#log = log;
    this.#group = group;
  }

  add(dialog: Dialog, identity: string): void {
    const subscription: Subscription = {
      dialog,
      identity,
      version: 0,
      changed: new Set(),
      lastAt: this.#clock.now(),
      timer: undefined,
    };
    this.#all.add(subscription);
    dialog.onEnd(() => {
      subscription.timer?.cancel();
      this.#all.delete(subscription);
    });
    dialog.onRequest((request, response) => {
      if (request.method !== 'SUBSCRIBE') response.send(405, { headers: { Allow: 'SUBSCRIBE' } });
      else {
        response.send(200);
        this.#notifyFull(subscription);
      }
    });
    this.#notifyFull(subscription);
  }

  changed(identities: Iterable<string>): void {
    for (const subscription of this.#all) {
      for (const identity of identities) subscription.changed.add(identity);
      if (subscription.timer) continue;
      const wait = subscription.lastAt + THROTTLE_MS - this.#clock.now();
      if (wait <= 0) this.#notifyPartial(subscription);
      else subscription.timer = this.#clock.after(wait, () => this.#notifyPartial(subscription));
    }
  }

  /** The group has gone, or its sessions have: all end (RFC 6665 §4.1.3: `noresource`). */
  end(): void {
    for (const { dialog } of [...this.#all]) this.#terminate(dialog, 'noresource');
  }

  /** A user has lost the right to watch the group (`rejected`). */
  endOf(identity: string): void {
    for (const { dialog, identity: own } of [...this.#all])
      if (identity === own) this.#terminate(dialog, 'rejected');
  }

  #terminate(dialog: Dialog, reason: string): void {
    this.#send(dialog.destroy({ 'Subscription-State': `terminated;reason=${reason}` }));
  }

  #notifyFull(subscription: Subscription): void {
    subscription.changed.clear();
    this.#notify(subscription, formatFullInfo(this.#group(), subscription.version, subscription.identity));
  }

  #notifyPartial(subscription: Subscription): void {
    subscription.timer = undefined;
    const group = this.#group();
    const members = group.members.filter((member) => subscription.changed.has(member.identity));
    subscription.changed.clear();
    if (members.length > 0)
      this.#notify(
        subscription,
        formatPartialInfo(group, members, subscription.version, subscription.identity),
      );
  }

  #notify(subscription: Subscription, body: string): void {
    subscription.version++;
    subscription.lastAt = this.#clock.now();
    const headers = { 'Content-Type': CONFERENCE_INFO_TYPE, Contact: focusContact(this.#group()) };
    this.#send(subscription.dialog.send({ method: 'NOTIFY', headers, body }));
  }

  #send(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#log.info({ err: error }, 'a NOTIFY of a group could not be sent'));
  }
}
