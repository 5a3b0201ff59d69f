import type { Clock } from '../../base/clock.js';
import type { Store } from '../../store/store.js';
import { table } from '../../store/store.js';
import type { UserId } from '../address/wv-address.js';
import { pollCookies, rosters, sessions, type RosterRecord, type SessionRecord } from '../state/records.js';
import type { StatusCode } from '../status.js';

/** Why a session is no more: what its client is told when it still uses the Session-ID. */
export const endedSessions = table<{ readonly code: StatusCode; readonly told: boolean }>('imps-ended');
/** Channel on which every node hears that a session ended. */
const ENDED = 'imps-session-ended';
const REMEMBER_ENDED_MS = 3_600_000;
/** Longest time between a claim and its session. */
const CLAIM_MS = 30_000;

/** A roster's claim on a ClientID before it is committed, and what refuses it. */
export type Claim =
  | { readonly kind: 'granted' }
  | { readonly kind: 'in-use'; readonly session: string }
  | { readonly kind: 'limit' };

/**
 * Sessions and their keep-alive timers. Every transaction restarts the timer (document 004, Keep-Alive-Time); the
 * restart is kept in memory and committed once an eighth of the time has passed or the session comes to another node,
 * so a restart of the server errs by at most that eighth, in favour of the phone, and so does a node that the session
 * has left.
 */
export class SessionKeeper {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #seen = new Map<string, number>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** How many sessions had traffic at this node. */
  get here(): number {
    return this.#seen.size;
  }

  /** The session of that ID, if it lives. */
  async find(id: string): Promise<SessionRecord | undefined> {
    const session = await this.#store.get(sessions, id);
    return session && this.expiresAt(session) > this.#clock.now() ? session : undefined;
  }

  /** The session that a CIR poll names by its cookie. */
  async findByPollCookie(cookie: string): Promise<SessionRecord | undefined> {
    const found = await this.#store.get(pollCookies, cookie);
    return found && this.find(found.session);
  }

  /** Every living session of a user, oldest first. */
  async ofUser(user: UserId): Promise<SessionRecord[]> {
    const roster = await this.#store.get(rosters, user);
    if (!roster) return [];
    const found = await Promise.all(roster.sessions.map(({ id }) => this.find(id)));
    return found.filter((session) => session !== undefined);
  }

  /** Milliseconds since the epoch; a session without traffic ends then. */
  expiresAt(session: SessionRecord): number {
    const seenAt = this.#isHere(session) ? this.seenAt(session) : session.seenAt + graceOf(session);
    return seenAt + session.keepAliveSeconds * 1000;
  }

  /** When the session last had a transaction that this node knows of. */
  seenAt = (session: SessionRecord): number => Math.max(this.#seen.get(session.id) ?? 0, session.seenAt);

  /** Whether the last transaction that was committed, or a later one, came to this node. */
  #isHere({ id, seenAt }: SessionRecord): boolean {
    return (this.#seen.get(id) ?? -Infinity) >= seenAt;
  }

  /** A transaction of the session happened: its timer starts anew. @returns the session's record, if that was committed */
  async touch(session: SessionRecord): Promise<SessionRecord | undefined> {
    const now = this.#clock.now();
    // the node that had it before is to learn that it is no longer the one that knows
    const moved = !this.#isHere(session);
    this.#seen.set(session.id, now);
    if (!moved && now - session.seenAt < graceOf(session)) return undefined;
    return this.change(session.id, (current) => ({ ...current, seenAt: now }));
  }

  /** Changes a session's record. @returns it as it is then; undefined when the session is gone */
  change(id: string, fn: (current: SessionRecord) => SessionRecord): Promise<SessionRecord | undefined> {
    return this.#store.update(sessions, id, (current) => {
      if (!current) return { kind: 'keep', result: undefined };
      const value = fn(current);
      return { kind: 'put', value, deadline: deadlineOf(value), result: value };
    });
  }

  /**
   * Puts a session into its user's roster if GEN-13 (one session a Client-ID), GEN-14 and GEN-16 (limit) let it.
   * @param living sessions of the roster that are alive; others are taken out on the way
   */
  claim(session: SessionRecord, client: string, living: readonly string[], limit: number): Promise<Claim> {
    const now = this.#clock.now();
    return this.#store.update<RosterRecord, Claim>(rosters, session.user, (current) => {
      // a claim whose session is not committed yet is not dead
      const kept = (current?.sessions ?? []).filter(
        ({ id, at }) => living.includes(id) || now - at < CLAIM_MS,
      );
      const twin = kept.find(
        (entry) => entry.client === client && entry.applicationId === session.applicationId,
      );
      if (twin) return { kind: 'keep', result: { kind: 'in-use', session: twin.id } };
      if (kept.length >= limit) return { kind: 'keep', result: { kind: 'limit' } };
      const entry = { id: session.id, client, applicationId: session.applicationId, at: now };
      return { kind: 'put', value: { sessions: [...kept, entry] }, result: { kind: 'granted' } };
    });
  }

  /** Commits a claimed session. */
  async start(session: SessionRecord): Promise<void> {
    this.#seen.set(session.id, session.seenAt);
    await Promise.all([
      this.#store.update(sessions, session.id, () => ({
        kind: 'put',
        value: session,
        deadline: deadlineOf(session),
        result: undefined,
      })),
      this.#store.update(pollCookies, session.pollCookie, () => ({
        kind: 'put',
        value: { session: session.id },
        result: undefined,
      })),
    ]);
  }

  /** Takes a session away. @param code what its client is told afterwards; undefined when it asked itself */
  async end(session: SessionRecord, code: StatusCode | undefined): Promise<void> {
    this.#seen.delete(session.id);
    if (code !== undefined) {
      await this.#store.update(endedSessions, session.id, () => ({
        kind: 'put',
        value: { code, told: false },
        deadline: this.#clock.now() + REMEMBER_ENDED_MS,
        result: undefined,
      }));
    }
    await Promise.all([
      this.#store.update(sessions, session.id, () => ({ kind: 'remove', result: undefined })),
      this.#store.update(pollCookies, session.pollCookie, () => ({ kind: 'remove', result: undefined })),
      this.#store.update<RosterRecord, undefined>(rosters, session.user, (current) => {
        const kept = (current?.sessions ?? []).filter(({ id }) => id !== session.id);
        return kept.length === 0
          ? { kind: 'remove', result: undefined }
          : { kind: 'put', value: { sessions: kept }, result: undefined };
      }),
    ]);
    await this.#store.publish(ENDED, session.id);
  }

  /** Calls back for every session that ends, on any node. @returns a function that stops it */
  onEnded(listener: (session: string) => void): () => void {
    const ended = (session: string): void => {
      this.#seen.delete(session);
      listener(session);
    };
    return this.#store.subscribe(ENDED, ended, () => {
      this.#endedUnheard(ended).catch(() => undefined); // the way to the store is gone again, and its return is told
    });
  }

  /** Sessions that this node had and that ended elsewhere while events were missed. */
  async #endedUnheard(ended: (session: string) => void): Promise<void> {
    for (const id of [...this.#seen.keys()]) if (!(await this.#store.get(sessions, id))) ended(id);
  }

  /** The session's record though its time is over: it is still to be ended. */
  async overdue(id: string): Promise<SessionRecord | undefined> {
    const session = await this.#store.get(sessions, id);
    return session && this.expiresAt(session) <= this.#clock.now() ? session : undefined;
  }

  /** Looks at a session again when its time is over as it is known now. */
  #putOff(session: SessionRecord): Promise<void> {
    const deadline = this.expiresAt(session);
    const seenAt = this.seenAt(session);
    return this.#store.update(sessions, session.id, (current) =>
      current
        ? { kind: 'put', value: { ...current, seenAt }, deadline, result: undefined }
        : { kind: 'keep', result: undefined },
    );
  }

  /** What to tell a client whose session is no more, and whether it hears it for the first time. */
  async epitaph(id: string): Promise<{ readonly code: StatusCode; readonly first: boolean }> {
    const known = await this.#store.get(endedSessions, id);
    if (!known) return { code: 604, first: false };
    if (known.told) return { code: known.code, first: false };
    await this.#store.update(endedSessions, id, (current) =>
      current
        ? {
            kind: 'put',
            value: { code: current.code, told: true },
            deadline: this.#clock.now() + REMEMBER_ENDED_MS,
            result: undefined,
          }
        : { kind: 'keep', result: undefined },
    );
    return { code: known.code, first: true };
  }

  /** Sessions whose time ran out, at most `limit`; those that had traffic since their last commit are put off. */
  async expired(limit: number): Promise<SessionRecord[]> {
    const now = this.#clock.now();
    const found: SessionRecord[] = [];
    for (const id of await this.#store.due(sessions, now, limit)) {
      const session = await this.#store.get(sessions, id);
      if (!session) continue;
      if (this.expiresAt(session) <= now) found.push(session);
      else await this.#putOff(session);
    }
    return found;
  }
}

/** Milliseconds for which a restart of the keep-alive timer may stay uncommitted. */
const graceOf = (session: SessionRecord): number => session.keepAliveSeconds * 125;

/** When to look whether the session ended; traffic since its last commit puts it off then. */
const deadlineOf = (session: SessionRecord): number => session.seenAt + session.keepAliveSeconds * 1000;
