import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import {
  statusTitles,
  type ImpsServer,
  type IncomingMessage,
  type MessageRecord,
  type StatusCode,
  type UserId,
} from '../../imps/index.js';
import type { Imdn } from '../../msrp/imdn.js';
import { table, type Store } from '../../store/store.js';
import '../errors.js';

/** A message of a phone whose delivery report is due, or that waits on the SIP side and may be lost there. */
interface ReportRecord {
  /** Without its content. */
  readonly message: MessageRecord;
  readonly recipient: UserId;
  /** Who may tell of it: key of the recipient's registration set, else its address; the focus of a group. */
  readonly teller: string;
  /** The phone has heard that one device did not get it. */
  readonly failed?: boolean | undefined;
}

export const awaitedReports = table<ReportRecord>('gateway-reports');

/** The SIP side tells of a message that expired there after its end, and tries again. */
const LATE_MS = 3_600_000;

/** What notifications tell a phone; a processing notification tells it nothing yet. */
const statuses: Readonly<Record<Imdn['kind'], Readonly<Record<string, StatusCode>>>> = {
  delivery: { delivered: 200, failed: 410, forbidden: 534, error: 500 },
  display: { displayed: 200, forbidden: 200, error: 200 },
  processing: {},
};

/** What phones are still to hear of their messages, by the Message-ID under which each went to the SIP side. */
export class Reports {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #imps: () => ImpsServer;
  readonly #telling = new Set<string>();

  constructor(store: Store, clock: Clock, imps: () => ImpsServer) {
    this.#store = store;
    this.#clock = clock;
    this.#imps = imps;
  }

  /**
   * Committed before a message is sent that asks for a report. Of one that asks for none the phone hears only that it was lost.
   * @param teller who may tell of it, as in {@link arrived}
   */
  expect(id: string, message: MessageRecord, recipient: UserId, teller: string): Promise<void> {
    return this.#store.update(awaitedReports, id, () => ({
      kind: 'put',
      value: { message: { ...message, content: '', contentBytes: undefined }, recipient, teller },
      deadline: message.expiresAt + LATE_MS,
      result: undefined,
    }));
  }

  /** The message was not sent after all, and its sender knows. */
  forget(id: string): Promise<void> {
    return this.#store.update(awaitedReports, id, () => ({ kind: 'remove', result: undefined }));
  }

  /**
   * A notification came for a message of a user.
   * @param tellers who it is from: keys of registration sets, addresses of others, or the focus of a group.
   * @returns whether the phone heard of it now
   * @throws ParleyError `gateway-report-forged` when none of them got the message
   */
  async arrived(
    user: UserId,
    { messageId, kind, status }: Imdn,
    tellers: readonly string[],
  ): Promise<boolean> {
    const code = statuses[kind][status];
    const awaited = await this.#store.get(awaitedReports, messageId);
    if (code === undefined || awaited?.message.sender.user !== user) return false;
    if (!tellers.includes(awaited.teller)) throw new ParleyError('gateway-report-forged');
    // the notification reaches every phone of the user at once
    if (this.#telling.has(messageId)) return false;
    this.#telling.add(messageId);
    try {
      return await this.#tell(messageId, awaited, code);
    } finally {
      this.#telling.delete(messageId);
    }
  }

  /** A user is removed: whoever gets the address hears nothing of its messages. */
  async forgetOf(user: UserId): Promise<void> {
    for await (const { key, value } of this.#store.scan(awaitedReports))
      if (value.message.sender.user === user) await this.forget(key);
  }

  /** Messages of which nothing was heard in their time: their recipients' devices do not tell. */
  async expire(limit: number): Promise<void> {
    for (const id of await this.#store.due(awaitedReports, this.#clock.now(), limit)) await this.forget(id);
  }

  /** Tells the phone that a message did not arrive: by a report if it asked for that, else by a message in the same conversation. */
  async failed(message: MessageRecord, recipient: UserId, status: StatusCode): Promise<void> {
    const { sender, recipient: to } = message;
    const { user } = sender;
    // of a group there is a report in any case: it names the group
    if (message.deliveryReport || to.group !== undefined)
      await this.#imps().reportDelivery(message, recipient, status);
    else if (user !== undefined) await this.#imps().deliver(user, failureNotice(message, recipient, status));
  }

  /** A device that did not get it is told of once; another that has it is told of all the same, and ends the matter. */
  async #tell(id: string, record: ReportRecord, code: StatusCode): Promise<boolean> {
    const { message, recipient, failed, teller } = record;
    const has = code === 200;
    if (has ? !message.deliveryReport : failed) {
      if (has) await this.forget(id);
      return false;
    }
    // told before it goes, so that a crash in between tells twice and not never
    if (has) await this.#imps().reportDelivery(message, recipient, code);
    else await this.failed(message, recipient, code);
    return this.#store.update(awaitedReports, id, (current) => {
      if (!current) return { kind: 'keep', result: false };
      if (has || !message.deliveryReport) return { kind: 'remove', result: true };
      const value = { message, recipient, teller, failed: true };
      return { kind: 'put', value, deadline: message.expiresAt + LATE_MS, result: true };
    });
  }
}

/** What the sender of an accepted message reads when it did not arrive, in the conversation that it was of. */
function failureNotice(message: MessageRecord, recipient: UserId, status: StatusCode): IncomingMessage {
  const sentAt = `${new Date(message.sentAt).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return {
    routed: true,
    sender: { user: recipient },
    contentType: 'text/plain',
    content: `[Not delivered: ${statusTitles[status]} (${status}). Sent ${sentAt}]`,
  };
}
