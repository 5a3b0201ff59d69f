import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import type { Soon } from '../../base/soon.js';
import { table, type Store } from '../../store/store.js';
import './errors.js';
import type { ContentStore } from './content-store.js';
import { octetsOf } from './device-modes.js';
import { WaitingCounts, type MailboxLimits } from './waiting-counts.js';

/** A standalone message that waits for a device of its recipient. */
export interface DeferredMessage {
  /** Orders the messages of a user by when they came; names the message in the API. */
  readonly id: string;
  /** Key of the recipient's registration set. */
  readonly set: string;
  /** The identity it was sent to. */
  readonly recipient: string;
  /** The identity that the network asserts of the sender. */
  readonly sender: string;
  /** Header fields that go to the device as they came, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The message; of a large one its header sections. */
  readonly body: Uint8Array;
  /** Where the octets of a large message are. */
  readonly content?: StoredContent | undefined;
  /** Instance key of the only device that it is for; all devices of the user unless given. */
  readonly device?: string | undefined;
  /** Call-ID and CSeq number of a try before it was stored that had no answer, by which a device may know it. */
  readonly unanswered?: { readonly callId: string; readonly sequence: number } | undefined;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly expiresAt: number;
  /** When a node took it in hand because its time was over. */
  readonly endedAt?: number;
  /** What became of it at each of those who get it by themselves. */
  readonly tries?: readonly Tries[];
}

/** The octets of a large message, beside its record. */
export interface StoredContent {
  readonly name: string;
  readonly octets: number;
  readonly pieces: number;
}

/** The attempts to hand a message to the user, or to one device of the user. */
export interface Tries {
  /** Instance key; empty for all devices together. */
  readonly to: string;
  /** Times that a device came back and the message failed there. */
  readonly attempts: number;
  /** Failures that were answered, and are no lost request or answer. */
  readonly answers: number;
  /** How it ended there. */
  readonly end?: 'delivered' | 'refused';
}

const untried = (to: string): Tries => ({ to, attempts: 0, answers: 0 });

/** What was tried so far. @param to as in {@link Tries}. */
export const triesOf = ({ tries = [] }: DeferredMessage, to: string): Tries =>
  tries.find((one) => one.to === to) ?? untried(to);

/** A message that is over and still there after this was left by a node that died or failed; telling its sender takes up to 32 s. */
const END_RETRY_MS = 60_000;

const messages = table<DeferredMessage>('deferred-messages');

export interface DeferredStoreOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly contents: ContentStore;
  /** What may wait for one user. */
  readonly limits: MailboxLimits;
  /** Whether messages stay when a device has got them. */
  readonly perDevice: boolean;
}

/** Deferred messages of all users; what was taken is committed. */
export class DeferredStore {
  readonly #options: DeferredStoreOptions;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #counts: WaitingCounts;
  #last = 0;

  constructor(options: DeferredStoreOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#counts = new WaitingCounts(options.store, options.clock);
  }

  /** Resolves when the message is committed. @throws ParleyError `cpm-mailbox-full`, `store-unavailable` */
  async add(message: Omit<DeferredMessage, 'id'>): Promise<DeferredMessage> {
    const { set } = message;
    const octets = octetsOf(message);
    const take = (): Promise<boolean> => this.#counts.take(set, octets, this.#options.limits);
    const room = (await take()) || ((await this.#makeRoom(set)) && (await take()));
    if (!room) throw new ParleyError('cpm-mailbox-full');
    const stored = { ...message, id: this.#nextId() };
    try {
      await this.#store.update(messages, keyOf(stored), () => ({
        kind: 'put',
        value: stored,
        deadline: stored.expiresAt,
        result: undefined,
      }));
    } catch (error) {
      await this.#counts.release(set, octets);
      throw error;
    }
    return stored;
  }

  /** How many messages wait for a user; never fewer than there are. */
  waiting(set: string): Soon<number> {
    return this.#counts.of(set);
  }

  /** What waits for all users, of all nodes on the store together. */
  total(): Promise<{ readonly messages: number; readonly octets: number }> {
    return this.#counts.total();
  }

  /** Users for whom messages wait, without reading the messages. */
  users(): AsyncGenerator<string> {
    return this.#counts.users();
  }

  /**
   * The messages of a user in the order in which they came; of all users without one.
   * @param after only those behind this one: its {@link cursorOf}.
   */
  async *of(set?: string, after?: string): AsyncGenerator<DeferredMessage> {
    const range = {
      ...(set !== undefined && { prefix: `${set}\t` }),
      ...(after !== undefined && { after }),
    };
    for await (const { value } of this.#store.scan(messages, range)) yield value;
  }

  get(message: Pick<DeferredMessage, 'set' | 'id'>): Promise<DeferredMessage | undefined> {
    return this.#store.get(messages, keyOf(message));
  }

  /** Notes what was tried. @param over its time is over with that. */
  async tried(message: Pick<DeferredMessage, 'set' | 'id'>, tries: Tries, over?: 'over'): Promise<void> {
    await this.#store.update(messages, keyOf(message), (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const others = (current.tries ?? []).filter(({ to }) => to !== tries.to);
      const expiresAt = over ? this.#clock.now() : current.expiresAt;
      const deadline = current.endedAt === undefined ? expiresAt : current.endedAt + END_RETRY_MS;
      return {
        kind: 'put',
        value: { ...current, tries: [...others, tries], expiresAt },
        deadline,
        result: undefined,
      };
    });
  }

  /** The message's time is over: what is due next tells its sender and removes it. @returns whether it was there */
  end(message: Pick<DeferredMessage, 'set' | 'id'>): Promise<boolean> {
    const now = this.#clock.now();
    return this.#store.update<DeferredMessage, boolean>(messages, keyOf(message), (current) => {
      if (!current) return { kind: 'keep', result: false };
      if (current.expiresAt <= now) return { kind: 'keep', result: true };
      return { kind: 'put', value: { ...current, expiresAt: now }, deadline: now, result: true };
    });
  }

  /** @returns whether it was there: only one of several that remove it gets true. */
  async remove(message: Pick<DeferredMessage, 'set' | 'id'>): Promise<boolean> {
    const removed = await this.#store.update<DeferredMessage, DeferredMessage | undefined>(
      messages,
      keyOf(message),
      (current) => (current ? { kind: 'remove', result: current } : { kind: 'keep', result: undefined }),
    );
    if (!removed) return false;
    if (removed.content) await this.#options.contents.remove(message.set, removed.content);
    await this.#counts.release(message.set, octetsOf(removed));
    return true;
  }

  /** Messages whose time is over, at most `limit`: of several nodes that ask, one gets each, and again only after a while. */
  async expired(limit: number): Promise<DeferredMessage[]> {
    const now = this.#clock.now();
    const found: DeferredMessage[] = [];
    for (const key of await this.#store.due(messages, now, limit)) {
      const message = await this.#store.update<DeferredMessage, DeferredMessage | undefined>(
        messages,
        key,
        (current) =>
          current && (current.endedAt ?? -Infinity) + END_RETRY_MS <= now
            ? {
                kind: 'put',
                value: { ...current, endedAt: now },
                deadline: now + END_RETRY_MS,
                result: current,
              }
            : { kind: 'keep', result: undefined },
      );
      if (message) found.push(message);
    }
    return found;
  }

  /** Puts the count of a user right who has fewer messages than were counted. @returns whether it was wrong. */
  recount(set: string): Promise<boolean> {
    return this.#counts.correct(set, async () => {
      const sum = { waiting: 0, octets: 0 };
      for await (const message of this.of(set)) {
        sum.waiting++;
        sum.octets += octetsOf(message);
      }
      return sum;
    });
  }

  /** Lets the oldest message go that some device has already, or corrects the count. @returns whether there may be room then. */
  async #makeRoom(set: string): Promise<boolean> {
    if (await this.recount(set)) return true;
    if (!this.#options.perDevice) return false;
    for await (const message of this.of(set))
      if (message.tries?.some(({ end }) => end === 'delivered') === true) return this.remove(message);
    return false;
  }

  /** Later ones sort behind earlier ones, also within a millisecond of this process. */
  #nextId(): string {
    this.#last = Math.max(this.#last + 1, this.#clock.now() * 1000);
    return `${this.#last.toString(36).padStart(11, '0')}${randomBytes(4).toString('hex')}`;
  }
}

const keyOf = ({ set, id }: Pick<DeferredMessage, 'set' | 'id'>): string => `${set}\t${id}`;

/** The place of a message among all. */
export const cursorOf = keyOf;
