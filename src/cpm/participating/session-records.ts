import type { Clock } from '../../base/clock.js';
import { TransientMap } from '../../base/transient-map.js';
import { table, type Store } from '../../store/store.js';

/** One end of a session. */
export interface SessionEnd {
  /** The user's identity, or the URI of a group's focus. */
  readonly user: string;
  /** The Contact of the device, its GRUU where it has one. */
  readonly device: string | undefined;
  /** Key of the user's registration set, for users here. */
  readonly set?: string | undefined;
}

/** A session that has been answered. */
export interface SessionRecord {
  /** Call-ID and the caller's tag, with a tab between. */
  readonly id: string;
  readonly service: string;
  readonly caller: SessionEnd;
  readonly callee: SessionEnd;
  readonly conversationId: string | undefined;
  readonly contributionId: string | undefined;
  readonly inReplyTo: string | undefined;
  /** Whether the media pass this server. */
  readonly mediaPath: boolean;
  /** What passed, while the media pass this server. */
  readonly bytes: number;
  readonly messages: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly refreshedAt: number;
  /** Seconds of the session timer; undefined without one. */
  readonly interval: number | undefined;
  /** The callee's tag: of several that answered one INVITE, the first is the session. */
  readonly calleeTag?: string | undefined;
  /** Record-Route of the answer, line by line: the way to both ends. */
  readonly recordRoute?: readonly string[] | undefined;
  /** A device is gone: milliseconds since the epoch until which it may come back. */
  readonly lostUntil?: number | undefined;
}

/** What a participating function knows of a session when its answer passes. */
export type StartedSession = Omit<SessionRecord, 'startedAt' | 'refreshedAt' | 'bytes' | 'messages'>;

const sessions = table<SessionRecord>('cpm-sessions');
/** Key: registration set, tab, session. The sessions of each user here, for limits and lists. */
const ofUsers = table<{ readonly id: string }>('cpm-user-sessions');

/** A session without timer whose end nobody told is forgotten after a day. */
const UNTIMED_SECONDS = 86_400;
/** After its interval a session has ended at both ends (RFC 4028 §10); the time of a lost BYE is added. */
const GRACE_SECONDS = 32;

/** The sessions that passed this domain's participating function and have not ended. */
export class SessionRecords {
  readonly #store: Store;
  readonly #clock: Clock;
  /** Told in this turn of the event loop and not written yet. */
  readonly #starting = new TransientMap<{ record: StartedSession; readonly kept: Promise<void> }>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Both sides' functions tell what they know; the later one completes the earlier one's record. */
  started(record: StartedSession): Promise<void> {
    const told = this.#starting.get(record.id);
    if (told) {
      told.record = completed(record, told.record);
      return told.kept;
    }
    // both functions of one server see the same answer pass, one right after the other: one write for both
    const starting = { record, kept: Promise.resolve().then(() => this.#keep(record.id)) };
    this.#starting.set(record.id, starting);
    return starting.kept;
  }

  async #keep(id: string): Promise<void> {
    const { record } = this.#starting.get(id)!;
    this.#starting.delete(id);
    const now = this.#clock.now();
    // all called at once: an end that comes meanwhile takes effect after each of them
    const kept = this.#store.update(sessions, record.id, (current) => {
      const value: SessionRecord = {
        ...completed(record, current),
        bytes: current?.bytes ?? 0,
        messages: current?.messages ?? 0,
        startedAt: current?.startedAt ?? now,
        refreshedAt: now,
      };
      return { kind: 'put', value, deadline: deadlineOf(value), result: undefined };
    });
    const listed = [record.caller.set, record.callee.set]
      .filter((set) => set !== undefined)
      .map((set) =>
        this.#store.update(ofUsers, `${set}\t${record.id}`, () => ({
          kind: 'put',
          value: { id: record.id },
          result: undefined,
        })),
      );
    await Promise.all([kept, ...listed]);
  }

  /** A re-INVITE or UPDATE was answered. */
  async refreshed(id: string, interval: number | undefined): Promise<void> {
    await this.#store.update(sessions, id, (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const value = { ...current, refreshedAt: this.#clock.now(), interval: interval ?? current.interval };
      return { kind: 'put', value, deadline: deadlineOf(value), result: undefined };
    });
  }

  /** Adds what passed the media path. */
  async counted(id: string, { bytes, messages }: { bytes: number; messages: number }): Promise<void> {
    await this.#store.update(sessions, id, (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const value = {
        ...current,
        bytes: current.bytes + bytes,
        messages: current.messages + messages,
      };
      return { kind: 'put', value, deadline: deadlineOf(value), result: undefined };
    });
  }

  /** A device of the session is gone, and may come back until then; without a time it is back. */
  async lost(id: string, until: number | undefined): Promise<void> {
    await this.#store.update(sessions, id, (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const value = { ...current, lostUntil: until };
      return { kind: 'put', value, deadline: deadlineOf(value), result: undefined };
    });
  }

  /**
   * @param calleeTag when it is known which dialog of the INVITE has ended: another one's end is not that of the session.
   * @returns the record as it was; only one of several that end it gets it.
   */
  async ended(id: string, calleeTag?: string): Promise<SessionRecord | undefined> {
    await this.#starting.get(id)?.kept;
    const gone = await this.#store.update<SessionRecord, SessionRecord | undefined>(
      sessions,
      id,
      (current) =>
        current && (calleeTag === undefined || (current.calleeTag ?? calleeTag) === calleeTag)
          ? { kind: 'remove', result: current }
          : { kind: 'keep', result: undefined },
    );
    const listed = [gone?.caller.set, gone?.callee.set].filter((set) => set !== undefined);
    await Promise.all(
      listed.map((set) =>
        this.#store.update(ofUsers, `${set}\t${id}`, () => ({ kind: 'remove', result: undefined })),
      ),
    );
    return gone;
  }

  get(id: string): Promise<SessionRecord | undefined> {
    return this.#store.get(sessions, id);
  }

  /** How many sessions a user has, counted up to `limit`. */
  async count(set: string, limit: number): Promise<number> {
    const found: string[] = [];
    for await (const { key } of this.#store.scan(ofUsers, { prefix: `${set}\t`, limit })) found.push(key);
    return found.length;
  }

  /** All sessions, or those of one user. */
  async *list(set?: string): AsyncGenerator<SessionRecord> {
    if (set === undefined) {
      for await (const { value } of this.#store.scan(sessions)) yield value;
      return;
    }
    for await (const { value } of this.#store.scan(ofUsers, { prefix: `${set}\t` })) {
      const record = await this.get(value.id);
      if (record) yield record;
    }
  }

  /** How many there are, those of all nodes on the store together. */
  async total(): Promise<number> {
    let count = 0;
    for await (const { key } of this.#store.scan(sessions)) if (key.length > 0) count++;
    return count;
  }

  /** Sessions whose time is over, at most `limit`. */
  due(limit: number): Promise<string[]> {
    return this.#store.due(sessions, this.#clock.now(), limit);
  }
}

const deadlineOf = ({ refreshedAt, interval, lostUntil = Infinity }: SessionRecord): number =>
  Math.min(
    lostUntil,
    refreshedAt + (interval === undefined ? UNTIMED_SECONDS : interval + GRACE_SECONDS) * 1000,
  );

const completed = (record: StartedSession, earlier: StartedSession | undefined): StartedSession =>
  earlier?.calleeTag !== undefined && earlier.calleeTag !== record.calleeTag
    ? earlier
    : joined(record, earlier);

const joined = (record: StartedSession, earlier: StartedSession | undefined): StartedSession => ({
  ...record,
  caller: { ...earlier?.caller, ...defined(record.caller) },
  callee: { ...earlier?.callee, ...defined(record.callee) },
  mediaPath: record.mediaPath || earlier?.mediaPath === true,
});

const defined = (end: SessionEnd): SessionEnd => ({
  user: end.user,
  device: end.device,
  ...(end.set === undefined ? {} : { set: end.set }),
});
