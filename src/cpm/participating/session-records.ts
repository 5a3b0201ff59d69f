import type { Clock } from '../../base/clock.js';
import { TransientMap } from '../../base/transient-map.js';
import { table, type Store } from '../../store/store.js';
import { sessionKey } from './session-key.js';
import { SessionLegs, type LegPair } from './session-legs.js';

/** One end of a session. */
export interface SessionEnd {
  /** The user's identity, or the URI of a group's focus. */
  readonly user: string;
  /** The Contact of the device, its GRUU where it has one. */
  readonly device: string | undefined;
  /** Key of the user's registration set, for users here. */
  readonly set?: string | undefined;
}

/** What passed a session in whose media path the server is, both directions together. */
export interface Passed {
  readonly bytes: number;
  readonly messages: number;
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
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly refreshedAt: number;
  /** Seconds of the session timer; undefined without one. */
  readonly interval: number | undefined;
  /** The callee's tag: of several that answered one INVITE, the first is the session. */
  readonly calleeTag?: string | undefined;
  /** Record-Route of the answer, line by line: the way to both ends. */
  readonly recordRoute?: readonly string[] | undefined;
  /** Of a session in whose media path this server is; two pairs where both users' functions are. */
  readonly pairs?: readonly LegPair[] | undefined;
  /** The node that is in the media path, or has the user agent at one end. */
  readonly holder?: string | undefined;
  /** What has passed the server, as its node noted it last. */
  readonly passed?: Passed | undefined;
  /** A device is gone: milliseconds since the epoch until which it may come back. */
  readonly lostUntil?: number | undefined;
}

/** What a participating function knows of a session when its answer passes. */
export type StartedSession = Omit<SessionRecord, 'startedAt' | 'refreshedAt'>;

const sessions = table<SessionRecord>('cpm-sessions');
/** Key: registration set, tab, session's key. The sessions of each user here, for limits and lists. */
const ofUsers = table<{ readonly id: string }>('cpm-user-sessions');

/** A session without timer whose end nobody told is forgotten after a day. */
const UNTIMED_SECONDS = 86_400;
/** After its interval a session has ended at both ends (RFC 4028 §10); the time of a lost BYE is added. */
const GRACE_SECONDS = 32;

/** The sessions that passed this domain's participating function and have not ended. */
export class SessionRecords {
  readonly legs: SessionLegs;
  readonly #store: Store;
  readonly #clock: Clock;
  /** Told in this turn of the event loop and not written yet. */
  readonly #starting = new TransientMap<{ record: StartedSession; readonly kept: Promise<void> }>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.legs = new SessionLegs(store);
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

  /** The user agent at one end of a session that is just being told is in this process, which is `holder`. */
  held(id: string, holder: string): void {
    const told = this.#starting.get(id);
    if (told) told.record = { ...told.record, holder };
  }

  async #keep(id: string): Promise<void> {
    const { record } = this.#starting.get(id)!;
    this.#starting.delete(id);
    const now = this.#clock.now();
    // all called at once: an end that comes meanwhile takes effect after each of them
    const kept = this.#store.update(sessions, sessionKey(record.id), (current) => {
      const value: SessionRecord = {
        ...completed(record, current),
        startedAt: current?.startedAt ?? now,
        refreshedAt: now,
      };
      return { kind: 'put', value, deadline: deadlineOf(value), result: undefined };
    });
    await Promise.all([kept, this.#list(record.id, setsOf(record))]);
    // one of the two sees what the other has written, whichever node is first
    for (const part of await this.legs.add(record.id, record.pairs ?? [])) await this.#join(part, record.id);
    const whole = await this.legs.wholeOf(record.id);
    if (whole !== undefined) await this.#join(record.id, whole);
  }

  /** What the callee's function knows under the identifiers of a far leg is the session of the near one. */
  async #join(part: string, id: string): Promise<void> {
    await this.#starting.get(part)?.kept;
    const joins = await this.#store.update<SessionRecord, SessionRecord | undefined>(
      sessions,
      sessionKey(part),
      (current) => (current ? { kind: 'remove', result: current } : { kind: 'keep', result: undefined }),
    );
    if (!joins) return;
    const { callee, pairs = [] } = joins;
    await this.legs.add(id, pairs);
    const unlisted = this.#unlist(part, setsOf(joins));
    const kept = this.#store.update<SessionRecord, boolean>(sessions, sessionKey(id), (current) => {
      if (!current) return { kind: 'keep', result: false };
      const value: SessionRecord = {
        ...current,
        callee: { ...current.callee, ...defined(callee) },
        pairs: [...(current.pairs ?? []), ...pairs],
      };
      return { kind: 'put', value, deadline: deadlineOf(value), result: true };
    });
    const listed = this.#list(id, setsOf(joins));
    await Promise.all([unlisted, listed]);
    if (await kept) return;
    // it has ended meanwhile
    await Promise.all([this.#unlist(id, setsOf(joins)), this.legs.remove(pairs)]);
  }

  async #list(id: string, sets: readonly string[]): Promise<void> {
    await Promise.all(
      sets.map((set) =>
        this.#store.update(ofUsers, `${set}\t${sessionKey(id)}`, () => ({
          kind: 'put',
          value: { id },
          result: undefined,
        })),
      ),
    );
  }

  async #unlist(id: string, sets: readonly string[]): Promise<void> {
    await Promise.all(
      sets.map((set) =>
        this.#store.update(ofUsers, `${set}\t${sessionKey(id)}`, () => ({
          kind: 'remove',
          result: undefined,
        })),
      ),
    );
  }

  /** A re-INVITE or UPDATE was answered. */
  async refreshed(id: string, interval: number | undefined): Promise<void> {
    await this.#store.update(sessions, sessionKey(id), (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const value = { ...current, refreshedAt: this.#clock.now(), interval: interval ?? current.interval };
      return { kind: 'put', value, deadline: deadlineOf(value), result: undefined };
    });
  }

  /** What has passed a session so far, for the other nodes to show. */
  async passed(id: string, passed: Passed): Promise<void> {
    await this.#store.update(sessions, sessionKey(id), (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const value = { ...current, passed };
      return { kind: 'put', value, deadline: deadlineOf(value), result: undefined };
    });
  }

  /** A device of the session is gone, and may come back until then; without a time it is back. */
  async lost(id: string, until: number | undefined): Promise<void> {
    await this.#store.update(sessions, sessionKey(id), (current) => {
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
      sessionKey(id),
      (current) =>
        current && (calleeTag === undefined || (current.calleeTag ?? calleeTag) === calleeTag)
          ? { kind: 'remove', result: current }
          : { kind: 'keep', result: undefined },
    );
    if (gone) await Promise.all([this.#unlist(id, setsOf(gone)), this.legs.remove(gone.pairs ?? [])]);
    return gone;
  }

  /**
   * Sessions in the media path of a node that is no more, or with a user agent there, have lost it: their ends hear so from their
   * MSRP connections. Until a BYE could have come they are mapped as before.
   */
  async abandon(isAlive: (holder: string) => boolean): Promise<void> {
    for await (const { key, value } of this.#store.scan(sessions)) {
      // a node that died may have written both parts of a session and not joined them
      const whole = await this.legs.wholeOf(value.id);
      if (whole !== undefined) await this.#join(value.id, whole);
      else if (value.holder !== undefined && !isAlive(value.holder))
        await this.#store.update(sessions, key, (current) => {
          if (current?.holder === undefined || isAlive(current.holder))
            return { kind: 'keep', result: undefined };
          const left = { ...current, holder: undefined, interval: 0, refreshedAt: this.#clock.now() };
          return { kind: 'put', value: left, deadline: deadlineOf(left), result: undefined };
        });
    }
  }

  get(id: string): Promise<SessionRecord | undefined> {
    return this.#store.get(sessions, sessionKey(id));
  }

  /** How many sessions a user has, counted up to `limit`. */
  async count(set: string, limit: number): Promise<number> {
    const found: SessionRecord[] = [];
    for await (const record of this.list(set)) if (found.push(record) === limit) break;
    return found.length;
  }

  /** All sessions, or those of one user. @param after only those behind the session of this identifier. */
  async *list(set?: string, after?: string): AsyncGenerator<SessionRecord> {
    const key = after === undefined ? undefined : sessionKey(after);
    if (set === undefined) {
      for await (const { value } of this.#store.scan(sessions, key === undefined ? {} : { after: key }))
        yield value;
      return;
    }
    const prefix = `${set}\t`;
    const range = key === undefined ? { prefix } : { prefix, after: prefix + key };
    for await (const { value } of this.#store.scan(ofUsers, range)) {
      // a process that was killed may have left a name without its session
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

  /** Keys of sessions whose time is over, at most `limit`; they serve as identifiers. */
  due(limit: number): Promise<string[]> {
    return this.#store.due(sessions, this.#clock.now(), limit);
  }
}

const deadlineOf = ({ refreshedAt, interval, lostUntil = Infinity }: SessionRecord): number =>
  Math.min(
    lostUntil,
    refreshedAt + (interval === undefined ? UNTIMED_SECONDS : interval + GRACE_SECONDS) * 1000,
  );

const setsOf = ({ caller, callee }: StartedSession): string[] =>
  [caller.set, callee.set].filter((set) => set !== undefined);

const completed = (record: StartedSession, earlier: StartedSession | undefined): StartedSession =>
  earlier?.calleeTag !== undefined && earlier.calleeTag !== record.calleeTag
    ? earlier
    : joined(record, earlier);

function joined(record: StartedSession, earlier: StartedSession | undefined): StartedSession {
  if (!earlier) return record;
  // the function in the media path knows the legs, and a timer is theirs
  const ofLegs = earlier.mediaPath ? earlier : record;
  return {
    ...record,
    caller: joinedEnd(record.caller, earlier.caller),
    callee: joinedEnd(record.callee, earlier.callee),
    mediaPath: ofLegs.mediaPath,
    interval: ofLegs.interval,
    pairs: ofLegs.pairs,
    holder: record.holder ?? earlier.holder,
  };
}

/** A user's own function knows its device; to the other one's, it may be a media path of this server. */
const joinedEnd = (later: SessionEnd, earlier: SessionEnd): SessionEnd =>
  earlier.set !== undefined && later.set === undefined ? earlier : { ...earlier, ...defined(later) };

const defined = (end: SessionEnd): SessionEnd => ({
  user: end.user,
  device: end.device,
  ...(end.set === undefined ? {} : { set: end.set }),
});
