import type { Health } from './health.js';
import { deadlinesName, indexName } from './layout.js';
import type { Argument, RedisLink } from './link.js';
import { putScript, removeScript, type Script } from './scripts.js';

/** Where a record is. */
export interface Place {
  readonly shard: number;
  readonly table: string;
  readonly key: string;
  /** Its name in Redis. */
  readonly name: string;
}

/** 1 when the write was done, else the record that stood in its way, null for none. */
export type Answer = 1 | Buffer | null;

interface Put {
  readonly place: Place;
  readonly arguments: readonly Argument[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Redis does nothing else during a script: so many puts take it well under a millisecond. */
const putsPerScript = 32;

/** Sends the puts of one turn of the event loop together, as far as they can go to one node. */
export class Writes {
  readonly #link: RedisLink;
  readonly #health: Health;
  /** By shard in a cluster; all in one else. */
  #waiting = new Map<number, Put[]>();

  constructor(link: RedisLink, health: Health) {
    this.#link = link;
    this.#health = health;
  }

  /** @param deadline Infinity for none. @throws ParleyError `store-unavailable` when it cannot be known what happened. */
  put(place: Place, expected: Buffer, record: Buffer, deadline: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const until = deadline === Infinity ? '' : String(deadline);
      const put = { place, arguments: [expected, place.key, record, until], resolve, reject };
      if (this.#waiting.size === 0) setImmediate(() => this.#sendAll());
      const group = this.#link.isCluster ? place.shard : 0;
      const puts = this.#waiting.get(group);
      if (puts) puts.push(put);
      else this.#waiting.set(group, [put]);
    });
  }

  /** @throws ParleyError `store-unavailable` when it cannot be known what happened. */
  async remove(place: Place, expected: Buffer): Promise<Answer> {
    const answer = await this.#run(place.shard, removeScript, namesOf(place), [expected, place.key]);
    return answer as Answer;
  }

  #sendAll(): void {
    const groups = this.#waiting;
    this.#waiting = new Map();
    for (const puts of groups.values()) {
      for (let i = 0; i < puts.length; i += putsPerScript)
        void this.#sendPuts(puts.slice(i, i + putsPerScript));
    }
  }

  async #sendPuts(puts: readonly Put[]): Promise<void> {
    const names = puts.flatMap(({ place }) => namesOf(place));
    const values = puts.flatMap((put) => put.arguments);
    try {
      const answers = (await this.#run(puts[0]!.place.shard, putScript, names, values)) as Answer[];
      for (const [i, put] of puts.entries()) put.resolve(answers[i]!);
    } catch (error) {
      for (const put of puts) put.reject(error);
    }
  }

  async #run(
    shard: number,
    script: Script,
    names: readonly string[],
    values: readonly Argument[],
  ): Promise<unknown> {
    const rest = [String(names.length), ...names, ...values];
    const answer = await this.#health.answer(shard, async () => {
      try {
        return await this.#link.send(names[0]!, ['EVALSHA', script.sha, ...rest]);
      } catch (error) {
        // a Redis that was started again does not know it, and has done nothing
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
        return this.#link.send(names[0]!, ['EVAL', script.source, ...rest]);
      }
    });
    this.#health.worked(shard);
    return answer;
  }
}

const namesOf = ({ shard, table, name }: Place): string[] => [
  name,
  indexName(shard, table),
  deadlinesName(shard, table),
];
