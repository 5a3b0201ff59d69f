import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import type { Imdn } from '../../msrp/imdn.js';
import { table, type Store } from '../../store/store.js';

/** The device that sent a message and wants to hear of it. */
export interface MessageOrigin {
  /** Instance ID, a URN. */
  readonly instance: string;
  readonly instanceKey: string;
}

interface Origin extends MessageOrigin {
  /** Notifications that reached the device or are stored for it, each by kind, status and whom it is about. */
  readonly came: readonly string[];
}

/** Key: the sender's registration set, tab, Message-ID. */
const origins = table<Origin>('message-origins');

/** Those of more recipients are passed on uncounted. */
const MAX_CAME = 100;
const SWEEP_BATCH = 200;

/**
 * Which device of a user sent each message that asks for notifications, so that they go back to it although they are addressed to
 * the user (RFC 5438 §8.2 leaves that to whoever routes them), and which of them came: of several devices of a recipient the first
 * notification of each kind is passed on.
 */
export class MessageOrigins {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #keptMs: number;
  /** Notifications that this process has and that have not arrived: they are forgotten with it, and may come again. */
  readonly #underWay = new Set<string>();

  /** @param keptSeconds how long notifications may take. */
  constructor(store: Store, clock: Clock, keptSeconds: number) {
    this.#store = store;
    this.#clock = clock;
    this.#keptMs = keptSeconds * 1000;
  }

  /** @param set of the sender. */
  async note(set: string, messageId: string, { instance, instanceKey }: MessageOrigin): Promise<void> {
    const deadline = this.#clock.now() + this.#keptMs;
    await this.#store.update(origins, keyOf(set, messageId), () => ({
      kind: 'put',
      value: { instance, instanceKey, came: [] },
      deadline,
      result: undefined,
    }));
  }

  /** @param set of the user to whom a notification goes. */
  of(set: string, messageId: string): Promise<MessageOrigin | undefined> {
    return this.#store.get(origins, keyOf(set, messageId));
  }

  /** A notification is on its way; {@link settle} says how that ended. @returns false when one that says the same came before. */
  async take(set: string, imdn: Imdn, from: string): Promise<boolean> {
    const what = nameOf(imdn, from);
    const way = `${keyOf(set, imdn.messageId)}\t${what}`;
    if (this.#underWay.has(way)) return false;
    this.#underWay.add(way);
    try {
      const origin = await this.#store.get(origins, keyOf(set, imdn.messageId));
      if (origin?.came.includes(what) !== true) return true;
    } catch (error) {
      this.#underWay.delete(way);
      throw error;
    }
    this.#underWay.delete(way);
    return false;
  }

  /** @param arrived whether the notification is with the device or stored: else the next one counts as the first. */
  async settle(set: string, imdn: Imdn, from: string, arrived: boolean): Promise<void> {
    const what = nameOf(imdn, from);
    try {
      if (arrived) await this.#arrived(set, imdn.messageId, what);
    } finally {
      this.#underWay.delete(`${keyOf(set, imdn.messageId)}\t${what}`);
    }
  }

  /** Forgets what a user sent, who is no more. */
  async forget(set: string): Promise<void> {
    for await (const { key } of this.#store.scan(origins, { prefix: `${set}\t` }))
      await this.#store.update(origins, key, () => ({ kind: 'remove', result: undefined }));
  }

  /** Forgets those whose time is over. */
  async sweep(): Promise<void> {
    for (const key of await this.#store.due(origins, this.#clock.now(), SWEEP_BATCH))
      await this.#store.update(origins, key, () => ({ kind: 'remove', result: undefined }));
  }

  #arrived(set: string, messageId: string, what: string): Promise<void> {
    const deadline = this.#clock.now() + this.#keptMs;
    return this.#store.update(origins, keyOf(set, messageId), (current) => {
      if (!current || current.came.includes(what) || current.came.length >= MAX_CAME)
        return { kind: 'keep', result: undefined };
      return {
        kind: 'put',
        value: { ...current, came: [...current.came, what] },
        deadline,
        result: undefined,
      };
    });
  }
}

const nameOf = ({ kind, status, recipientUri = '' }: Imdn, from: string): string =>
  `${kind} ${status} ${recipientUri || from}`;

/** A Message-ID may be longer than a key. */
function keyOf(set: string, messageId: string): string {
  const name = messageId.length <= 100 ? messageId : createHash('sha256').update(messageId).digest('hex');
  return `${set}\t${name}`;
}
