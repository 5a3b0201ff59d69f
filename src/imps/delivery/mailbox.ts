import type { Clock } from '../../base/clock.js';
import type { Store } from '../../store/store.js';
import type { UserId } from '../address/wv-address.js';
import { countOf } from '../state/count.js';
import { keyOf, lastPart, mailbox, type MessageRecord } from '../state/records.js';

/** Messages on their way, by recipient and in order of arrival. What is in here survives a crash. */
export class Mailbox {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #limit: number;
  /** How many messages wait for a user, of those users who had any put or removed here. */
  readonly #counts = new Map<UserId, number>();

  /** @param limit messages that may wait for one user */
  constructor(store: Store, clock: Clock, limit: number) {
    this.#store = store;
    this.#clock = clock;
    this.#limit = limit;
  }

  get(user: UserId, id: string): Promise<MessageRecord | undefined> {
    return this.#store.get(mailbox, keyOf(user, id));
  }

  /** Commits a message. Doing so again changes nothing. */
  async put(user: UserId, message: MessageRecord): Promise<void> {
    const isNew = await this.#store.update(mailbox, keyOf(user, message.id), (current) =>
      current
        ? { kind: 'keep', result: false }
        : { kind: 'put', value: message, deadline: message.expiresAt, result: true },
    );
    if (isNew) this.#counts.set(user, (this.#counts.get(user) ?? 0) + 1);
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
    if (isNew) this.#counts.set(user, (this.#counts.get(user) ?? 0) + 1);
  }

  /** @returns the message as it is then; undefined when it is gone or `fn` took it away by giving undefined */
  change(
    user: UserId,
    id: string,
    fn: (current: MessageRecord) => MessageRecord | undefined,
  ): Promise<MessageRecord | undefined> {
    return this.#store.update(mailbox, keyOf(user, id), (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const value = fn(current);
      if (value === undefined) return { kind: 'remove', result: undefined };
      return value === current
        ? { kind: 'keep', result: current }
        : { kind: 'put', value, deadline: value.expiresAt, result: value };
    });
  }

  async remove(user: UserId, id: string): Promise<MessageRecord | undefined> {
    const removed = await this.#store.update(mailbox, keyOf(user, id), (current) =>
      current ? { kind: 'remove', result: current } : { kind: 'keep', result: undefined },
    );
    const count = this.#counts.get(user);
    if (removed && count !== undefined) {
      if (count > 1) this.#counts.set(user, count - 1);
      else this.#counts.delete(user);
    }
    return removed;
  }

  /** Messages of a user in order, after the one of that ID. */
  async *list(user: UserId, after: string, limit: number): AsyncIterable<MessageRecord> {
    const prefix = keyOf(user, '');
    const range = after === '' ? { prefix, limit } : { prefix, limit, after: keyOf(user, after) };
    for await (const { value } of this.#store.scan(mailbox, range)) yield value;
  }

  /** Whether no more may wait. Counts once a user, and keeps count then. */
  async full(user: UserId): Promise<boolean> {
    let count = this.#counts.get(user);
    if (count === undefined) {
      count = await countOf(this.#store.scan(mailbox, { prefix: keyOf(user, ''), limit: this.#limit }));
      if (count > 0) this.#counts.set(user, count);
    }
    return count >= this.#limit;
  }

  /** Recipients and IDs of messages whose validity is over, at most `limit`. */
  async expired(limit: number): Promise<{ readonly user: UserId; readonly id: string }[]> {
    const keys = await this.#store.due(mailbox, this.#clock.now(), limit);
    return keys.map((key) => ({ user: key.slice(0, key.indexOf('\t')) as UserId, id: lastPart(key) }));
  }
}
