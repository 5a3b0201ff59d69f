import { compareKeys } from '../keys.js';
import type { Health } from './health.js';
import { allShards, deadlinesName, indexName } from './layout.js';
import type { Argument, RedisLink } from './link.js';
import { eachScript, recordsScript, runScript } from './scripts.js';
import { Together } from './together.js';

/** Records that one command asks for, and octets of records in one answer, of which the last may be over it. */
const recordsPerCommand = 64;
const octetsPerAnswer = 4 << 20;
/** Keys of a shard that are asked for where nearly always there are fewer. */
const fewKeys = 32;

interface Due {
  readonly key: string;
  readonly deadline: number;
}

/** What is read of Redis, in as few commands as can be: one for all shards where they are on one node. */
export class Reads {
  readonly #link: RedisLink;
  readonly #health: Health;
  readonly #records: Together<string, Buffer | null>;

  constructor(link: RedisLink, health: Health) {
    this.#link = link;
    this.#health = health;
    this.#records = new Together(link.isCluster, { most: recordsPerCommand }, async (shard, names) => {
      const [name = ''] = names;
      if (names.length === 1) return [(await this.#send(shard, name, ['GET', name])) as Buffer | null];
      return this.#several(shard, names);
    });
  }

  /** @param name of a record. @throws ParleyError `store-unavailable` */
  record(shard: number, name: string): Promise<Buffer | null> {
    return this.#records.ask(shard, name);
  }

  /** Keys of one shard in their order. @param start @param end as BYLEX has them. @throws ParleyError `store-unavailable` */
  async keys(shard: number, table: string, start: Argument, end: Argument, limit: number): Promise<string[]> {
    const index = indexName(shard, table);
    const found = await this.#send(shard, index, ['ZRANGE', index, ...byKey(start, end, limit)]);
    return (found as Buffer[]).map(String);
  }

  /** The same of every shard. @throws ParleyError `store-unavailable` */
  async keysOfAll(table: string, start: Argument, end: Argument, limit: number): Promise<string[][]> {
    const names = allShards.map((shard) => indexName(shard, table));
    const found = await this.#each(names, ['ZRANGE', ...byKey(start, end, limit)]);
    return (found as Buffer[][]).map((keys) => keys.map(String));
  }

  /** Keys whose deadline is `time` or before, the earliest first. @throws ParleyError `store-unavailable` */
  async due(table: string, time: number, limit: number): Promise<string[]> {
    const names = allShards.map((shard) => deadlinesName(shard, table));
    const few = Math.min(limit, fewKeys);
    const command = (most: number): Argument[] => [
      String(Math.floor(time)),
      'BYSCORE',
      'LIMIT',
      '0',
      String(most),
    ];
    const ask = ['ZRANGE', '-inf', ...command(few), 'WITHSCORES'];
    const found = (await this.#each(names, ask)) as [Buffer, number][][];
    const all = await Promise.all(
      found.map(async (some, shard) => {
        if (some.length < few || few === limit) return some;
        const name = names[shard]!;
        const whole = ['ZRANGE', name, '-inf', ...command(limit), 'WITHSCORES'];
        return (await this.#send(shard, name, whole)) as [Buffer, number][];
      }),
    );
    return all
      .flat()
      .map(([key, deadline]): Due => ({ key: key.toString(), deadline }))
      .sort((a, b) => a.deadline - b.deadline || compareKeys(a.key, b.key))
      .slice(0, limit)
      .map(({ key }) => key);
  }

  async #several(shard: number, names: readonly string[]): Promise<(Buffer | null)[]> {
    const records: (Buffer | null)[] = [];
    while (records.length < names.length) {
      const rest = names.slice(records.length);
      const run = (): Promise<unknown> =>
        runScript(this.#link, recordsScript, rest, [String(octetsPerAnswer)]);
      records.push(...((await this.#health.answer(shard, run)) as (Buffer | null)[]));
    }
    return records;
  }

  /** One command on a name of each shard. */
  async #each(names: readonly string[], [verb, ...rest]: readonly Argument[]): Promise<unknown[]> {
    if (this.#link.isCluster)
      return Promise.all(names.map((name, shard) => this.#send(shard, name, [verb!, name, ...rest])));
    const [shard = 0] = allShards;
    const run = (): Promise<unknown> => runScript(this.#link, eachScript, names, [verb!, ...rest]);
    return (await this.#health.answer(shard, run)) as unknown[];
  }

  #send(shard: number, name: string, command: readonly Argument[]): Promise<unknown> {
    return this.#health.answer(shard, () => this.#link.send(name, command));
  }
}

const byKey = (start: Argument, end: Argument, limit: number): Argument[] => [
  start,
  end,
  'BYLEX',
  'LIMIT',
  '0',
  String(limit),
];
