import { groupError } from './errors.js';
import { Focus, type FocusOptions } from './focus.js';
import type { Group } from './group.js';
import type { Claim } from './groups.js';
import type { ReferHandler } from './leg.js';
import type { Member } from './member.js';

/** The focus of a group at this node, or the node that runs it. */
export type Taken =
  | {
      readonly focus: Focus;
      /** Whether the sessions of the group begin: true for one of those who come at once. */
      readonly begins: boolean;
    }
  | { readonly holder: string };

/** The groups that have sessions at this node: a group has one focus (RFC 4353 §4.1), however many come for it at once. */
export class Focuses {
  readonly #options: FocusOptions;
  readonly #onRefer: (focus: Focus) => ReferHandler;
  /** By group. */
  readonly #running = new Map<string, Focus>();
  /** Claims that are under way, by group. */
  readonly #claims = new Map<string, Promise<Claim | undefined>>();
  /** What runs for a Contribution-ID; what comes later waits. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: FocusOptions, onRefer: (focus: Focus) => ReferHandler) {
    this.#options = options;
    this.#onRefer = onRefer;
  }

  get running(): Iterable<Focus> {
    return this.#running.values();
  }

  get(id: string): Focus | undefined {
    return this.#running.get(id);
  }

  /** The focus of a group, begun when this node may. @throws ParleyError `group-unknown` */
  async take(id: string): Promise<Taken> {
    const running = this.#running.get(id);
    if (running) return { focus: running, begins: false };
    const claim = await this.#claim(id);
    if (!claim) throw groupError('group-unknown', id);
    if ('holder' in claim) return claim;
    const begins = !this.#running.has(id);
    return { focus: this.begin(claim.group, claim.rang), begins };
  }

  /** @param rang who is still to be invited since the node that had the group went. */
  begin(group: Group, rang: readonly Member[] = []): Focus {
    const running = this.#running.get(group.id);
    if (running) return running;
    const focus = new Focus(group, this.#options, {
      onEnd: ({ group: { id } }) => this.#running.delete(id),
      onRefer: this.#onRefer,
    });
    focus.owe(rang);
    this.#running.set(group.id, focus);
    return focus;
  }

  /** Does the work for a Contribution-ID after what came for it before. */
  async inTurn<T>(contributionId: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(contributionId) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#turns.set(contributionId, mine);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(contributionId) === mine) this.#turns.delete(contributionId);
    }
  }

  /** One for all who come at once: a second one would be another term of the group, in which the focus of the first has no say. */
  #claim(id: string): Promise<Claim | undefined> {
    const running = this.#claims.get(id);
    if (running) return running;
    const claim = this.#options.groups.claim(id);
    this.#claims.set(id, claim);
    // the first to wait, so that the focus is there before anybody can claim again
    const done = (): boolean => this.#claims.delete(id);
    claim.then(done, done);
    return claim;
  }
}
