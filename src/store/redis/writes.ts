import type { Health } from './health.js';
import { deadlinesName, indexName, removedName } from './layout.js';
import { removedKeptMs } from './loss-watch.js';
import type { Argument, RedisLink } from './link.js';
import { putScript, removeScript, runScript, type Script } from './scripts.js';
import { Together } from './together.js';

/** Where a record is. */
export interface Place {
  readonly shard: number;
  readonly table: string;
  readonly key: string;
  /** Its name in Redis. */
  readonly name: string;
}

/**
 * A number when the write was done: 1, or how many records of the shard this node has removed by then. Else the record that stood in
 * its way, null for none.
 */
export type Answer = number | Buffer | null;

interface Put {
  readonly place: Place;
  readonly octets: number;
  readonly arguments: readonly Argument[];
}

/** Redis does nothing else during a script: so many puts, and so many octets, take it well under a millisecond. */
const putsPerScript = 32;
const octetsPerScript = 1 << 20;

/** Sends the puts of one turn of the event loop together, as far as they can go to one node. */
export class Writes {
  readonly #link: RedisLink;
  readonly #health: Health;
  readonly #node: string;
  readonly #puts: Together<Put, Answer>;

  /** @param node what this one is called among those that write. */
  constructor(link: RedisLink, health: Health, node: string) {
    this.#link = link;
    this.#health = health;
    this.#node = node;
    const octets = { most: octetsPerScript, of: (put: Put): number => put.octets };
    this.#puts = new Together(link.isCluster, { most: putsPerScript, octets }, async (shard, puts) => {
      const names = puts.flatMap(({ place }) => namesOf(place));
      const values = puts.flatMap((put) => put.arguments);
      return (await this.#run(shard, putScript, names, values)) as Answer[];
    });
  }

  /** @param deadline Infinity for none. @throws ParleyError `store-unavailable` when it cannot be known what happened. */
  put(place: Place, expected: Buffer, record: Buffer, deadline: number): Promise<Answer> {
    const until = deadline === Infinity ? '' : String(deadline);
    return this.#puts.ask(place.shard, {
      place,
      octets: record.length,
      arguments: [expected, place.key, record, until],
    });
  }

  /** @throws ParleyError `store-unavailable` when it cannot be known what happened. */
  async remove(place: Place, expected: Buffer): Promise<Answer> {
    const names = [...namesOf(place), removedName(place.shard, this.#node)];
    const values = [expected, place.key, String(removedKeptMs)];
    return (await this.#run(place.shard, removeScript, names, values)) as Answer;
  }

  async #run(
    shard: number,
    script: Script,
    names: readonly string[],
    values: readonly Argument[],
  ): Promise<unknown> {
    const answer = await this.#health.answer(shard, () => runScript(this.#link, script, names, values));
    this.#health.worked(shard);
    return answer;
  }
}

const namesOf = ({ shard, table, name }: Place): string[] => [
  name,
  indexName(shard, table),
  deadlinesName(shard, table),
];
