import type { Dialog } from '../../sip/stack.js';
import { table, type Store } from '../../store/store.js';
import { sessionKey } from './session-key.js';

/** A dialog by its identifiers (RFC 3261 §12), as this server has it. */
export type Leg = Pick<Dialog, 'callId' | 'localTag' | 'remoteTag'>;

/** The two legs of a session in whose middle a node is: the caller's and the callee's. */
export interface LegPair {
  readonly near: Leg;
  readonly far: Leg;
}

/** By the name of a leg: the other one. */
const others = table<Leg>('cpm-session-legs');
/** By the key under which a function behind the far leg knows the session: the session. */
const parts = table<{ readonly id: string }>('cpm-session-parts');

const nameOf = ({ callId, localTag, remoteTag }: Leg): string =>
  sessionKey(`${callId}\t${localTag}\t${remoteTag}`);

/** Call-ID and the caller's tag of the far leg, whose caller is this server. */
const partOf = ({ far }: LegPair): string => `${far.callId}\t${far.localTag}`;

/** The legs of the sessions that nodes are in the middle of, in the store: every node maps them, also after a restart. */
export class SessionLegs {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The other leg of a session; undefined for what is no leg of ours. */
  otherThan(leg: Leg): Promise<Leg | undefined> {
    return this.#store.get(others, nameOf(leg));
  }

  /** The session that another one is the far part of. */
  async wholeOf(part: string): Promise<string | undefined> {
    return (await this.#store.get(parts, sessionKey(part)))?.id;
  }

  /** @returns the keys of the parts behind the far legs. */
  async add(id: string, pairs: readonly LegPair[]): Promise<string[]> {
    await Promise.all(
      pairs.flatMap((pair) => [
        this.#put(others, nameOf(pair.near), pair.far),
        this.#put(others, nameOf(pair.far), pair.near),
        this.#put(parts, sessionKey(partOf(pair)), { id }),
      ]),
    );
    return pairs.map(partOf);
  }

  async remove(pairs: readonly LegPair[]): Promise<void> {
    await Promise.all(
      pairs.flatMap((pair) => [
        this.#remove(others, nameOf(pair.near)),
        this.#remove(others, nameOf(pair.far)),
        this.#remove(parts, sessionKey(partOf(pair))),
      ]),
    );
  }

  #put<T>(where: ReturnType<typeof table<T>>, key: string, value: T): Promise<void> {
    return this.#store.update(where, key, () => ({ kind: 'put', value, result: undefined }));
  }

  #remove<T>(where: ReturnType<typeof table<T>>, key: string): Promise<void> {
    return this.#store.update(where, key, () => ({ kind: 'remove', result: undefined }));
  }
}
