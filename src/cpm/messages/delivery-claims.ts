import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { table, type Store } from '../../store/store.js';

/** Which node hands the deferred messages of a user to its devices now. */
interface Claim {
  readonly node: string;
  /** Another node wanted to meanwhile: a device registered there, or a message came. */
  readonly again: boolean;
  /** Milliseconds since the epoch, unless it is renewed. */
  readonly until: number;
}

const claims = table<Claim>('deferred-claims');

const LEASE_MS = 10_000;
const RENEW_MS = 4_000;

/**
 * Agreement between the nodes on one store that one of them delivers to a user at a time, so that nothing is sent twice and the
 * order is kept. A node that dies loses its claims with their lease.
 */
export class DeliveryClaims {
  readonly #node = randomUUID();
  readonly #store: Store;
  readonly #clock: Clock;
  /** Claims of this node, and when they were made or renewed. */
  readonly #held = new Map<string, number>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @returns whether this node delivers to the user now; else the node that does looks again when it is through. */
  async take(set: string): Promise<boolean> {
    const taken = await this.#store.update<Claim, boolean>(claims, set, (current) => {
      if (!current || current.node === this.#node || current.until <= this.#clock.now())
        return { ...this.#put(false), result: true };
      if (current.again) return { kind: 'keep', result: false };
      return { kind: 'put', value: { ...current, again: true }, deadline: current.until, result: false };
    });
    if (taken) this.#held.set(set, this.#clock.now());
    return taken;
  }

  /** Ends the claim, unless another node wanted to deliver meanwhile. @returns whether it did: then there is one more round. */
  async release(set: string): Promise<boolean> {
    // not renewed any more, also when the store does not take the end
    this.#held.delete(set);
    const again = await this.#store.update<Claim, boolean>(claims, set, (current) => {
      if (current?.node !== this.#node) return { kind: 'keep', result: false };
      return current.again ? { ...this.#put(false), result: true } : { kind: 'remove', result: false };
    });
    if (again) this.#held.set(set, this.#clock.now());
    return again;
  }

  /** Renews what this node holds; called every second or so. */
  async renew(): Promise<void> {
    const now = this.#clock.now();
    for (const [set, since] of [...this.#held]) {
      if (now - since < RENEW_MS) continue;
      this.#held.set(set, now);
      const mine = await this.#store.update<Claim, boolean>(claims, set, (current) =>
        current?.node === this.#node
          ? { ...this.#put(current.again), result: true }
          : { kind: 'keep', result: false },
      );
      if (!mine) this.#held.delete(set);
    }
  }

  /** Ends the claims of nodes that did not renew them. @returns the users to whom they were delivering. */
  async lapsed(limit: number): Promise<string[]> {
    const ended: string[] = [];
    for (const set of await this.#store.due(claims, this.#clock.now(), limit)) {
      const was = await this.#store.update<Claim, boolean>(claims, set, (current) =>
        current && current.until <= this.#clock.now()
          ? { kind: 'remove', result: true }
          : { kind: 'keep', result: false },
      );
      if (was) ended.push(set);
    }
    return ended;
  }

  #put(again: boolean): { kind: 'put'; value: Claim; deadline: number } {
    const until = this.#clock.now() + LEASE_MS;
    return { kind: 'put', value: { node: this.#node, again, until }, deadline: until };
  }
}
