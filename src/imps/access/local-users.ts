import type { Store } from '../../store/store.js';
import type { UserId } from '../address/wv-address.js';
import type { UserDirectory } from '../ports.js';
import { users, usersByMsisdn, type UserRecord } from '../state/records.js';

/** Users kept in the Store, found by address and by telephone number. */
export class LocalUsers implements UserDirectory {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  find(user: UserId): Promise<UserRecord | undefined> {
    return this.#store.get(users, user);
  }

  async findByMsisdn(msisdn: string): Promise<UserRecord | undefined> {
    const found = await this.#store.get(usersByMsisdn, digits(msisdn));
    return found && this.find(found.user);
  }

  async create(record: UserRecord): Promise<boolean> {
    const created = await this.#store.update(users, record.user, (current) =>
      current ? { kind: 'keep', result: false } : { kind: 'put', value: record, result: true },
    );
    if (created && record.msisdn !== undefined) await this.#index(record.msisdn, record.user);
    return created;
  }

  async change(user: UserId, fn: (current: UserRecord) => UserRecord): Promise<UserRecord | undefined> {
    const changed = await this.#store.update<
      UserRecord,
      { before: UserRecord; after: UserRecord } | undefined
    >(users, user, (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const value = fn(current);
      return { kind: 'put', value, result: { before: current, after: value } };
    });
    if (!changed) return undefined;
    const { before, after } = changed;
    if (before.msisdn !== after.msisdn) {
      if (before.msisdn !== undefined) await this.#unindex(before.msisdn, user);
      if (after.msisdn !== undefined) await this.#index(after.msisdn, user);
    }
    return after;
  }

  async remove(user: UserId): Promise<void> {
    const removed = await this.#store.update(users, user, (current) => ({ kind: 'remove', result: current }));
    if (removed?.msisdn !== undefined) await this.#unindex(removed.msisdn, user);
  }

  async *all(after?: UserId): AsyncIterable<UserRecord> {
    const range = after === undefined ? {} : { after };
    for await (const { value } of this.#store.scan(users, range)) yield value;
  }

  #unindex(msisdn: string, user: UserId): Promise<void> {
    return this.#store.update(usersByMsisdn, digits(msisdn), (current) =>
      current?.user === user ? { kind: 'remove', result: undefined } : { kind: 'keep', result: undefined },
    );
  }

  #index(msisdn: string, user: UserId): Promise<void> {
    return this.#store.update(usersByMsisdn, digits(msisdn), () => ({
      kind: 'put',
      value: { user },
      result: undefined,
    }));
  }
}

/** A telephone number by its digits: `+46 70…` and `4670…` are the same subscriber. */
export const digits = (msisdn: string): string => msisdn.replace(/\D/g, '').replace(/^00/, '');
