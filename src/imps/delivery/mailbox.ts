import type { Clock } from '../../base/clock.js';
import type { Store } from '../../store/store.js';
import type { UserId } from '../address/wv-address.js';
import { countOf } from '../state/count.js';
import { keyOf, lastPart, mailbox, type MessageRecord } from '../state/records.js';

/** A user whose mailbox is full is not counted again for so long. */
const COUNT_AGAIN_MS = 10_000;
/** So many messages of a user are counted one by one when a client asks. */
const EXACT = 1000;

const userOf = (key: string): UserId => key.slice(0, key.indexOf('\t')) as UserId;

/** Messages on their way, by recipient and in order of arrival. What is in here survives a crash. */
export class Mailbox {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #limit: number;
  /** How many messages wait for a user, as far as this node knows: others may have put and removed some. */
  readonly #counts = new Map<UserId, number>();
  /** When a user's messages were last counted in the store, milliseconds since the epoch. */
  readonly #countedAt = new Map<UserId, number>();

  /** @param limit messages that may wait for one user */
  constructor(store: Store, clock: Clock, limit: number) {
    this.#store = store;
    this.#clock = clock;
    this.#limit = limit;
  }

  get(user: UserId, id: string): Promise<MessageRecord | undefined> {
    return this.#store.get(mailbox, keyOf(user, id));
  }

  /** Commits a message. Doing so again changes nothing but that further sessions of its recipient have it too. */
  async put(user: UserId, message: MessageRecord): Promise<void> {
    const isNew = await this.#store.update(mailbox, keyOf(user, message.id), (current) => {
      if (!current) return { kind: 'put', value: message, deadline: message.expiresAt, result: true };
      const further = message.sessions.filter((session) => !current.sessions.includes(session));
      if (further.length === 0) return { kind: 'keep', result: false };
      const value = { ...current, sessions: [...current.sessions, ...further] };
      return { kind: 'put', value, deadline: value.expiresAt, result: false };
    });
    if (isNew) this.#oneMore(user);
  }

  /** Commits a message for one session of its recipient; other sessions may have it too. */
  async putFor({ user, id: session }: { user: UserId; id: string }, message: MessageRecord): Promise<void> {
    const isNew = await this.#store.update(mailbox, keyOf(user, message.id), (current) => {
      if (current?.sessions.includes(session)) return { kind: 'keep', result: false };
      const value = current ?? message;
      return {
        kind: 'put',
        value: { ...value, sessions: [...value.sessions, session] },
        deadline: value.expiresAt,
        result: !current,
      };
    });
    if (isNew) this.#oneMore(user);
  }

  /** @returns the message as it is then; undefined when it is gone or `fn` took it away by giving undefined */
  async change(
    user: UserId,
    id: string,
    fn: (current: MessageRecord) => MessageRecord | undefined,
  ): Promise<MessageRecord | undefined> {
    const { value, removed } = await this.#store.update<
      MessageRecord,
      { readonly value?: MessageRecord; readonly removed?: true }
    >(mailbox, keyOf(user, id), (current) => {
      if (!current) return { kind: 'keep', result: {} };
      const value = fn(current);
      if (value === undefined) return { kind: 'remove', result: { removed: true } };
      return value === current
        ? { kind: 'keep', result: { value } }
        : { kind: 'put', value, deadline: value.expiresAt, result: { value } };
    });
    if (removed) this.#oneLess(user);
    return value;
  }

  async remove(user: UserId, id: string): Promise<MessageRecord | undefined> {
    const removed = await this.#store.update(mailbox, keyOf(user, id), (current) =>
      current ? { kind: 'remove', result: current } : { kind: 'keep', result: undefined },
    );
    if (removed) this.#oneLess(user);
    return removed;
  }

  /** Messages of a user in order, after the one of that ID. */
  async *list(user: UserId, after: string, limit: number): AsyncIterable<MessageRecord> {
    const prefix = keyOf(user, '');
    const range = after === '' ? { prefix, limit } : { prefix, limit, after: keyOf(user, after) };
    for await (const { value } of this.#store.scan(mailbox, range)) yield value;
  }

  /** How many wait for a user: counted up to {@link EXACT}, and beyond as far as this node knows. */
  async count(user: UserId): Promise<number> {
    const count = await countOf(this.#store.scan(mailbox, { prefix: keyOf(user, ''), limit: EXACT }));
    return count < EXACT ? count : Math.max(count, this.#counts.get(user) ?? 0);
  }

  /** Messages that wait for all users, as far as this node knows. */
  get waiting(): number {
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
  }

  #oneMore(user: UserId): void {
    this.#counts.set(user, (this.#counts.get(user) ?? 0) + 1);
  }

  #oneLess(user: UserId): void {
    const count = this.#counts.get(user);
    if (count === undefined) return;
    // what is left out counts as none
    if (count > 1) this.#counts.set(user, count - 1);
    else this.#counts.delete(user);
  }

  /** Counts what waits since before this process began; until it is done, more may be let in than the limit says. */
  async countAll(): Promise<void> {
    const before = new Map<UserId, number>();
    for await (const { key } of this.#store.scan(mailbox)) {
      const user = userOf(key);
      before.set(user, (before.get(user) ?? 0) + 1);
    }
    for (const [user, count] of before) this.#counts.set(user, Math.max(count, this.#counts.get(user) ?? 0));
  }

  /** Whether no more may wait. Only where it seems so is it counted in the store, and then not again for a while. */
  async full(user: UserId): Promise<boolean> {
    if ((this.#counts.get(user) ?? 0) < this.#limit) return false;
    const now = this.#clock.now();
    if (now - (this.#countedAt.get(user) ?? -Infinity) < COUNT_AGAIN_MS) return true;
    this.#countedAt.set(user, now);
    const count = await countOf(this.#store.scan(mailbox, { prefix: keyOf(user, ''), limit: this.#limit }));
    this.#counts.set(user, count);
    if (count >= this.#limit) return true;
    this.#countedAt.delete(user);
    return false;
  }

  /** Recipients and IDs of messages whose validity is over, at most `limit`. */
  async expired(limit: number): Promise<{ readonly user: UserId; readonly id: string }[]> {
    const keys = await this.#store.due(mailbox, this.#clock.now(), limit);
    return keys.map((key) => ({ user: userOf(key), id: lastPart(key) }));
  }
}
