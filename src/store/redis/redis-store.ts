import type { Clock, Timer } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import { storeError } from '../errors.js';
import { asDeadline, checkKey, checkRecordSize, checkTableName } from '../keys.js';
import type { StoreContext } from '../open.js';
import type { Change, RecordForm, ScanRange, Store, StoredRecord, Table } from '../store.js';
import { ClusterLink } from './cluster-link.js';
import { Events } from './events.js';
import { Health } from './health.js';
import { KnownRecords } from './known-records.js';
import { allShards, beatName, channelName, recordName, shardCount, shardOf } from './layout.js';
import type { Argument, LinkListener, RedisLink } from './link.js';
import { LossWatch } from './loss-watch.js';
import { noRecord, readRecord, Stamps, type Known } from './record.js';
import { Reads } from './reads.js';
import { scanShards } from './scan.js';
import { publishScript, runScript } from './scripts.js';
import { SentinelLink, type SentinelPlace } from './sentinel-link.js';
import { SingleLink } from './single-link.js';
import { Together } from './together.js';
import { Turns } from './turns.js';
import { Writes, type Answer, type Place } from './writes.js';

const knownRecords = 10_000;
/** Larger ones are not remembered. */
const knownOctets = 65_536;
const beatEveryMs = 1000;
/** Shards of which the health is looked at with each beat, besides those in trouble. */
const shardsPerBeat = 8;
/** An update that is overtaken so often by others gives up. */
const mostTries = 200;
const eventsPerScript = 64;
/** After a connection to a node of a cluster was made: what was missed meanwhile is asked for then. */
const clusterGapMs = 1000;

function openLink(
  place: readonly string[] | SentinelPlace,
  listener: LinkListener,
  context: StoreContext,
): Promise<RedisLink> {
  if ('sentinels' in place) return SentinelLink.open(place, listener, context);
  return place.length === 1
    ? SingleLink.open(place[0]!, listener, context.clock)
    : ClusterLink.open(place, listener, context.clock);
}

interface RecordPlace<T> extends Place {
  readonly form: RecordForm<T> | undefined;
}

interface Told {
  /** Of the channel in Redis. */
  readonly name: string;
  readonly message: string;
}

/**
 * The Redis backend, on one Redis or a cluster. An update runs its function on the record as this node last knew it
 * and has a script put the result if the record still is that one; else the script gives the record as it is, and
 * the function runs again.
 */
export class RedisStore implements Store {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #health: Health;
  readonly #losses: LossWatch;
  readonly #events: Events;
  readonly #stamps = new Stamps();
  readonly #known = new KnownRecords(knownRecords);
  readonly #turns = new Turns();
  #link: RedisLink | undefined;
  #writes: Writes | undefined;
  #reads: Reads | undefined;
  #told: Together<Told, void> | undefined;
  #beat: Timer | undefined;
  #nextBeat = 0;
  readonly #emptied = new Set<{ readonly listener: () => void }>();
  #gap: Timer | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Resolves when Redis was found or could not be; then `trouble()` says why, and it is looked for again and again.
   * @param place one Redis, or several nodes of one cluster, or the master that sentinels know.
   */
  static async open(place: readonly string[] | SentinelPlace, context: StoreContext): Promise<RedisStore> {
    const store = new RedisStore(context);
    const listener: LinkListener = {
      onUp: () => {
        store.#connectionMade();
        store.#eventsMissed();
      },
      onDown: (reason) => {
        store.#health.connectionLost(reason);
        store.#losses.connectionLost();
      },
    };
    store.#link = await openLink(place, listener, context);
    store.#writes = new Writes(store.#link, store.#health, store.#stamps.node);
    store.#reads = new Reads(store.#link, store.#health);
    store.#told = new Together(
      store.#link.isCluster,
      // each channel is a slot of its own
      { most: store.#link.isCluster ? 1 : eventsPerScript },
      (shard, told) => store.#tell(shard, told),
    );
    store.#connectionMade();
    store.#scheduleBeat();
    return store;
  }

  private constructor({ clock, log }: StoreContext) {
    this.#clock = clock;
    this.#log = log;
    this.#health = new Health(clock, log);
    this.#events = new Events(log);
    this.#losses = new LossWatch(clock, log, this.#stamps.node, this.#send);
  }

  async get<T>(table: Table<T>, key: string): Promise<T | undefined> {
    return (await this.#read(this.#place(table, key))).value as T | undefined;
  }

  read<T>(table: Table<T>, key: string): Promise<T | undefined> {
    return this.get(table, key);
  }

  async update<T, R>(table: Table<T>, key: string, fn: (current: T | undefined) => Change<T, R>): Promise<R> {
    const place = this.#place(table, key);
    return this.#turns.take(place.name, () => this.#update(place, fn));
  }

  scan<T>(table: Table<T>, range: ScanRange = {}): AsyncIterable<StoredRecord<T>> {
    this.#checkOpen();
    checkTableName(table.name);
    return scanShards(this.#reads!, table, range);
  }

  async due<T>(table: Table<T>, time: number, limit: number): Promise<string[]> {
    this.#checkOpen();
    checkTableName(table.name);
    return this.#reads!.due(table.name, time, limit);
  }

  async publish(channel: string, payload: string): Promise<void> {
    this.#checkOpen();
    const message = this.#events.publish(channel, payload);
    await this.#told!.ask(shardOf(channel), { name: channelName(channel), message });
  }

  subscribe(channel: string, listener: (payload: string) => void, missed?: () => void): () => void {
    this.#checkOpen();
    return this.#events.subscribe(this.#link!, channel, listener, missed);
  }

  onEmptied(listener: () => void): () => void {
    const entry = { listener };
    this.#emptied.add(entry);
    return () => this.#emptied.delete(entry);
  }

  trouble(): string | undefined {
    return this.#health.trouble;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#beat?.cancel();
    this.#gap?.cancel();
    await this.#turns.quiet();
    this.#link!.close();
  }

  async #update<T, R>(place: RecordPlace<T>, fn: (current: T | undefined) => Change<T, R>): Promise<R> {
    const remembered = this.#known.get(place.name);
    let known = remembered ?? (await this.#read(place));
    // what is remembered may be out of date: an answer that changes nothing cannot rest on it
    let isFresh = remembered === undefined;
    for (let tries = 0; tries < mostTries; tries++) {
      let change: Change<T, R> | undefined;
      let thrown: unknown;
      try {
        change = fn(known.value as T | undefined);
      } catch (error) {
        thrown = error;
      }
      if (!change || change.kind === 'keep' || (change.kind === 'remove' && known === noRecord)) {
        const now: Known = isFresh ? known : await this.#read(place);
        if (now.token.equals(known.token)) {
          if (!change) throw thrown;
          return change.result;
        }
        known = now;
        isFresh = true;
        continue;
      }
      const found = await this.#write(place, known, change);
      if (!found) return change.result;
      known = found;
      isFresh = true;
    }
    throw storeError('store-unavailable', `${place.key} is changed by too many others`);
  }

  /** @returns undefined when the change is made, else the record as it is. */
  async #write<T, R>(place: RecordPlace<T>, before: Known, change: Change<T, R>): Promise<Known | undefined> {
    const { key, name, shard, form } = place;
    let after = noRecord;
    let size = 0;
    let answer: Promise<Answer>;
    if (change.kind === 'put') {
      const { octets, known } = this.#stamps.stamp(before.version + 1, change.value, form);
      checkRecordSize(octets.length, key);
      after = known;
      size = octets.length;
      answer = this.#writes!.put(place, before.token, octets, asDeadline(change.deadline));
    } else {
      answer = this.#writes!.remove(place, before.token);
    }
    // until it is known how this ends, nothing is known of the record
    this.#known.delete(name);
    const found = await answer;
    if (typeof found !== 'number') {
      const now = readRecord(found, form);
      this.#remember(name, now, found?.length ?? 0);
      return now;
    }
    this.#remember(name, after, size);
    if (after === noRecord) this.#losses.removed(shard, name, found);
    else this.#losses.put(shard, name, after.version);
    return undefined;
  }

  async #read<T>({ shard, name, form }: RecordPlace<T>): Promise<Known> {
    const octets = await this.#reads!.record(shard, name);
    const known = readRecord(octets, form);
    this.#remember(name, known, octets?.length ?? 0);
    return known;
  }

  #remember(name: string, known: Known, octets: number): void {
    if (octets > knownOctets) this.#known.delete(name);
    else this.#known.set(name, known);
  }

  async #tell(shard: number, told: readonly Told[]): Promise<void[]> {
    const names = told.map(({ name }) => name);
    const messages = told.map(({ message }) => message);
    await this.#health.answer(shard, () => runScript(this.#link!, publishScript, names, messages));
    return told.map(() => undefined);
  }

  readonly #send = (shard: number, name: string, command: readonly Argument[]): Promise<unknown> =>
    this.#health.answer(shard, () => this.#link!.send(name, command));

  #place<T>({ name: table, form }: Table<T>, key: string): RecordPlace<T> {
    this.#checkOpen();
    checkTableName(table);
    checkKey(key);
    const shard = shardOf(key);
    return { shard, table, key, name: recordName(shard, table, key), form };
  }

  #checkOpen(): void {
    if (this.#closed) throw storeError('store-unavailable', 'it is closed');
  }

  #connectionMade(): void {
    if (!this.#link?.isUp || this.#closed) return;
    this.#health.connectionMade();
    this.#events.restore(this.#link);
    const tell = (): void => {
      for (const { listener } of [...this.#emptied]) listener();
    };
    this.#losses.check(tell).catch((error: unknown) => {
      this.#log.warn({ err: error }, 'what Redis lost could not be found out yet');
    });
  }

  /** In a cluster the connections come back one by one, those of subscriptions by themselves. */
  #eventsMissed(): void {
    this.#gap?.cancel();
    this.#gap = undefined;
    if (!this.#link?.isCluster) this.#events.missed();
    else if (!this.#closed) this.#gap = this.#clock.after(clusterGapMs, () => this.#events.missed());
  }

  #scheduleBeat(): void {
    this.#beat = this.#clock.after(beatEveryMs, () => {
      const shards = new Set(allShards.filter((shard) => this.#health.isTroubled(shard)));
      for (let i = 0; i < shardsPerBeat; i++) shards.add(this.#nextBeat++ % shardCount);
      for (const shard of shards) void this.#tryToWrite(shard);
      if (!this.#closed) this.#scheduleBeat();
    });
  }

  /** Finds out that writing works again, when nobody updates anything. */
  async #tryToWrite(shard: number): Promise<void> {
    try {
      await this.#send(shard, beatName(shard), ['SET', beatName(shard), '', 'PX', '60000']);
      this.#health.worked(shard);
    } catch (error) {
      // `Health` has noted it
      this.#log.debug({ err: error, shard }, 'Redis does not take a beat');
    }
  }
}
