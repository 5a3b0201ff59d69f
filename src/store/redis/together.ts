interface Waiting<Q, A> {
  readonly question: Q;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Collects what is asked in one turn of the event loop and sends it together, as far as it can go to one node: a command
 * costs more than what is in it.
 */
export class Together<Q, A> {
  readonly #byShard: boolean;
  readonly #most: number;
  readonly #send: (shard: number, questions: readonly Q[]) => Promise<readonly A[]>;
  /** By shard in a cluster; all under the first one's else. */
  #waiting = new Map<number, Waiting<Q, A>[]>();

  /**
   * @param byShard whether shards may not be mixed. @param most questions that are sent together.
   * @param send answers in the order of the questions; `shard` is that of one of them.
   */
  constructor(
    byShard: boolean,
    most: number,
    send: (shard: number, questions: readonly Q[]) => Promise<readonly A[]>,
  ) {
    this.#byShard = byShard;
    this.#most = most;
    this.#send = send;
  }

  /** Throws what sending throws. */
  ask(shard: number, question: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) setImmediate(() => this.#sendAll());
      const [first] = this.#byShard ? [shard] : this.#waiting.keys();
      const group = first ?? shard;
      const waiting = this.#waiting.get(group);
      if (waiting) waiting.push({ question, resolve, reject });
      else this.#waiting.set(group, [{ question, resolve, reject }]);
    });
  }

  #sendAll(): void {
    const groups = this.#waiting;
    this.#waiting = new Map();
    for (const [shard, waiting] of groups) {
      for (let i = 0; i < waiting.length; i += this.#most)
        void this.#sendSome(shard, waiting.slice(i, i + this.#most));
    }
  }

  async #sendSome(shard: number, waiting: readonly Waiting<Q, A>[]): Promise<void> {
    try {
      const answers = await this.#send(
        shard,
        waiting.map(({ question }) => question),
      );
      for (const [i, { resolve }] of waiting.entries()) resolve(answers[i]!);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}
