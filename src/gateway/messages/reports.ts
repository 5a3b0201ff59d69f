import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { ImpsServer, MessageRecord, StatusCode, UserId } from '../../imps/index.js';
import type { Imdn } from '../../msrp/imdn.js';
import { table, type Store } from '../../store/store.js';
import '../errors.js';

/** A message of a phone whose delivery report is due. */
interface ReportRecord {
  /** Without its content. */
  readonly message: MessageRecord;
  readonly recipient: UserId;
  /** Who may tell of it: key of the recipient's registration set, else its address; the focus of a group. */
  readonly teller: string;
}

export const awaitedReports = table<ReportRecord>('gateway-reports');

/** What notifications tell a phone; a processing notification tells it nothing yet. */
const statuses: Readonly<Record<Imdn['kind'], Readonly<Record<string, StatusCode>>>> = {
  delivery: { delivered: 200, failed: 410, forbidden: 534, error: 500 },
  display: { displayed: 200, forbidden: 200, error: 200 },
  processing: {},
};

/** Delivery reports that phones wait for, by the Message-ID under which the message went to the SIP side. */
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

  /** Committed before the message is sent. @param teller who may tell of it, as in {@link arrived} */
  expect(id: string, message: MessageRecord, recipient: UserId, teller: string): Promise<void> {
    return this.#store.update(awaitedReports, id, () => ({
      kind: 'put',
      value: { message: { ...message, content: '', contentBytes: undefined }, recipient, teller },
      deadline: message.expiresAt,
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

  /** Messages of which nothing was heard in their time: their recipients' devices do not tell. */
  async expire(limit: number): Promise<void> {
    for (const id of await this.#store.due(awaitedReports, this.#clock.now(), limit)) await this.forget(id);
  }

  async #tell(id: string, { message, recipient }: ReportRecord, code: StatusCode): Promise<boolean> {
    // told before it goes, so that a crash in between tells twice and not never
    await this.#imps().reportDelivery(message, recipient, code);
    return this.#store.update(awaitedReports, id, (current) =>
      current ? { kind: 'remove', result: true } : { kind: 'keep', result: false },
    );
  }
}
