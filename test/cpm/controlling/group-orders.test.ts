import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { groupError } from '../../../src/cpm/controlling/errors.js';
import { GroupOrders, type GroupOrder } from '../../../src/cpm/controlling/group-orders.js';
import { MemoryStore } from '../../tools/memory-store.js';

const CLOSE: GroupOrder = { what: 'close', id: 'gs-1' };

/** Node `a`, which asks, and node `b`, which does what `carryOut` says, or is not there. */
function nodes(carryOut?: (order: GroupOrder) => Promise<void>) {
  const store = new MemoryStore();
  const clock = new VirtualClock();
  const node = (holder: string): GroupOrders => new GroupOrders({ store, clock, log: silentLogger, holder });
  const a = node('a');
  a.start(() => Promise.reject(new Error('not for this node')));
  const b = node('b');
  if (carryOut) b.start(carryOut);
  return { clock, a, b };
}

describe('an order for a group that another node runs', () => {
  it('is done there before it is answered', async () => {
    const done: GroupOrder[] = [];
    const { clock, a } = nodes((order) => Promise.resolve(void done.push(order)));
    const add: GroupOrder = { what: 'add', id: 'gs-1', whom: 'sip:bob@ims.test' };
    await Promise.all([a.ask('b', CLOSE), a.ask('b', add)]);
    expect(done).toEqual([CLOSE, add]);
    expect(clock.pending).toBe(0);
  });

  it('is refused as that node refuses it', async () => {
    const { a } = nodes(() => Promise.reject(groupError('group-member-unknown', 'sip:bob@ims.test')));
    await expect(a.ask('b', CLOSE)).rejects.toMatchObject({
      code: 'group-member-unknown',
      http: 404,
      message: 'no such participant: sip:bob@ims.test',
    });
  });

  it('fails without a word of why where that node fails by a mistake of its own', async () => {
    const { a } = nodes(() => Promise.reject(new TypeError('x is undefined')));
    await expect(a.ask('b', CLOSE)).rejects.toMatchObject({
      code: 'group-node-failed',
      message: 'the node that runs the group could not do it',
    });
  });

  it('fails after 5 seconds where that node is silent', async () => {
    const { clock, a } = nodes();
    const asked = expect(a.ask('b', CLOSE)).rejects.toMatchObject({ code: 'group-node-silent', http: 504 });
    await clock.advanceAsync(5_000, 500);
    await asked;
    expect(clock.pending).toBe(0);
  });

  it('reaches no node that has stopped listening', async () => {
    const done: GroupOrder[] = [];
    const { clock, a, b } = nodes((order) => Promise.resolve(void done.push(order)));
    b.close();
    const asked = expect(a.ask('b', CLOSE)).rejects.toMatchObject({ code: 'group-node-silent' });
    await clock.advanceAsync(5_000, 500);
    await asked;
    expect(done).toEqual([]);
  });
});
