/** Sets over one flow that are told apart; a flow of more is that of a proxy. */
const SETS = 4;

/**
 * Which implicit sets registered over which flow of this node. In memory alone: what a restart forgets, the next REGISTER over a
 * flow brings back, as it does what the limit put out. Whether a set is still bound to the flow, its registration says.
 */
export class FlowOwners {
  readonly #sets = new Map<string, readonly string[]>();
  readonly #limit: number;

  /** @param limit flows that are kept; beyond it the one that came first goes. */
  constructor(limit = 100_000) {
    this.#limit = limit;
  }

  add(flow: string, set: string): void {
    const known = this.#sets.get(flow);
    if (known?.includes(set)) return;
    if (known) {
      // too many stay too many
      if (known.length <= SETS) this.#sets.set(flow, [...known, set]);
      return;
    }
    if (this.#sets.size >= this.#limit) this.delete(this.#sets.keys().next().value!);
    this.#sets.set(flow, [set]);
  }

  delete(flow: string): void {
    this.#sets.delete(flow);
  }

  /** Empty for a flow that is not known, or is one of too many. */
  of(flow: string): readonly string[] {
    const sets = this.#sets.get(flow) ?? [];
    return sets.length > SETS ? [] : sets;
  }
}
