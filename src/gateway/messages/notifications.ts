import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { formatCpim, IMDN_NAMESPACE } from '../../msrp/cpim/index.js';
import { formatImdn, IMDN_TYPE } from '../../msrp/imdn.js';
import type { SipStack } from '../../sip/stack.js';
import { table, type Store } from '../../store/store.js';
import type { Traffic } from '../traffic.js';
import { conversationId } from './identifiers.js';

/** A notification to the sender of a message, until the SIP side has it. */
export interface Notification {
  /** Its own Message-ID. */
  readonly id: string;
  /** Identity and registration set of the user whose phone has the message. */
  readonly from: string;
  readonly set: string;
  /** The sender of the message. */
  readonly to: string;
  /** Message-ID and DateTime of the message. */
  readonly messageId: string;
  readonly dateTime: string;
  readonly delivered: boolean;
  /** IMDN-Record-Route of the message (RFC 5438 §8.1). */
  readonly routes: readonly string[];
  /** Conversation-ID of the message, where it had one. */
  readonly conversation?: string | undefined;
  /** The open session that the message came in. */
  readonly session?: string | undefined;
  readonly attempt: number;
}

const notifications = table<Notification>('gateway-notifications');

/** Milliseconds before the next attempt, after each that failed for want of a way; then it is given up. */
const PAUSES = [5_000, 30_000, 120_000, 600_000, 3_600_000];
/** Longest time that one attempt takes: in a session (RFC 4975 §7.1.1), then as a non-INVITE transaction (RFC 3261 §17.1.2.2). */
const ATTEMPT_MS = 80_000;
/** No way to the sender now; other answers are its own, and final. */
const passing: ReadonlySet<number> = new Set([408, 430, 500, 503, 504]);

export interface NotificationsOptions {
  readonly stack: SipStack;
  readonly store: Store;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly log: Logger;
  /** Sends message/cpim in an open session. @returns false when it does not arrive, or is no longer open */
  inSession(session: string, octets: Uint8Array): Promise<boolean>;
  originating(user: { servedUser: string; set: string }): readonly string[];
}

/** Disposition notifications of phones on their way (RFC 5438 §7.2.1): committed first, so that none is lost, then sent. */
export class Notifications {
  readonly #options: NotificationsOptions;

  constructor(options: NotificationsOptions) {
    this.#options = options;
  }

  /** Resolves when it is committed; it is sent afterwards. */
  async send(notification: Omit<Notification, 'id' | 'attempt'>): Promise<void> {
    const kept: Notification = { ...notification, id: randomUUID(), attempt: 0 };
    await this.#keep(kept, this.#options.clock.now() + ATTEMPT_MS);
    this.#attempt(kept);
  }

  /** Tries those again whose pause is over, or whose first attempt a crash cut short. */
  async retry(limit: number): Promise<void> {
    const { store, clock } = this.#options;
    for (const id of await store.due(notifications, clock.now(), limit)) {
      const found = await store.get(notifications, id);
      if (!found) continue;
      await this.#keep(found, clock.now() + ATTEMPT_MS);
      this.#attempt(found);
    }
  }

  #keep(notification: Notification, deadline: number): Promise<void> {
    return this.#options.store.update(notifications, notification.id, () => ({
      kind: 'put',
      value: notification,
      deadline,
      result: undefined,
    }));
  }

  #attempt(notification: Notification): void {
    this.#try(notification).catch((error: unknown) =>
      this.#options.log.error({ err: error, id: notification.id }, 'a notification is sent again later'),
    );
  }

  async #try(notification: Notification): Promise<void> {
    const { clock, store, traffic } = this.#options;
    const { from, id, attempt, messageId, session } = notification;
    const told = session !== undefined && (await this.#options.inSession(session, this.#body(notification)));
    const status = told ? 200 : await this.#pager(notification);
    const pause = passing.has(status) ? PAUSES[attempt] : undefined;
    if (pause !== undefined) await this.#keep({ ...notification, attempt: attempt + 1 }, clock.now() + pause);
    else await store.update(notifications, id, () => ({ kind: 'remove', result: undefined }));
    traffic.note({
      direction: 'report-to-cpm',
      outcome: status < 300 ? 'accepted' : pause === undefined ? 'refused' : 'noted',
      clause: 'RFC 5438 §7.2.1',
      subject: from,
      trace: messageId,
      reason: String(status),
    });
  }

  async #pager(notification: Notification): Promise<number> {
    const { from, to, id, set, conversation } = notification;
    const { status } = await this.#options.stack.request(to, {
      method: 'MESSAGE',
      headers: {
        From: `<${from}>`,
        To: `<${to}>`,
        'P-Asserted-Identity': `<${from}>`,
        'P-Asserted-Service': cpmServices.message,
        'Conversation-ID': conversation ?? conversationId(from, to),
        'Contribution-ID': id,
        'Content-Type': 'message/cpim',
      },
      body: this.#body(notification),
      route: this.#options.originating({ servedUser: from, set }),
    });
    return status;
  }

  #body({ from, to, id, messageId, dateTime, delivered, routes }: Notification): Buffer {
    const imdn = formatImdn({
      messageId,
      dateTime,
      recipientUri: from,
      originalRecipientUri: from,
      kind: 'delivery',
      status: delivered ? 'delivered' : 'failed',
    });
    const fields: [string, string][] = [['Message-ID', id]];
    for (const route of routes) fields.push(['IMDN-Route', route]);
    return formatCpim({
      from: { name: '', uri: from },
      to: [{ name: '', uri: to }],
      dateTime: new Date(this.#options.clock.now()).toISOString(),
      namespaces: { imdn: { uri: IMDN_NAMESPACE, fields } },
      mime: [
        ['Content-Type', IMDN_TYPE],
        ['Content-Disposition', 'notification'],
      ],
      content: Buffer.from(imdn),
    });
  }
}
