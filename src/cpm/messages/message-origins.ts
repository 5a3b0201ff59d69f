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
  /** Notifications that came, each by kind, status and whom it is about. */
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

  /** Counts a notification. @returns false when one that says the same came before. */
  take(set: string, imdn: Imdn, from: string): Promise<boolean> {
    const what = nameOf(imdn, from);
    return this.#change(set, imdn.messageId, (came) => {
      if (came.includes(what)) return undefined;
      return came.length < MAX_CAME ? [...came, what] : came;
    });
  }

  /** The notification did not reach the sender: the next one counts as the first. */
  async giveBack(set: string, imdn: Imdn, from: string): Promise<void> {
    const what = nameOf(imdn, from);
    await this.#change(set, imdn.messageId, (came) => came.filter((one) => one !== what));
  }

  /** Forgets those whose time is over. */
  async sweep(): Promise<void> {
    for (const key of await this.#store.due(origins, this.#clock.now(), SWEEP_BATCH))
      await this.#store.update(origins, key, () => ({ kind: 'remove', result: undefined }));
  }

  #change(
    set: string,
    messageId: string,
    change: (came: readonly string[]) => readonly string[] | undefined,
  ): Promise<boolean> {
    const deadline = this.#clock.now() + this.#keptMs;
    return this.#store.update(origins, keyOf(set, messageId), (current) => {
      if (!current) return { kind: 'keep', result: true };
      const came = change(current.came);
      return came
        ? { kind: 'put', value: { ...current, came }, deadline, result: true }
        : { kind: 'keep', result: false };
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
