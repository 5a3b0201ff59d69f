import { randomBytes } from 'node:crypto';
import { ParleyError } from '../../base/errors.js';
import { table, type Store } from '../../store/store.js';
import '../errors.js';
import type { PresenceView } from './pidf.js';

interface Publication {
  readonly etag: string;
  readonly view: PresenceView;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly expiresAt: number;
}

/** By registration set: what the user's devices have published. */
const publications = table<{ readonly entries: readonly Publication[] }>('gateway-publications');

/** Of one user, one for each device. */
const MOST = 20;

/** What SIP devices have published, until it expires (RFC 3903 §6). */
export class Publications {
  readonly #store: Store;
  readonly #now: () => number;

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** The view of the device that published last. */
  async of(set: string): Promise<PresenceView | undefined> {
    const record = await this.#store.get(publications, set);
    const living = (record?.entries ?? []).filter(({ expiresAt }) => expiresAt > this.#now());
    return living.reduce<Publication | undefined>((a, b) => (a && a.at > b.at ? a : b), undefined)?.view;
  }

  /**
   * Takes a publication over: a first one, or with `match` a change or refresh of that one (RFC 3903 §6 step 2 to 6).
   * @param view undefined to keep what it says. @param seconds 0 removes it.
   * @returns its entity-tag
   * @throws ParleyError `presence-no-match`, `presence-too-many`
   */
  async put(
    set: string,
    match: string | undefined,
    view: PresenceView | undefined,
    seconds: number,
  ): Promise<string> {
    const etag = randomBytes(9).toString('base64url');
    const now = this.#now();
    return this.#store.update(publications, set, (current) => {
      const living = (current?.entries ?? []).filter(({ expiresAt }) => expiresAt > now);
      const before = living.find((entry) => entry.etag === match);
      if (match !== undefined && !before) throw new ParleyError('presence-no-match');
      const others = living.filter((entry) => entry !== before);
      if (others.length >= MOST) throw new ParleyError('presence-too-many');
      const said = view ?? before?.view ?? {};
      const entries =
        seconds === 0 ? others : [...others, { etag, view: said, at: now, expiresAt: now + seconds * 1000 }];
      if (entries.length === 0) return { kind: 'remove', result: etag };
      const deadline = Math.min(...entries.map(({ expiresAt }) => expiresAt));
      return { kind: 'put', value: { entries }, deadline, result: etag };
    });
  }

  /** Forgets what has expired. @returns the users whose presence may be another one now */
  async expire(limit: number): Promise<readonly string[]> {
    const now = this.#now();
    const sets = await this.#store.due(publications, now, limit);
    for (const set of sets)
      await this.#store.update(publications, set, (current) => {
        const entries = (current?.entries ?? []).filter(({ expiresAt }) => expiresAt > now);
        if (entries.length === 0) return { kind: 'remove', result: undefined };
        const deadline = Math.min(...entries.map(({ expiresAt }) => expiresAt));
        return { kind: 'put', value: { entries }, deadline, result: undefined };
      });
    return sets;
  }
}
