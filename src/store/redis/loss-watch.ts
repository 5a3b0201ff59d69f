import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import { allShards, lifeName } from './layout.js';
import type { Argument } from './link.js';
import { readVersion } from './record.js';

type Send = (shard: number, name: string, command: readonly Argument[]) => Promise<unknown>;

interface Put {
  readonly shard: number;
  readonly name: string;
  readonly version: number;
  readonly at: number;
}

const keptMs = 10_000;
const keptPuts = 1000;

/**
 * Finds out, whenever a connection is new, what Redis has lost since the last one, and says it in the log: all, when
 * a shard has a new life; or the newest of what it had acknowledged, as when a replica took over that did not have it.
 */
export class LossWatch {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #send: Send;
  readonly #lives = new Map<number, string>();
  #puts: Put[] = [];
  #next = 0;
  #lostAt: number | undefined;

  constructor(clock: Clock, log: Logger, send: Send) {
    this.#clock = clock;
    this.#log = log;
    this.#send = send;
  }

  /** Notes a put that Redis acknowledged. A removed record is forgotten with version 0. */
  acknowledged(shard: number, name: string, version: number): void {
    this.#puts[this.#next] = { shard, name, version, at: this.#clock.now() };
    this.#next = (this.#next + 1) % keptPuts;
  }

  /** What was acknowledged before the connection went is looked at however long Redis is away. */
  connectionLost(): void {
    this.#lostAt ??= this.#clock.now();
  }

  /** @param onEmptied called when shards came back without their records. */
  async check(onEmptied: () => void): Promise<void> {
    const empty = (await Promise.all(allShards.map((shard) => this.#hasNewLife(shard)))).filter(
      Boolean,
    ).length;
    if (empty > 0) {
      this.#log.error({ shards: empty, of: allShards.length }, 'Redis came back empty: its records are lost');
      onEmptied();
    }
    const lost = (await Promise.all(this.#newest().map((put) => this.#isLost(put)))).filter(Boolean).length;
    if (lost > 0) this.#log.error({ records: lost }, 'Redis has lost updates that it had acknowledged');
    this.#puts = [];
    this.#next = 0;
    this.#lostAt = undefined;
  }

  async #hasNewLife(shard: number): Promise<boolean> {
    const name = lifeName(shard);
    const mine = crypto.randomUUID();
    const found = (await this.#send(shard, name, ['SET', name, mine, 'NX', 'GET'])) as Buffer | null;
    const life = found?.toString() ?? mine;
    const known = this.#lives.get(shard);
    this.#lives.set(shard, life);
    return known !== undefined && known !== life;
  }

  /** The last put of each record. */
  #newest(): Put[] {
    const since = (this.#lostAt ?? this.#clock.now()) - keptMs;
    const inOrder = [...this.#puts.slice(this.#next), ...this.#puts.slice(0, this.#next)];
    const byName = new Map(inOrder.filter((put) => put.at >= since).map((put) => [put.name, put]));
    return [...byName.values()].filter((put) => put.version > 0);
  }

  async #isLost({ shard, name, version }: Put): Promise<boolean> {
    const head = (await this.#send(shard, name, ['GETRANGE', name, '0', '15'])) as Buffer;
    return readVersion(head) < version;
  }
}
