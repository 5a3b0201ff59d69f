import { table, type Store } from '../store/store.js';
import { registrations, type Binding } from './registration.js';

/** A set that is bound to connections of a node, by the node's name and the set. */
const boundSets = table<true>('connection-sets');

/** Sets whose bindings are removed beside one another when a node has gone. */
const SETS_AT_ONCE = 64;

export interface ConnectionFlowsOptions {
  readonly store: Store;
  /** This node in the names of its flows; undefined where no other node uses the store. */
  readonly node: string | undefined;
  /** Removes bindings of a set that have lost their connection. */
  removeLost(set: string, chosen: (binding: Binding) => boolean): Promise<unknown>;
}

interface BoundSet {
  /** How many flows it is bound to. */
  flows: number;
  /** Settles when the set's row is in the store. */
  row: Promise<void> | undefined;
  hasRow: boolean;
}

/**
 * Sets with a binding over a connection of this node: they die with it (RFC 5626 §7). With the node all its connections go: the rows in the
 * store spare whoever buries it a look at every registration.
 */
export class ConnectionFlows {
  readonly #options: ConnectionFlowsOptions;
  readonly #sets = new Map<string, BoundSet>();
  readonly #byFlow = new Map<string, Set<string>>();

  constructor(options: ConnectionFlowsOptions) {
    this.#options = options;
  }

  /** @returns what must be waited for before the device is told that it is registered; it throws what the store throws. */
  add(flow: string, set: string): Promise<void> | undefined {
    const sets = this.#byFlow.get(flow) ?? new Set();
    if (sets.size === 0) this.#byFlow.set(flow, sets);
    let bound = this.#sets.get(set);
    if (!bound) this.#sets.set(set, (bound = { flows: 0, row: undefined, hasRow: false }));
    if (!sets.has(set)) bound.flows++;
    sets.add(set);
    if (this.#options.node !== undefined && !bound.hasRow)
      bound.row ??= this.#write(this.#options.node, set, bound);
    return bound.row;
  }

  /** A connection of this node has gone: bindings that only it could reach go with it. */
  async closed(flow: string): Promise<void> {
    const sets = this.#byFlow.get(flow) ?? [];
    this.#byFlow.delete(flow);
    for (const set of sets) this.#unbind(set);
    const { node } = this.#options;
    for (const set of sets) {
      await this.#options.removeLost(set, (binding) => binding.flow === flow && binding.flowOnly);
      if (node !== undefined && !this.#sets.has(set)) await this.#forget(node, set);
    }
  }

  /**
   * Another node has gone, or an earlier life of this one, with its connections: bindings that only they could reach go.
   * @param node as the names of its flows have it.
   * @param isBack asked now and then: whether it is there after all.
   */
  async nodeGone(node: string, isBack: () => Promise<boolean>): Promise<void> {
    const bury = async (set: string): Promise<void> => {
      await this.#options.removeLost(set, (binding) => binding.flowOnly && nodeOf(binding.flow) === node);
      await this.#forget(node, set);
    };
    for await (const sets of this.#boundTo(node)) {
      if (await isBack()) return;
      await Promise.all(sets.map(bury));
    }
  }

  /** Flows of this node that a binding was made over, which is not there any more: somebody took this node for gone. */
  async *lost(): AsyncGenerator<string> {
    // so are the rows: each is written again with the next REGISTER of its set
    for (const bound of this.#sets.values()) bound.hasRow = false;
    for (const [flow, sets] of [...this.#byFlow]) {
      const found = await Promise.all([...sets].map((set) => this.#options.store.get(registrations, set)));
      if (!found.some((registration) => registration?.bindings.some((binding) => binding.flow === flow)))
        yield flow;
    }
  }

  #unbind(set: string): void {
    const bound = this.#sets.get(set);
    if (bound && --bound.flows === 0) this.#sets.delete(set);
  }

  /** Sets that are, or were, bound to connections of a node, some at a time. */
  async *#boundTo(node: string): AsyncGenerator<readonly string[]> {
    const prefix = keyOf(node, '');
    let sets: string[] = [];
    for await (const { key } of this.#options.store.scan(boundSets, { prefix })) {
      if (sets.push(key.slice(prefix.length)) < SETS_AT_ONCE) continue;
      yield sets;
      sets = [];
    }
    if (sets.length > 0) yield sets;
  }

  #forget(node: string, set: string): Promise<void> {
    return this.#options.store.update(boundSets, keyOf(node, set), () => ({
      kind: 'remove',
      result: undefined,
    }));
  }

  async #write(node: string, set: string, bound: BoundSet): Promise<void> {
    try {
      await this.#options.store.update(boundSets, keyOf(node, set), () => ({
        kind: 'put',
        value: true,
        result: undefined,
      }));
      bound.hasRow = true;
    } finally {
      bound.row = undefined;
    }
  }
}

const keyOf = (node: string, set: string): string => `${node} ${set}`;
const nodeOf = (flow: string | undefined): string | undefined => flow?.split('|', 2)[1];
