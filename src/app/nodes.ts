import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { Registrar } from '../registrar/registrar.js';
import type { LocalEnd } from '../sip/embedded/wire.js';
import type { Listener } from '../sip/stack.js';
import { table, type Store } from '../store/store.js';

/** A running process of this server. The key of its record is the address of its first listener. */
interface NodeRow {
  /** Named by the flows of its connections; another one after each start. */
  readonly instance: string;
  readonly end: LocalEnd;
  /** `host:port` of its UDP listeners, which its UDP flows name. */
  readonly udp: readonly string[];
  /** `host:port` of all its listeners. */
  readonly all: readonly string[];
}

const nodes = table<NodeRow>('nodes');

/** A node says every 2 seconds that it lives, and counts as dead after 6 without. */
const BEAT_MS = 2_000;
const LIFE_MS = 6_000;
const DEAD_AT_ONCE = 100;

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

/**
 * The nodes that share one store. Each knows which node a flow lives on, so that a request for a device travels through
 * the node that holds its connection, as through an edge proxy (RFC 5626 §5.3). The flows of a node that dies are removed.
 */
export class Nodes {
  readonly instance = randomBytes(9).toString('base64url');
  readonly #parts: Parts;
  #registrar: Registrar | undefined;
  #listeners: NodeListeners | undefined;
  #own: { readonly key: string; readonly row: NodeRow } | undefined;
  /** By instance, and by UDP listener. */
  #ends = new Map<string, LocalEnd>();
  /** `host:port` of the listeners of the others. */
  #addresses = new Set<string>();
  #instances = new Set<string>();
  #timer: Timer | undefined;
  #closed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The other node that a flow lives on; undefined when it is ours, dead or unknown. */
  readonly nodeOfFlow = (flow: string): LocalEnd | undefined => {
    const at = flow.split('|', 2)[1];
    return at === undefined || at === this.instance ? undefined : this.#ends.get(at);
  };

  /** Where another node that lives is reached; undefined for this one. */
  readonly endOf = (instance: string): LocalEnd | undefined => this.#ends.get(instance);

  /** Whether another node listens there. */
  readonly isNode = ({ address, port }: { readonly address: string; readonly port: number }): boolean =>
    this.#addresses.has(`${bracketed(address)}:${port}`);

  /**
   * Joins with the stack's listeners; the flows of this node's life before are removed.
   * @param heard told of the other nodes.
   */
  async start(listeners: readonly Listener[], registrar: Registrar, heard: NodeListeners): Promise<void> {
    const [first] = listeners;
    if (!first) return;
    this.#registrar = registrar;
    this.#listeners = heard;
    const end = { protocol: first.protocol, host: bracketed(first.address), port: first.port };
    const placeOf = (one: Listener): string => `${bracketed(one.address)}:${one.port}`;
    const udp = listeners.filter((one) => one.protocol === 'udp').map(placeOf);
    const row = { instance: this.instance, end, udp, all: listeners.map(placeOf) };
    this.#own = { key: `${end.host}:${end.port}`, row };
    const earlier = await this.#beat();
    if (earlier !== undefined && earlier !== this.instance) await this.#bury(earlier);
    await this.#look();
    this.#schedule();
  }

  /** Leaves; the connections of this node are closed by then. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
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
    await this.#parts.store.update(nodes, key, (current) =>
      current?.instance === this.instance
        ? { kind: 'remove', result: undefined }
        : { kind: 'keep', result: undefined },
    );
    await this.#bury(this.instance);
  }

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
    await this.#beat();
    const { store, clock, log } = this.#parts;
    let died = false;
    for (const key of await store.due(nodes, clock.now(), DEAD_AT_ONCE)) {
      // only one of the survivors removes the record, and buries the node
      const dead = await store.update(nodes, key, (current) =>
        current ? { kind: 'remove', result: current.instance } : { kind: 'keep', result: undefined },
      );
      if (dead === undefined) continue;
      log.warn({ node: key }, 'a node is gone; bindings over its connections are removed');
      await this.#bury(dead);
      died = true;
    }
    const before = this.#instances;
    await this.#look();
    if (died) this.#listeners?.onDeath();
    if ([...before].some((instance) => !this.#instances.has(instance))) this.#listeners?.onGone();
  }

  /** @returns the instance that the record named before. */
  #beat(): Promise<string | undefined> {
    const { key, row } = this.#own!;
    const deadline = this.#parts.clock.now() + LIFE_MS;
    return this.#parts.store.update(nodes, key, (current) => ({
      kind: 'put',
      value: row,
      deadline,
      result: current?.instance,
    }));
  }

  async #look(): Promise<void> {
    const ends = new Map<string, LocalEnd>();
    const addresses = new Set<string>();
    const instances = new Set<string>();
    for await (const { key, value } of this.#parts.store.scan(nodes)) {
      if (key === this.#own!.key) continue;
      ends.set(value.instance, value.end);
      instances.add(value.instance);
      for (const listener of value.udp) ends.set(listener, value.end);
      for (const listener of value.all) addresses.add(listener);
    }
    this.#ends = ends;
    this.#addresses = addresses;
    this.#instances = instances;
  }

  /** Its connections are gone, and what only they could reach; its UDP flows stay for its next life. */
  async #bury(instance: string): Promise<void> {
    const registrar = this.#registrar!;
    for await (const { set, registration } of registrar.list())
      if (registration.bindings.some((binding) => livedOn(binding.flow, instance)))
        await registrar.deregister(
          set,
          'expired',
          (binding) => binding.flowOnly && livedOn(binding.flow, instance),
        );
  }
}

const livedOn = (flow: string | undefined, instance: string): boolean => flow?.split('|', 2)[1] === instance;
const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);
