/** Sets over one flow that are told apart; a flow of more is that of a proxy. */
const SETS = 4;

/**
 * Which implicit sets registered over which flow of this node. In memory alone: what a restart forgets, the next REGISTER over a
 * flow brings back, as it does what the limit put out. Whether a set is still bound to the flow, its registration says.
 */
export class FlowOwners {
  readonly #generation: number;
  #young = new Map<string, readonly string[]>();
  #old = new Map<string, readonly string[]>();

  /** @param limit flows that are kept at most; beyond it those over which nobody registered lately go, half of them at once. */
  constructor(limit = 100_000) {
    this.#generation = Math.ceil(limit / 2);
  }

  add(flow: string, set: string): void {
    const young = this.#young.get(flow);
    const known = young ?? this.#old.get(flow) ?? [];
    // too many stay too many
    const sets = known.length > SETS || known.includes(set) ? known : [...known, set];
    if (sets === young) return;
    if (!young && this.#young.size >= this.#generation) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(flow, sets);
  }

  delete(flow: string): void {
    this.#young.delete(flow);
    this.#old.delete(flow);
  }

  /** Empty for a flow that is not known, or is one of too many. */
  of(flow: string): readonly string[] {
    const sets = this.#young.get(flow) ?? this.#old.get(flow) ?? [];
    return sets.length > SETS ? [] : sets;
  }
}
