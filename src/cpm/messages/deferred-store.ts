import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { table, type Store } from '../../store/store.js';
import './errors.js';

/** A pager mode message that waits for a device of its recipient. */
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
  readonly body: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly expiresAt: number;
  /** When a node took it in hand because its time was over. */
  readonly endedAt?: number;
}

/** A message that is over and still there after this was left by a node that died or failed. */
const END_RETRY_MS = 30_000;

const messages = table<DeferredMessage>('deferred-messages');
/** How many wait for each user. */
const counts = table<{ readonly waiting: number }>('deferred-counts');

/** Deferred messages of all users; what was taken is committed. */
export class DeferredStore {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #limit: number;
  #last = 0;

  /** @param limit messages that may wait for one user. */
  constructor(store: Store, clock: Clock, limit: number) {
    this.#store = store;
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Resolves when the message is committed. @throws ParleyError `cpm-mailbox-full`, `store-unavailable` */
  async add(message: Omit<DeferredMessage, 'id'>): Promise<DeferredMessage> {
    const room = await this.#store.update(counts, message.set, (current) => {
      const waiting = current?.waiting ?? 0;
      return waiting >= this.#limit
        ? { kind: 'keep', result: false }
        : { kind: 'put', value: { waiting: waiting + 1 }, result: true };
    });
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
      await this.#release(message.set);
      throw error;
    }
    return stored;
  }

  /** How many messages wait for a user; never fewer than there are. */
  async waiting(set: string): Promise<number> {
    return (await this.#store.get(counts, set))?.waiting ?? 0;
  }

  /** The messages of a user in the order in which they came; of all users without one. */
  async *of(set?: string): AsyncGenerator<DeferredMessage> {
    const range = set === undefined ? {} : { prefix: `${set}\t` };
    for await (const { value } of this.#store.scan(messages, range)) yield value;
  }

  /** @returns whether it was there: only one of several that remove it gets true. */
  async remove(message: Pick<DeferredMessage, 'set' | 'id'>): Promise<boolean> {
    const removed = await this.#store.update(messages, keyOf(message), (current) =>
      current ? { kind: 'remove', result: true } : { kind: 'keep', result: false },
    );
    if (removed) await this.#release(message.set);
    return removed;
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

  async #release(set: string): Promise<void> {
    await this.#store.update(counts, set, (current) =>
      current && current.waiting > 1
        ? { kind: 'put', value: { waiting: current.waiting - 1 }, result: undefined }
        : { kind: 'remove', result: undefined },
    );
  }

  /** Later ones sort behind earlier ones, also within a millisecond of this process. */
  #nextId(): string {
    this.#last = Math.max(this.#last + 1, this.#clock.now() * 1000);
    return `${this.#last.toString(36).padStart(11, '0')}${randomBytes(4).toString('hex')}`;
  }
}

const keyOf = ({ set, id }: Pick<DeferredMessage, 'set' | 'id'>): string => `${set}\t${id}`;
