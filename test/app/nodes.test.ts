import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Nodes } from '../../src/app/nodes.js';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import type { Binding } from '../../src/registrar/registration.js';
import { table } from '../../src/store/store.js';
import { MemoryStore } from '../tools/memory-store.js';

const records = table('nodes');
const burials = table('node-burials');

let store: MemoryStore;
/** Bindings of all nodes, by set. */
let registrations: Map<string, Binding[]>;
let running: Node[];
/** What the store says to burials. */
let burial: Error | undefined;
beforeEach(() => {
  burial = undefined;
  store = new MemoryStore();
  registrations = new Map();
  running = [];
});
afterEach(async () => {
  store.failure = undefined;
  for (const { nodes } of running) await nodes.close();
});

interface Node {
  readonly nodes: Nodes;
  readonly clock: VirtualClock;
  readonly closed: string[];
  readonly port: number;
  readonly deaths: number;
  /** How often it heard that a node is there no more. */
  readonly gone: number;
  /** Registers a device over a connection of this node. @returns its flow. */
  connect(set: string): string;
}

let nextPort = 5060;

/** @param startAt its clock's milliseconds since the epoch. @param hasListeners not behind drachtio-server, which has them for all. */
async function node(startAt = 0, hasListeners = true, at = nextPort++): Promise<Node> {
  const clock = new VirtualClock(startAt);
  const nodes = new Nodes({ store, clock, log: silentLogger });
  const closed: string[] = [];
  const own = new Map<string, string>();
  let deaths = 0;
  let gone = 0;
  const connections = {
    nodeGone: async (gone: string, isBack: () => Promise<boolean>) => {
      if (await isBack()) return;
      if (burial) throw burial;
      for (const [set, all] of registrations)
        registrations.set(
          set,
          all.filter(({ flow }) => flow?.split('|')[1] !== gone),
        );
    },
    async *lost() {
      for (const [flow, set] of own)
        if (!registrations.get(set)?.some((binding) => binding.flow === flow)) yield flow;
    },
  };
  const listener = { protocol: 'tcp', address: '127.0.0.1', port: at } as const;
  await nodes.start(
    { listeners: hasListeners ? [listener] : [], connections, closeFlow: (flow) => closed.push(flow) },
    { onDeath: () => deaths++, onGone: () => gone++ },
  );
  const made: Node = {
    nodes,
    clock,
    closed,
    port: at,
    get deaths() {
      return deaths;
    },
    get gone() {
      return gone;
    },
    connect(set) {
      const flow = `tcp|${nodes.instance}|${set}`;
      own.set(flow, set);
      registrations.set(set, [{ flow, flowOnly: true } as Binding]);
      return flow;
    },
  };
  running.push(made);
  return made;
}

/** Time passes for some nodes: the others stand still, or are dead. */
async function pass(ms: number, ...nodes: readonly Node[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500)
    for (const { clock } of nodes) await clock.advanceAsync(500, 500);
}

async function keys(of: typeof burials): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.scan(of)) found.push(key);
  return found;
}

const bindings = (): number => [...registrations.values()].flat().length;

describe('nodes on one store', () => {
  it('bury one that gives no sign of life within 10 seconds, and one of them alone hears of it', async () => {
    const [a, b, c] = [await node(), await node(), await node()];
    await pass(4_000, a, b, c);
    a.connect('alice');
    b.connect('bob');
    await pass(10_000, b, c);
    expect([...registrations].map(([set, { length }]) => [set, length])).toEqual([
      ['alice', 0],
      ['bob', 1],
    ]);
    expect(b.deaths + c.deaths).toBe(1);
    expect(b.nodes.endOf(a.nodes.instance)).toBeUndefined();
    expect(b.nodes.endOf(c.nodes.instance)).toBeDefined();
  });

  it('know which of them live also where none has a listener of its own', async () => {
    const [a, b, c] = [await node(0, false), await node(0, false), await node(0, false)];
    const lives = (): boolean[] => [a, c].map(({ nodes }) => b.nodes.isAlive(nodes.instance));
    await pass(4_000, a, b, c);
    expect(lives()).toEqual([true, true]);
    expect(b.nodes.endOf(a.nodes.instance)).toBeUndefined();
    await pass(10_000, b, c);
    expect(lives()).toEqual([false, true]);
    expect(b.deaths + c.deaths).toBe(1);
    await c.nodes.close();
    await pass(2_000, b);
    expect(lives()).toEqual([false, false]);
    expect(b.deaths + c.deaths).toBe(1);
  });

  it('know the others before they join them themselves', async () => {
    const a = await node();
    const nodes = new Nodes({ store, clock: new VirtualClock(0), log: silentLogger });
    await nodes.learn();
    expect(nodes.isAlive(a.nodes.instance)).toBe(true);
  });

  it('hear that one is there no more which has begun a new life, once', async () => {
    const [a, b] = [await node(), await node()];
    await pass(4_000, a, b);
    const { port: at } = b;
    await node(0, true, at);
    await expect.poll(() => a.nodes.isAlive(b.nodes.instance)).toBe(false);
    await pass(4_000, a);
    expect([a.gone, a.deaths]).toEqual([1, 0]);
  });

  it('know at once of one that joins', async () => {
    const [a, b] = [await node(), await node()];
    await expect.poll(() => a.nodes.isAlive(b.nodes.instance)).toBe(true);
    expect(a.nodes.count).toBe(2);
  });

  it('bury nobody when the store was away for longer than a life', async () => {
    const [a, b] = [await node(), await node()];
    await pass(4_000, a, b);
    a.connect('alice');
    b.connect('bob');
    store.failure = new Error('away');
    await pass(20_000, a, b);
    store.failure = undefined;
    await pass(20_000, a, b);
    expect(bindings()).toBe(2);
    expect([...a.closed, ...b.closed, a.deaths, b.deaths]).toEqual([0, 0]);
  });

  it('bury one also where the store fails meanwhile, and others hear of its death at once', async () => {
    const [a, b] = [await node(), await node()];
    await pass(4_000, a, b);
    a.connect('alice');
    burial = new Error('away');
    await pass(10_000, b);
    expect([bindings(), b.deaths]).toEqual([1, 1]);
    burial = undefined;
    await pass(2_000, b);
    expect([bindings(), b.deaths]).toEqual([0, 1]);
  });

  it('bury one also where the one that is at it dies', async () => {
    const [a, b, c] = [await node(), await node(), await node()];
    await pass(4_000, a, b, c);
    a.connect('alice');
    burial = new Error('cut off');
    await pass(8_000, b, c);
    expect([bindings(), b.deaths + c.deaths]).toEqual([1, 1]);
    const survivor = b.deaths === 0 ? b : c;
    burial = undefined;
    await pass(10_000, survivor);
    expect([bindings(), survivor.deaths]).toEqual([0, 1]);
    expect(await keys(burials)).toEqual([]);
  });

  it('bury the life before of one that dies again while it starts', async () => {
    const a = await node(0, true, 7_000);
    a.connect('alice');
    burial = new Error('cut off');
    await expect(node(0, true, 7_000)).rejects.toThrow('cut off');
    burial = undefined;
    const again = await node(0, true, 7_000);
    await pass(2_000, again);
    expect(bindings()).toBe(0);
    expect(await keys(burials)).toEqual([]);
  });

  it('bury one that dies while it stops', async () => {
    const [a, b] = [await node(), await node()];
    await pass(4_000, a, b);
    a.connect('alice');
    burial = new Error('cut off');
    await a.nodes.close();
    burial = undefined;
    await pass(2_000, b);
    expect(bindings()).toBe(0);
  });

  it('bury nobody that gives a sign just before', async () => {
    const [a, b] = [await node(), await node()];
    await pass(4_000, a, b);
    a.connect('alice');
    await pass(4_000, b);
    await pass(2_000, a);
    await pass(20_000, a, b);
    expect([bindings(), b.deaths]).toEqual([1, 0]);
    expect(await keys(burials)).toEqual([]);
  });

  it('bury nobody when their clocks are far apart', async () => {
    const [a, b] = [await node(), await node(60_000)];
    a.connect('alice');
    b.connect('bob');
    await pass(20_000, a, b);
    expect(bindings()).toBe(2);
  });

  it('who stood still itself judges nobody by it', async () => {
    const [a, b] = [await node(), await node()];
    await pass(4_000, a, b);
    b.connect('bob');
    // one turn of the event loop took a, and a alone looks again before b gives its next sign
    a.clock.advance(20_000);
    await pass(2_000, a);
    expect(bindings()).toBe(1);
  });

  it('who was taken for dead closes the connections whose bindings went, so that their devices register again', async () => {
    const [a, b] = [await node(), await node()];
    await pass(4_000, a, b);
    const flow = a.connect('alice');
    await pass(10_000, b);
    expect(bindings()).toBe(0);
    const kept = a.connect('carol');
    await pass(4_000, a, b);
    expect(a.closed).toContain(flow);
    expect(a.closed).not.toContain(kept);
    // and is one of them again
    expect(b.nodes.endOf(a.nodes.instance)).toBeDefined();
    await pass(20_000, a, b);
    expect(bindings()).toBe(1);
  });

  it('closes nothing when the store has lost the record of a node and not its bindings', async () => {
    const a = await node();
    a.connect('alice');
    for await (const { key } of store.scan(records))
      await store.update(records, key, () => ({ kind: 'remove', result: undefined }));
    await pass(4_000, a);
    expect(a.closed).toEqual([]);
  });
});
