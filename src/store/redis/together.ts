interface Waiting<Q, A> {
  readonly question: Q;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
}

/** What may be sent together. */
export interface TogetherLimits<Q> {
  /** Questions. */
  readonly most: number;
  /** And their octets, unless it is one alone. */
  readonly octets?: { readonly most: number; of(question: Q): number };
}

/**
 * Collects what is asked in one turn of the event loop and sends it together, as far as it can go to one node: a command
 * costs more than what is in it.
 */
export class Together<Q, A> {
  readonly #byShard: boolean;
  readonly #limits: TogetherLimits<Q>;
  readonly #send: (shard: number, questions: readonly Q[]) => Promise<readonly A[]>;
  /** By shard in a cluster; all under the first one's else. */
  #waiting = new Map<number, Waiting<Q, A>[]>();

  /**
   * @param byShard whether shards may not be mixed.
   * @param send answers in the order of the questions; `shard` is that of one of them.
   */
  constructor(
    byShard: boolean,
    limits: TogetherLimits<Q>,
    send: (shard: number, questions: readonly Q[]) => Promise<readonly A[]>,
  ) {
    this.#byShard = byShard;
    this.#limits = limits;
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
    for (const [shard, waiting] of groups)
      for (const some of this.#parted(waiting)) void this.#sendSome(shard, some);
  }

  *#parted(waiting: readonly Waiting<Q, A>[]): Generator<readonly Waiting<Q, A>[]> {
    const { most, octets } = this.#limits;
    let begin = 0;
    let size = 0;
    for (const [i, { question }] of waiting.entries()) {
      const own = octets?.of(question) ?? 0;
      if (i > begin && (i - begin >= most || (octets && size + own > octets.most))) {
        yield waiting.slice(begin, i);
        begin = i;
        size = 0;
      }
      size += own;
    }
    yield waiting.slice(begin);
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
