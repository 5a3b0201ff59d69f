import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import { allShards, lifeName, removedName } from './layout.js';
import type { Argument } from './link.js';
import { readVersion } from './record.js';

type Send = (shard: number, name: string, command: readonly Argument[]) => Promise<unknown>;

/** What Redis acknowledged. */
interface Write {
  readonly shard: number;
  /** Of the record. */
  readonly name: string;
  /** 0 of a record that was removed. */
  readonly version: number;
  /** How many records of the shard this node had removed with it; 0 of a put. */
  readonly removed: number;
  readonly at: number;
}

const keptMs = 10_000;
const keptWrites = 1000;
/** So long Redis keeps how many records a node has removed, after the last one. */
export const removedKeptMs = 86_400_000;

/**
 * Finds out, whenever a connection is new, what Redis has lost since the last one, and says it in the log: all, when
 * a shard has a new life; or the newest of what it had acknowledged, as when a replica took over that did not have it.
 * A put is lost when its record is older; a removal, of which no record tells, when Redis has counted fewer removals of this node.
 */
export class LossWatch {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #node: string;
  readonly #send: Send;
  /** By shard. */
  #lives: readonly string[] = [];
  #writes: Write[] = [];
  #next = 0;
  #lostAt: number | undefined;

  /** @param node what this one is called among those that write. */
  constructor(clock: Clock, log: Logger, node: string, send: Send) {
    this.#clock = clock;
    this.#log = log;
    this.#node = node;
    this.#send = send;
  }

  /** Notes a put that Redis acknowledged. */
  put(shard: number, name: string, version: number): void {
    this.#note(shard, name, version, 0);
  }

  /** Notes a removal that Redis acknowledged. @param count of this node's removals in the shard, with it. */
  removed(shard: number, name: string, count: number): void {
    this.#note(shard, name, 0, count);
  }

  /** What was acknowledged before the connection went is looked at however long Redis is away. */
  connectionLost(): void {
    this.#lostAt ??= this.#clock.now();
  }

  /**
   * Asks in this turn of the event loop, so that Redis answers before it writes anything more.
   * @param onEmptied called when shards came back without their records.
   */
  async check(onEmptied: () => void): Promise<void> {
    const [lives, found] = await Promise.all([
      Promise.all(allShards.map((shard) => this.#lifeOf(shard))),
      Promise.all(this.#recent().map((write) => this.#isLost(write))),
    ]);
    const empty = allShards.filter((shard) => (this.#lives[shard] ?? lives[shard]) !== lives[shard]).length;
    this.#lives = lives;
    if (empty > 0) {
      this.#log.error({ shards: empty, of: allShards.length }, 'Redis came back empty: its records are lost');
      onEmptied();
    }
    const lost = found.filter(Boolean).length;
    if (lost > 0) this.#log.error({ records: lost }, 'Redis has lost updates that it had acknowledged');
    this.#writes = [];
    this.#next = 0;
    this.#lostAt = undefined;
  }

  #note(shard: number, name: string, version: number, removed: number): void {
    this.#writes[this.#next] = { shard, name, version, removed, at: this.#clock.now() };
    this.#next = (this.#next + 1) % keptWrites;
  }

  async #lifeOf(shard: number): Promise<string> {
    const name = lifeName(shard);
    const mine = crypto.randomUUID();
    const found = (await this.#send(shard, name, ['SET', name, mine, 'NX', 'GET'])) as Buffer | null;
    return found?.toString() ?? mine;
  }

  /** All removals, and the last put of each record that is there. */
  #recent(): Write[] {
    const now = this.#clock.now();
    const since = (this.#lostAt ?? now) - keptMs;
    // so long after them Redis itself may have forgotten how many there were
    const tooOld = now - removedKeptMs;
    const inOrder = [...this.#writes.slice(this.#next), ...this.#writes.slice(0, this.#next)];
    const recent = inOrder.filter(({ at }) => at >= since);
    const last = new Map(recent.map((write) => [write.name, write]));
    return recent.filter((write) => (write.removed > 0 ? write.at > tooOld : last.get(write.name) === write));
  }

  async #isLost({ shard, name, version, removed }: Write): Promise<boolean> {
    if (removed > 0) {
      const counted = removedName(shard, this.#node);
      return Number(await this.#send(shard, counted, ['GET', counted])) < removed;
    }
    const head = (await this.#send(shard, name, ['GETRANGE', name, '0', '15'])) as Buffer;
    return readVersion(head) < version;
  }
}
