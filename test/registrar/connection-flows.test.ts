import { beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/base/log.js';
import { Announcements } from '../../src/registrar/announcements.js';
import { ConnectionFlows } from '../../src/registrar/connection-flows.js';
import { registrations, type Binding } from '../../src/registrar/registration.js';
import { table } from '../../src/store/store.js';
import { MemoryStore } from '../tools/memory-store.js';

const rows = table('connection-sets');
const isBack = (): Promise<boolean> => Promise.resolve(false);

let store: MemoryStore;
beforeEach(() => {
  store = new MemoryStore();
});

/** The connections of one node. Bindings that lose theirs are noted, by set. */
function node(name: string | undefined): { flows: ConnectionFlows; lost: string[] } {
  const lost: string[] = [];
  const flows = new ConnectionFlows({
    store,
    node: name,
    removeLost: async (set, chosen) => {
      const bindings = (await store.get(registrations, set))?.bindings ?? [];
      lost.push(...bindings.filter(chosen).map(({ id }) => `${set} ${id}`));
    },
  });
  return { flows, lost };
}

const bind = (set: string, ...bindings: Pick<Binding, 'id' | 'flow' | 'flowOnly'>[]): Promise<void> =>
  store.update(registrations, set, () => ({
    kind: 'put',
    value: { bindings: bindings as Binding[], instances: [] },
    result: undefined,
  }));

async function kept(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.scan(rows)) keys.push(key);
  return keys;
}

describe('connections of a node', () => {
  it('are told to the others before the first REGISTER over them is answered, and once', async () => {
    const { flows } = node('a');
    const first = flows.add('tcp|a|1', 'alice');
    // a second one at the same time waits for the same
    expect(flows.add('tcp|a|2', 'alice')).toBe(first);
    await first;
    expect(await kept()).toEqual(['a alice']);
    expect(flows.add('tcp|a|1', 'alice')).toBeUndefined();
    expect(flows.add('tcp|a|3', 'alice')).toBeUndefined();
  });

  it('are told again with the next REGISTER when that could not be stored', async () => {
    const { flows } = node('a');
    store.failure = new Error('away');
    await expect(flows.add('tcp|a|1', 'alice')).rejects.toThrow('away');
    store.failure = undefined;
    await flows.add('tcp|a|1', 'alice');
    expect(await kept()).toEqual(['a alice']);
  });

  it('are of no interest to others when there are none', () => {
    expect(node(undefined).flows.add('tcp|a|1', 'alice')).toBeUndefined();
    expect(store.commits).toBe(0);
  });

  it('take with them what only they could reach, and their row when none of the set is left', async () => {
    const { flows, lost } = node('a');
    await bind(
      'alice',
      { id: 'first', flow: 'tcp|a|1', flowOnly: true },
      { id: 'other', flow: 'tcp|a|2', flowOnly: true },
      { id: 'anywhere', flow: 'tcp|a|1', flowOnly: false },
    );
    await flows.add('tcp|a|1', 'alice');
    await flows.add('tcp|a|2', 'alice');
    await flows.closed('tcp|a|1');
    expect([lost, await kept()]).toEqual([['alice first'], ['a alice']]);
    await flows.closed('tcp|a|2');
    expect([lost, await kept()]).toEqual([['alice first', 'alice other'], []]);
    await flows.closed('tcp|a|2');
    expect(lost).toHaveLength(2);
  });

  it('leave the row of a set that has another one by the time its bindings are gone', async () => {
    const { flows } = node('a');
    await flows.add('tcp|a|1', 'alice');
    const closed = flows.closed('tcp|a|1');
    await Promise.all([flows.add('tcp|a|2', 'alice'), closed]);
    expect(await kept()).toEqual(['a alice']);
  });
});

describe('a node that is gone', () => {
  it('is buried by what its rows name, whatever else is registered', async () => {
    const gone = node('gone').flows;
    const { flows, lost } = node('here');
    for (let i = 0; i < 150; i++) {
      await bind(
        `user${i}`,
        { id: 'there', flow: `tcp|gone|${i}`, flowOnly: true },
        { id: 'here', flow: `tcp|here|${i}`, flowOnly: true },
        { id: 'natted', flow: 'udp|192.0.2.1:5060|7', flowOnly: true },
      );
      await gone.add(`tcp|gone|${i}`, `user${i}`);
      await flows.add(`tcp|here|${i}`, `user${i}`);
    }
    // a set without a row is not looked at
    await bind('nobody', { id: 'there', flow: 'tcp|gone|x', flowOnly: true });
    await flows.nodeGone('gone', isBack);
    expect(lost.toSorted()).toEqual(Array.from({ length: 150 }, (_, i) => `user${i} there`).toSorted());
    expect((await kept()).filter((key) => key.startsWith('gone'))).toEqual([]);
    expect(await kept()).toHaveLength(150);
  });

  it('and is back keeps what was not buried yet', async () => {
    const gone = node('gone').flows;
    const { flows, lost } = node('here');
    for (let i = 0; i < 150; i++) {
      await bind(`user${i}`, { id: 'there', flow: `tcp|gone|${i}`, flowOnly: true });
      await gone.add(`tcp|gone|${i}`, `user${i}`);
    }
    let asked = 0;
    await flows.nodeGone('gone', () => Promise.resolve(asked++ > 0));
    expect(lost).toHaveLength(64);
    expect(await kept()).toHaveLength(86);
  });

  it('and is back tells its connections again', async () => {
    const { flows } = node('back');
    await flows.add('tcp|back|1', 'alice');
    await node('here').flows.nodeGone('back', isBack);
    expect(await kept()).toEqual([]);
    const lost: string[] = [];
    for await (const flow of flows.lost()) lost.push(flow);
    expect(lost).toEqual(['tcp|back|1']);
    await flows.add('tcp|back|1', 'alice');
    expect(await kept()).toEqual(['back alice']);
  });
});

it('a change whose row could not be stored is told, and not answered', async () => {
  const announcements = new Announcements(silentLogger);
  const done: string[] = [];
  announcements.onChange(({ set }) => done.push(set));
  const event = { set: 'alice', changes: [], registration: { bindings: [], instances: [] } };
  const told = announcements.tell(event, () => done.push('answer'), Promise.reject(new Error('away')));
  await expect(told).rejects.toThrow('away');
  expect(done).toEqual(['alice']);
});
