import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../base/clock.js';
import { bracketed, endpoint } from '../base/endpoint.js';
import type { Logger } from '../base/log.js';
import type { ConnectionFlows } from '../registrar/connection-flows.js';
import type { LocalEnd } from '../sip/embedded/wire.js';
import type { Listener } from '../sip/stack.js';
import { table, type Store } from '../store/store.js';
import { Burials, type Burial } from './burials.js';

/** A running process of this server. The key of its record is the address of its first listener, or its instance where it has none. */
interface NodeRow {
  /** Named by the flows of its connections; another one after each start. */
  readonly instance: string;
  /** Undefined where drachtio-server has the listeners: no one of the processes behind it can be chosen. */
  readonly end?: LocalEnd | undefined;
  /** `host:port` of its UDP listeners, which its UDP flows name. */
  readonly udp: readonly string[];
  /** `host:port` of all its listeners. */
  readonly all: readonly string[];
  /** Another number with each sign of life. */
  readonly beats: number;
}

const nodes = table<NodeRow>('nodes');

/** A node says every 2 seconds that it lives, and counts as dead when another has looked for 6 seconds without a sign. */
const BEAT_MS = 2_000;
const LIFE_MS = 6_000;
/** Channel on which a node says that it has joined: until the others look, it would be dead for them. */
const JOINED = 'nodes-joined';
/** When a node that was taken for dead looks for the bindings that it has lost by it. */
const LOOK_FOR_LOST_MS = [0, 10_000, 60_000];

/** What is heard of the other nodes. */
export interface NodeListeners {
  /** A node died; only one of the survivors is told. */
  onDeath(): void;
  /** A node that was known is there no more: it died, stopped, or began a new life. */
  onGone(): void;
}

interface Parts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a node needs of itself. */
export interface NodeSelf {
  /** Its own: where others reach it and no other node. */
  readonly listeners: readonly Listener[];
  /** What is bound to its connections; undefined where devices do not register. */
  readonly connections: Pick<ConnectionFlows, 'nodeGone' | 'lost'> | undefined;
  /** Ends a connection. */
  closeFlow(flow: string): void;
}

interface Seen {
  readonly beats: number;
  readonly instance: string;
  /** Since when it has given no other sign of life. */
  readonly since: number;
}

/**
 * The nodes that share one store. Each knows which node a flow lives on, so that a request for a device travels through
 * the node that holds its connection, as through an edge proxy (RFC 5626 §5.3). The flows of a node that dies are removed.
 */
export class Nodes {
  readonly instance = randomBytes(9).toString('base64url');
  readonly #parts: Parts;
  #self: NodeSelf | undefined;
  #listeners: NodeListeners | undefined;
  #own: { readonly key: string; readonly row: Omit<NodeRow, 'beats'> } | undefined;
  #beats = 0;
  /** When this node has last said that it lives, and looked at the others. */
  #turnedAt = -Infinity;
  /** The others, by the key of the record. */
  readonly #seen = new Map<string, Seen>();
  /** By instance, and by UDP listener. */
  #ends = new Map<string, LocalEnd>();
  /** `host:port` of the listeners of the others. */
  #addresses = new Set<string>();
  #instances = new Set<string>();
  /** Those that were known at some time since the last turn. */
  readonly #wereThere = new Set<string>();
  readonly #burials: Burials;
  #timer: Timer | undefined;
  #unsubscribe: (() => void) | undefined;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#burials = new Burials(parts.store, this.instance);
  }

  /** The other node that a flow lives on; undefined when it is ours, dead or unknown. */
  readonly nodeOfFlow = (flow: string): LocalEnd | undefined => {
    const at = flow.split('|', 2)[1];
    return at === undefined || at === this.instance ? undefined : this.#ends.get(at);
  };

  /** Where another node that lives is reached; undefined for this one, and where nodes are reached through drachtio-server. */
  readonly endOf = (instance: string): LocalEnd | undefined => this.#ends.get(instance);

  /** How many nodes live, this one included. */
  get count(): number {
    return this.#instances.size + 1;
  }

  /** Whether another node lives. */
  readonly isAlive = (instance: string): boolean => this.#instances.has(instance);

  /** Whether another node listens there. */
  readonly isNode = ({ address, port }: { readonly address: string; readonly port: number }): boolean =>
    this.#addresses.has(endpoint(address, port));

  /** Learns of the others before the first request comes: a group of one that lives is not taken from it. */
  async learn(): Promise<void> {
    await this.#look();
  }

  /**
   * Joins with the stack's listeners; the flows of this node's life before are removed.
   * @param heard told of the other nodes.
   */
  async start(self: NodeSelf, heard: NodeListeners): Promise<void> {
    const { listeners } = self;
    const [first] = listeners;
    this.#self = self;
    this.#listeners = heard;
    const end = first && { protocol: first.protocol, host: bracketed(first.address), port: first.port };
    const placeOf = (one: Listener): string => endpoint(one.address, one.port);
    const udp = listeners.filter((one) => one.protocol === 'udp').map(placeOf);
    const row = { instance: this.instance, end, udp, all: listeners.map(placeOf) };
    this.#own = { key: first ? placeOf(first) : this.instance, row };
    this.#unsubscribe = this.#parts.store.subscribe(JOINED, this.#someJoined, this.#someJoined);
    const { store } = this.#parts;
    const { key } = this.#own;
    const earlier = (await store.get(nodes, key))?.instance;
    // before its record is written over, which is all that tells of it
    if (earlier !== undefined) await this.#burials.begin({ instance: earlier, key });
    await this.#beat();
    await store.publish(JOINED, this.instance);
    if (earlier !== undefined) await this.#bury({ instance: earlier, key });
    await this.#look();
    this.#turnedAt = this.#parts.clock.now();
    this.#schedule();
  }

  /** Leaves; the connections of this node are closed by then. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#unsubscribe?.();
    const own = this.#own;
    if (!own) return;
    try {
      await this.#leave(own.key);
    } catch (error) {
      this.#parts.log.error(
        { err: error },
        'this node could not say that it leaves; the others will find out',
      );
    }
  }

  async #leave(key: string): Promise<void> {
    const self = { instance: this.instance, key };
    await this.#burials.begin(self);
    await this.#parts.store.update(nodes, key, (current) =>
      current?.instance === this.instance
        ? { kind: 'remove', result: undefined }
        : { kind: 'keep', result: undefined },
    );
    await this.#bury(self);
  }

  readonly #someJoined = (): void => {
    if (!this.#closed)
      this.#look().catch((error: unknown) =>
        this.#parts.log.warn({ err: error }, 'a node that has joined is known a little later'),
      );
  };

  #schedule(): void {
    const { clock, log } = this.#parts;
    this.#timer = clock.after(BEAT_MS, () => {
      void this.#turn()
        .catch((error: unknown) => log.error({ err: error }, 'this node could not say that it lives'))
        .finally(() => {
          if (!this.#closed) this.#schedule();
        });
    });
  }

  async #turn(): Promise<void> {
    const { clock, log } = this.#parts;
    const begun = clock.now();
    const before = await this.#beat();
    // who was away itself, or had no store, has missed the signs of life of the others
    if (begun - this.#turnedAt > LIFE_MS) this.#seen.clear();
    const silent = await this.#look();
    this.#turnedAt = clock.now();
    if (before === undefined) {
      log.warn({}, 'this node was taken for dead, or Redis has lost its record');
      // who buries it may still be at it
      for (const ms of LOOK_FOR_LOST_MS) clock.after(ms, () => this.#closeLost());
    }
    let died = false;
    for (const [key, seen] of silent) died = (await this.#declareDead(key, seen)) || died;
    if (died) this.#listeners?.onDeath();
    const isOneGone = [...this.#wereThere].some((instance) => !this.#instances.has(instance));
    this.#wereThere.clear();
    if (isOneGone) this.#listeners?.onGone();
    for await (const burial of this.#burials.open(this.isAlive)) await this.#bury(burial);
  }

  /** @returns whether it was this node that found it out: only one of the survivors removes the record, and is to bury the node. */
  async #declareDead(key: string, { instance, beats }: Seen): Promise<boolean> {
    const { store, log } = this.#parts;
    this.#seen.delete(key);
    if (!(await this.#burials.begin({ instance, key }))) return false;
    const isMine = await store.update(nodes, key, (current) =>
      current?.instance === instance && current.beats === beats
        ? { kind: 'remove', result: true }
        : { kind: 'keep', result: false },
    );
    if (isMine) log.warn({ node: key }, 'a node is gone; bindings over its connections are removed');
    else await this.#burials.end({ instance, key });
    return isMine;
  }

  /** Devices whose bindings were removed while their connections stayed learn of it by their end (RFC 5626 §4.4), and register again. */
  #closeLost(): void {
    const { log } = this.#parts;
    const close = async (): Promise<void> => {
      let connections = 0;
      for await (const flow of this.#self?.connections?.lost() ?? []) {
        this.#self!.closeFlow(flow);
        connections++;
      }
      if (connections > 0) log.warn({ connections }, 'connections whose bindings are lost are closed');
    };
    if (!this.#closed)
      close().catch((error: unknown) =>
        log.error({ err: error }, 'connections whose bindings may be lost stay'),
      );
  }

  /** @returns the instance that the record named before. */
  #beat(): Promise<string | undefined> {
    const { key, row } = this.#own!;
    const value = { ...row, beats: this.#beats++ };
    return this.#parts.store.update(nodes, key, (current) => ({
      kind: 'put',
      value,
      result: current?.instance,
    }));
  }

  /** Learns of the others. @returns those that have given no sign of life for too long. */
  async #look(): Promise<ReadonlyMap<string, Seen>> {
    const now = this.#parts.clock.now();
    const ends = new Map<string, LocalEnd>();
    const addresses = new Set<string>();
    const instances = new Set<string>();
    const silent = new Map<string, Seen>();
    const found = new Set<string>();
    for await (const { key, value } of this.#parts.store.scan(nodes)) {
      if (key === this.#own?.key) continue;
      found.add(key);
      const { instance, beats } = value;
      let seen = this.#seen.get(key);
      if (seen?.instance !== instance || seen.beats !== beats)
        this.#seen.set(key, (seen = { instance, beats, since: now }));
      if (now - seen.since >= LIFE_MS) {
        silent.set(key, seen);
        continue;
      }
      instances.add(instance);
      if (value.end) for (const name of [instance, ...value.udp]) ends.set(name, value.end);
      for (const listener of value.all) addresses.add(listener);
    }
    for (const key of this.#seen.keys()) if (!found.has(key)) this.#seen.delete(key);
    this.#ends = ends;
    this.#addresses = addresses;
    for (const instance of this.#instances) this.#wereThere.add(instance);
    this.#instances = instances;
    return silent;
  }

  /**
   * Its connections are gone, and what only they could reach; its UDP flows stay for its next life.
   * A record that is there again ends the burial.
   */
  async #bury(burial: Burial): Promise<void> {
    const { instance, key } = burial;
    await this.#self?.connections?.nodeGone(
      instance,
      async () => (await this.#parts.store.get(nodes, key))?.instance === instance,
    );
    await this.#burials.end(burial);
  }
}
