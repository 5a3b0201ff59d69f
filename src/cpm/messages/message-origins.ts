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
  readonly #underWay = new Map<string, UnderWay>();

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

  /**
   * Notifications are on their way; {@link settle} says how that ended. One that says the same as another that is under way waits for
   * that: it is worth as much if the other does not arrive.
   * @returns those that say what none has said that arrived.
   */
  async take(set: string, imdns: readonly Imdn[], from: string): Promise<Imdn[]> {
    const taken: Imdn[] = [];
    // what one aggregate says twice would wait for itself
    const ways = new Map(imdns.map((imdn) => [wayOf(set, imdn, from), imdn]));
    try {
      // in one order, so that two that hold several never wait for each other
      for (const [way, imdn] of [...ways].sort(([a], [b]) => (a < b ? -1 : 1)))
        if (await this.#take(set, imdn, from, way)) taken.push(imdn);
    } catch (error) {
      await this.settle(set, taken, from, false);
      throw error;
    }
    return taken;
  }

  async #take(set: string, imdn: Imdn, from: string, way: string): Promise<boolean> {
    for (let other = this.#underWay.get(way); other; other = this.#underWay.get(way)) await other.over;
    this.#underWay.set(way, new UnderWay());
    let isNew = false;
    try {
      const origin = await this.#store.get(origins, keyOf(set, imdn.messageId));
      isNew = origin?.came.includes(nameOf(imdn, from)) !== true;
      return isNew;
    } finally {
      if (!isNew) this.#over(way);
    }
  }

  /** @param arrived whether they are with the device or stored: else the next one that says the same counts as the first. */
  async settle(set: string, imdns: readonly Imdn[], from: string, arrived: boolean): Promise<void> {
    try {
      if (arrived) for (const imdn of imdns) await this.#arrived(set, imdn.messageId, nameOf(imdn, from));
    } finally {
      for (const imdn of imdns) this.#over(wayOf(set, imdn, from));
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

  #over(way: string): void {
    this.#underWay.get(way)?.end();
    this.#underWay.delete(way);
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

/** A notification that has not arrived yet. */
class UnderWay {
  end!: () => void;
  readonly over = new Promise<void>((resolve) => (this.end = resolve));
}

const wayOf = (set: string, imdn: Imdn, from: string): string =>
  `${keyOf(set, imdn.messageId)}\t${nameOf(imdn, from)}`;

const nameOf = ({ kind, status, recipientUri = '' }: Imdn, from: string): string =>
  `${kind} ${status} ${recipientUri || from}`;

/** A Message-ID may be longer than a key. */
function keyOf(set: string, messageId: string): string {
  const name = messageId.length <= 100 ? messageId : createHash('sha256').update(messageId).digest('hex');
  return `${set}\t${name}`;
}
