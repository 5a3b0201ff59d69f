import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import type { Imdn } from '../../msrp/imdn.js';
import { table, type Change, type Store } from '../../store/store.js';

/** The device that sent a message and wants to hear of it. */
export interface MessageOrigin {
  /** Instance ID, a URN. */
  readonly instance: string;
  readonly instanceKey: string;
}

interface Origin extends MessageOrigin {
  /** Notifications that reached the device or are stored for it, each by kind, status and whom it is about. */
  readonly came: readonly string[];
  /** Notifications that a node has and that have not arrived; absent while there is one node. */
  readonly held?: readonly Held[];
}

/** A notification on its way at one of several nodes. */
interface Held {
  readonly name: string;
  readonly node: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** The nodes on one store. */
export interface OriginNodes {
  /** This process, while it runs. */
  readonly node: string;
  /** Whether another one still runs. */
  readonly isAlive: (node: string) => boolean;
}

/** Key: the sender's registration set, tab, Message-ID. */
const origins = table<Origin>('message-origins');

/** Those of more recipients are passed on uncounted. */
const MAX_CAME = 100;
const SWEEP_BATCH = 200;
/** A MESSAGE to a device is over by then (Timer F, RFC 3261 §17.1.2.2), whatever became of the node that sent it. */
const HELD_MS = 60_000;
/** A node that has started is known to the others by then: before, one that nobody knows is not dead. */
const KNOWN_MS = 10_000;
/** How often it is looked whether what another node has under way has arrived. */
const LOOK_MS = 100;

/**
 * Which device of a user sent each message that asks for notifications, so that they go back to it although they are addressed to
 * the user (RFC 5438 §8.2 leaves that to whoever routes them), and which of them came: of several devices of a recipient the first
 * notification of each kind is passed on.
 */
export class MessageOrigins {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #keptMs: number;
  readonly #nodes: OriginNodes | undefined;
  /** Notifications that this process has and that have not arrived: they are forgotten with it, and may come again. */
  readonly #underWay = new Map<string, UnderWay>();

  /** @param keptSeconds how long notifications may take. @param nodes undefined when nobody else uses the store. */
  constructor(store: Store, clock: Clock, keptSeconds: number, nodes?: OriginNodes) {
    this.#nodes = nodes;
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
   * Notifications are on their way; {@link settle} says how that ended. One that says the same as another that is under way, here or at
   * another node, waits for that: it is worth as much if the other does not arrive.
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
      isNew = await this.#isFirst(keyOf(set, imdn.messageId), nameOf(imdn, from));
      return isNew;
    } finally {
      if (!isNew) this.#over(way);
    }
  }

  async #isFirst(key: string, name: string): Promise<boolean> {
    if (!this.#nodes) return (await this.#store.get(origins, key))?.came.includes(name) !== true;
    for (;;) {
      const found = await this.#store.update(origins, key, (current) => this.#hold(current, name));
      if (found !== 'under way') return found === 'first';
      await new Promise<void>((resolve) => this.#clock.after(LOOK_MS, resolve));
    }
  }

  /** Takes a notification for this node, unless it has arrived or a living node has it. */
  #hold(current: Origin | undefined, name: string): Change<Origin, 'first' | 'repeated' | 'under way'> {
    const { node, isAlive } = this.#nodes!;
    if (current?.came.includes(name)) return { kind: 'keep', result: 'repeated' };
    const now = this.#clock.now();
    const held = (current?.held ?? []).filter(
      ({ since, ...one }) =>
        now - since < KNOWN_MS || (now - since < HELD_MS && (one.node === node || isAlive(one.node))),
    );
    if (held.some((one) => one.name === name && one.node !== node))
      return { kind: 'keep', result: 'under way' };
    if (!current || held.length >= MAX_CAME) return { kind: 'keep', result: 'first' };
    const others = held.filter((one) => one.name !== name);
    return {
      kind: 'put',
      value: { ...current, held: [...others, { name, node, since: now }] },
      deadline: now + this.#keptMs,
      result: 'first',
    };
  }

  /** @param arrived whether they are with the device or stored: else the next one that says the same counts as the first. */
  async settle(set: string, imdns: readonly Imdn[], from: string, arrived: boolean): Promise<void> {
    try {
      if (arrived || this.#nodes)
        for (const imdn of imdns) await this.#settle(set, imdn.messageId, nameOf(imdn, from), arrived);
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

  #settle(set: string, messageId: string, name: string, arrived: boolean): Promise<void> {
    const deadline = this.#clock.now() + this.#keptMs;
    return this.#store.update(origins, keyOf(set, messageId), (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const { came, held, ...origin } = current;
      const others = held?.filter((one) => one.name !== name || one.node !== this.#nodes?.node);
      const isNew = arrived && !came.includes(name) && came.length < MAX_CAME;
      if (!isNew && others?.length === held?.length) return { kind: 'keep', result: undefined };
      return {
        kind: 'put',
        value: {
          ...origin,
          came: isNew ? [...came, name] : came,
          ...(others && others.length > 0 && { held: others }),
        },
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
