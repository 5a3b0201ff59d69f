import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import { table, type Store } from '../../store/store.js';
import { groupError } from './errors.js';
import type { GroupMessage } from './media.js';

/** A message of a group that somebody has still to get. */
export interface StoredMessage {
  readonly from: string;
  readonly contentType: string;
  readonly octets: Uint8Array;
  /** Media type of what the message/cpim wraps. */
  readonly wrapped: string;
  /** Whom it still has to reach. */
  readonly waiting: readonly string[];
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  /** Only for sessions that agreed on private messages. */
  readonly private?: true;
}

const messages = table<StoredMessage>('group-messages');

/** How often who has got what is written down; a crash in between sends such messages again, with the same Message-ID. */
const FLUSH_MS = 1_000;
/** Octets of messages that a group keeps in memory for those who are a little behind; the others read the store. */
const RECENT_OCTETS = 4 * 1024 * 1024;

/** A message on its way to the members of a group. */
export class LogEntry {
  readonly key: string;
  readonly from: string;
  readonly wrapped: string;
  readonly receivedAt: number;
  readonly size: number;
  readonly private: boolean;
  /** Members whom it still has to reach. */
  readonly waiting: Set<string>;
  /** Sessions that it is still queued for, also further devices of a member that has it. */
  queued = 0;
  /** Once it is in the store; before that nobody gets it. */
  committed = false;
  message: GroupMessage | undefined;
  loading: Promise<GroupMessage | undefined> | undefined;
  dirty = false;
  gone = false;

  constructor(key: string, stored: StoredMessage) {
    this.key = key;
    this.from = stored.from;
    this.wrapped = stored.wrapped;
    this.receivedAt = stored.receivedAt;
    this.size = stored.octets.length;
    this.private = stored.private ?? false;
    this.waiting = new Set(stored.waiting);
  }
}

export interface MessageLogOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Milliseconds that a message waits for a member. */
  readonly keepMs: number;
  /** Whether this process is still the holder of a group; absent where no other process could have taken it. */
  readonly isHeld?: ((groupId: string) => Promise<boolean>) | undefined;
}

/**
 * The messages of one group, in the order in which they came: stored before they are acknowledged, and removed when everybody has
 * them. One copy serves all who wait.
 */
export class MessageLog {
  readonly #options: MessageLogOptions;
  readonly #groupId: string;
  readonly #prefix: string;
  readonly #entries = new Map<string, LogEntry>();
  readonly #recent = new Set<LogEntry>();
  #recentOctets = 0;
  /** How many messages wait for each member. */
  readonly #counts = new Map<string, number>();
  #last = 0;
  #flush: Timer | undefined;

  constructor(groupId: string, options: MessageLogOptions) {
    this.#groupId = groupId;
    this.#prefix = prefixOf(groupId);
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get entries(): Iterable<LogEntry> {
    return this.#entries.values();
  }

  /**
   * Finds what waits since before; once more after a failure. New messages come after all that it finds, whatever the clock says.
   * @param isWanted whether a member still has a place: a process that is killed does not write down who has lost it.
   */
  async load(isWanted: (identity: string) => boolean): Promise<void> {
    for await (const { key, value } of this.#options.store.scan(messages, { prefix: this.#prefix })) {
      this.#last = Math.max(this.#last, parseInt(key.slice(this.#prefix.length), 36));
      if (this.#entries.has(key)) continue;
      const entry = new LogEntry(key, value);
      entry.committed = true;
      this.#enter(entry);
      const lost = [...entry.waiting].filter((identity) => !isWanted(identity));
      for (const identity of lost) this.done(entry, identity);
      if (lost.length > 0 || entry.waiting.size === 0) this.settle(entry);
    }
  }

  /**
   * Takes a message for some members. Its entry is there at once, so that the order is that of the calls.
   * @returns the entry, and a promise of its commit. @throws ParleyError (the promise) `store-unavailable`
   */
  append(stored: StoredMessage): { entry: LogEntry; committed: Promise<void> } {
    const { store, clock, keepMs, isHeld } = this.#options;
    this.#last = Math.max(this.#last + 1, clock.now() * 1000);
    const key = keyOf(this.#groupId, this.#last);
    const entry = new LogEntry(key, stored);
    this.#enter(entry);
    this.#remember(entry, stored);
    const deadline = stored.receivedAt + keepMs;
    const committed = store
      .update(messages, key, () => ({ kind: 'put', value: stored, deadline, result: undefined }))
      .then(async () => {
        // who has taken the group since has read its messages before this one
        if (isHeld && !(await isHeld(this.#groupId))) {
          this.#remove(key);
          throw groupError('group-moved', this.#groupId);
        }
        entry.committed = true;
      })
      .catch((error: unknown) => {
        entry.gone = true;
        this.#forget(entry);
        throw error;
      });
    return { entry, committed };
  }

  /** A message waited too long and is not in the store any more. @returns whom it has not reached; undefined when it is not known here. */
  expire(key: string): readonly string[] | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    const waiting = [...entry.waiting];
    entry.gone = true;
    this.#forget(entry);
    return waiting;
  }

  /** How many messages wait for a member. */
  waitingFor(identity: string): number {
    return this.#counts.get(identity) ?? 0;
  }

  /** A member has it, or will never take it. */
  done(entry: LogEntry, identity: string): void {
    if (!entry.waiting.delete(identity)) return;
    const left = this.waitingFor(identity) - 1;
    if (left > 0) this.#counts.set(identity, left);
    else this.#counts.delete(identity);
  }

  /** The octets of a message: from memory, or read again; undefined when it is gone. */
  read(entry: LogEntry): GroupMessage | undefined | Promise<GroupMessage | undefined> {
    if (entry.message) return entry.message;
    entry.loading ??= this.#options.store
      .get(messages, entry.key)
      .then((stored) => {
        if (!stored) {
          // its time was over
          entry.gone = true;
          this.#forget(entry);
          return undefined;
        }
        if (!entry.gone) this.#remember(entry, stored);
        return { contentType: stored.contentType, octets: stored.octets };
      })
      .finally(() => (entry.loading = undefined));
    return entry.loading;
  }

  /** Something about who waits for it has changed: it is removed when nobody does, else what is left is written down soon. */
  settle(entry: LogEntry): void {
    if (entry.gone || !entry.committed) return;
    if (entry.waiting.size === 0 && entry.queued === 0) {
      entry.gone = true;
      this.#forget(entry);
      this.#remove(entry.key);
      return;
    }
    entry.dirty = true;
    this.#flush ??= this.#options.clock.after(FLUSH_MS, () => this.flush());
  }

  /** Writes down who has got what. */
  flush(): void {
    this.#flush?.cancel();
    this.#flush = undefined;
    const { store, keepMs } = this.#options;
    for (const entry of this.#entries.values()) {
      if (!entry.dirty) continue;
      entry.dirty = false;
      const waiting = [...entry.waiting];
      const deadline = entry.receivedAt + keepMs;
      this.#background(
        store.update(messages, entry.key, (current) =>
          current
            ? { kind: 'put', value: { ...current, waiting }, deadline, result: undefined }
            : { kind: 'keep', result: undefined },
        ),
      );
    }
  }

  /** A member will not come for its messages: it left for good, or was put out. */
  drop(identity: string): void {
    for (const entry of [...this.#entries.values()]) {
      if (!entry.waiting.has(identity)) continue;
      this.done(entry, identity);
      this.settle(entry);
    }
  }

  #remember(entry: LogEntry, { contentType, octets }: GroupMessage): void {
    if (entry.message) return;
    entry.message = { contentType, octets };
    this.#recent.add(entry);
    this.#recentOctets += entry.size;
    for (const old of this.#recent) {
      if (this.#recentOctets <= RECENT_OCTETS || this.#recent.size === 1) return;
      if (old.committed) this.#unload(old);
    }
  }

  #unload(entry: LogEntry): void {
    if (!this.#recent.delete(entry)) return;
    this.#recentOctets -= entry.size;
    entry.message = undefined;
  }

  #enter(entry: LogEntry): void {
    this.#entries.set(entry.key, entry);
    for (const identity of entry.waiting) this.#counts.set(identity, this.waitingFor(identity) + 1);
  }

  #forget(entry: LogEntry): void {
    for (const identity of [...entry.waiting]) this.done(entry, identity);
    this.#entries.delete(entry.key);
    this.#unload(entry);
  }

  #remove(key: string): void {
    this.#background(
      this.#options.store.update(messages, key, () => ({ kind: 'remove', result: undefined })),
    );
  }

  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) =>
      this.#options.log.warn({ err: error }, 'what became of a message of a group could not be stored'),
    );
  }
}

const prefixOf = (groupId: string): string => `${groupId}\t`;

/** @param place in the order of the group: microseconds since the epoch, or more. */
const keyOf = (groupId: string, place: number): string =>
  `${prefixOf(groupId)}${place.toString(36).padStart(11, '0')}`;

/** Keeps a message for members of a group that has no sessions. */
export async function keepMessage(
  store: Store,
  groupId: string,
  stored: StoredMessage,
  keepMs: number,
): Promise<void> {
  const deadline = stored.receivedAt + keepMs;
  for (let place = stored.receivedAt * 1000; ; place++) {
    const isNew = await store.update<StoredMessage, boolean>(messages, keyOf(groupId, place), (current) =>
      current ? { kind: 'keep', result: false } : { kind: 'put', value: stored, deadline, result: true },
    );
    if (isNew) return;
  }
}

/** Messages of a group that is no more. */
export async function removeMessages(store: Store, groupId: string): Promise<void> {
  for await (const { key } of store.scan(messages, { prefix: prefixOf(groupId) }))
    await store.update(messages, key, () => ({ kind: 'remove', result: undefined }));
}

/** A message that was removed because it waited too long. */
export interface ExpiredMessage {
  readonly groupId: string;
  readonly key: string;
  readonly message: StoredMessage;
}

/** Removes messages that waited too long, at most `limit`. @param isOurs whether those of a group are to be removed. @returns them. */
export async function removeExpired(
  store: Store,
  now: number,
  limit: number,
  isOurs: (groupId: string) => Promise<boolean>,
): Promise<ExpiredMessage[]> {
  const removed: ExpiredMessage[] = [];
  for (const key of await store.due(messages, now, limit)) {
    const groupId = key.split('\t', 1)[0]!;
    if (!(await isOurs(groupId))) continue;
    const message = await store.update<StoredMessage, StoredMessage | undefined>(messages, key, (current) =>
      current ? { kind: 'remove', result: current } : { kind: 'keep', result: undefined },
    );
    if (message) removed.push({ groupId, key, message });
  }
  return removed;
}
