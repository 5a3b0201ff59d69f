import type { Logger } from '../base/log.js';
import type { Change, Store } from '../store/store.js';
import { IdentityKeys } from './identity-keys.js';
import { Watch } from './watch.js';
import { watchedUsers, type WatchedUser } from './watched-user.js';

export interface WatchListOptions {
  readonly store: Store;
  readonly log: Logger;
  /** The name of this node, the same after a restart; undefined when nobody else uses the store. */
  readonly node?: (() => string) | undefined;
}

/** What another node did to a user that is known here. */
export interface WatchListListener {
  /** It is told of the user's devices from now on. */
  moved(watch: Watch): void;
  /** Nobody is registered any more. */
  gone(watch: Watch): void;
}

const CHANNEL = 'watched-users';
const ALONE = '';

/**
 * The users whose registrations a foreign core tells of, in memory and in the store. Of several nodes on one store each knows all of
 * them; the one that the core's last third-party REGISTER came to subscribes, and what it is told the others read.
 */
export class WatchList {
  readonly #options: WatchListOptions;
  readonly #watches = new Map<string, Watch>();
  readonly #keys = new IdentityKeys();
  #unlisten: (() => void) | undefined;

  private constructor(options: WatchListOptions) {
    this.#options = options;
  }

  /** Reads what was known when the process ended. */
  static async open(options: WatchListOptions, listener: WatchListListener): Promise<WatchList> {
    const list = new WatchList(options);
    const { store, node } = options;
    if (node)
      list.#unlisten = store.subscribe(
        CHANNEL,
        (payload) => list.#hear(payload, listener),
        () => list.#catchUp(listener),
      );
    for await (const { key, value } of store.scan(watchedUsers)) list.#put(key, value);
    return list;
  }

  get size(): number {
    return this.#watches.size;
  }

  /** All users, whichever node is told of them. */
  all(): Iterable<Watch> {
    return this.#watches.values();
  }

  at(key: string): Watch | undefined {
    return this.#watches.get(key);
  }

  of(aor: string): Watch | undefined {
    return this.#watches.get(this.keyOf(aor) ?? aor);
  }

  keyOf(aor: string): string | undefined {
    return this.#keys.of(aor);
  }

  /** Whether this node is the one that is told. */
  isOurs({ user }: Watch): boolean {
    return this.#options.node === undefined || user.node === this.#name;
  }

  add(key: string, user: WatchedUser): Watch {
    const watch = new Watch(key, user);
    this.#watches.set(key, watch);
    this.#index(watch);
    return watch;
  }

  /** Makes this node the one that is told, and commits what a REGISTER says. */
  async claim(watch: Watch, change: (known: WatchedUser) => WatchedUser): Promise<void> {
    if (!this.isOurs(watch)) {
      const current = await this.#options.store.get(watchedUsers, watch.key);
      if (current) this.#set(watch, current);
    }
    const user = { ...change(watch.user), node: this.#name };
    this.#set(watch, user);
    await this.#commit(watch.key, () => user);
  }

  /** Commits what the node that is told has been told. @returns false when that is another one by now, or nobody. */
  save(watch: Watch, user: WatchedUser): Promise<boolean> {
    // known at once, so that the next document is compared with it
    this.#set(watch, user);
    const own = { ...user, node: this.#name };
    return this.#commit(watch.key, (current) => (current?.node ?? ALONE) === this.#name && current && own);
  }

  /** Forgets a user. @returns false when another node did. */
  async remove(watch: Watch): Promise<boolean> {
    this.#drop(watch);
    return this.#remove(watch.key, () => true);
  }

  /** The same, unless the core has said something of it since then, milliseconds since the epoch. */
  async removeStale(watch: Watch, before: number): Promise<boolean> {
    const removed = await this.#remove(watch.key, ({ until }) => until < before);
    if (removed) this.#drop(watch);
    return removed;
  }

  /** Removes a record that nothing here knows. */
  async discard(key: string): Promise<void> {
    await this.#remove(key, () => true);
  }

  close(): void {
    this.#unlisten?.();
  }

  get #name(): string {
    return this.#options.node?.() ?? ALONE;
  }

  async #commit(
    key: string,
    change: (current: WatchedUser | undefined) => WatchedUser | false | undefined,
  ): Promise<boolean> {
    const done = await this.#options.store.update(
      watchedUsers,
      key,
      (current): Change<WatchedUser, boolean> => {
        const value = change(current);
        if (!value) return { kind: 'keep', result: false };
        return { kind: 'put', value, deadline: value.until, result: true };
      },
    );
    if (done) this.#tell(key);
    return done;
  }

  async #remove(key: string, may: (user: WatchedUser) => boolean): Promise<boolean> {
    const removed = await this.#options.store.update(watchedUsers, key, (current) =>
      current && may(current) ? { kind: 'remove', result: true } : { kind: 'keep', result: false },
    );
    if (removed) this.#tell(key);
    return removed;
  }

  /** What another process has written. */
  #put(key: string, value: WatchedUser): Watch {
    const user = { ...value, version: undefined };
    const watch = this.#watches.get(key);
    if (!watch) return this.add(key, user);
    this.#set(watch, user);
    return watch;
  }

  #set(watch: Watch, user: WatchedUser): void {
    this.#unindex(watch);
    watch.user = user;
    this.#index(watch);
  }

  #drop(watch: Watch): void {
    if (this.#watches.get(watch.key) === watch) this.#watches.delete(watch.key);
    this.#unindex(watch);
  }

  #index({ key, user }: Watch): void {
    this.#keys.add(key, user);
  }

  #unindex({ key, user }: Watch): void {
    this.#keys.remove(key, user);
  }

  #tell(key: string): void {
    const { store, log, node } = this.#options;
    if (!node) return;
    store
      .publish(CHANNEL, `${this.#name} ${key}`)
      .catch((error: unknown) => log.warn({ err: error, user: key }, 'other nodes were not told of a user'));
  }

  #hear(payload: string, listener: WatchListListener): void {
    const space = payload.indexOf(' ');
    if (payload.slice(0, space) === this.#name) return;
    const key = payload.slice(space + 1);
    this.#readAgain(key, listener).catch((error: unknown) =>
      this.#options.log.warn({ err: error, user: key }, 'a user stays as it was known'),
    );
  }

  /** What other nodes said was not heard for a while: every user is read again. */
  #catchUp(listener: WatchListListener): void {
    const read = async (): Promise<void> => {
      const unseen = new Set(this.#watches.keys());
      for await (const { key, value } of this.#options.store.scan(watchedUsers)) {
        unseen.delete(key);
        this.#isNow(key, value, listener);
      }
      for (const key of unseen) {
        const watch = this.#watches.get(key);
        // one of ours may not have been committed yet
        if (watch && !this.isOurs(watch)) await this.#readAgain(key, listener);
      }
    };
    read().catch((error: unknown) => this.#options.log.warn({ err: error }, 'users stay as they were known'));
  }

  async #readAgain(key: string, listener: WatchListListener): Promise<void> {
    this.#isNow(key, await this.#options.store.get(watchedUsers, key), listener);
  }

  #isNow(key: string, value: WatchedUser | undefined, listener: WatchListListener): void {
    const known = this.#watches.get(key);
    if (value) {
      if (value.node !== this.#name) listener.moved(this.#put(key, value));
    } else if (known) {
      this.#drop(known);
      listener.gone(known);
    }
  }
}
