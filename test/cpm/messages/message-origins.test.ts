import { describe, expect, it, vi } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { MessageOrigins } from '../../../src/cpm/messages/message-origins.js';
import type { Imdn } from '../../../src/msrp/imdn.js';
import { MemoryStore } from '../../tools/memory-store.js';

const ALICE = 'sip:alice@ims.test';
const BOB = 'sip:bob@ims.test';

const delivered = (messageId: string): Imdn => ({
  messageId,
  dateTime: '2026-11-26T10:00:00Z',
  kind: 'delivery',
  status: 'delivered',
});

async function known(...ids: readonly string[]): Promise<MessageOrigins> {
  const origins = new MessageOrigins(new MemoryStore(), new VirtualClock(), 3_600);
  for (const id of ids) await origins.note(ALICE, id, { instance: 'urn:uuid:a', instanceKey: 'uuid:a' });
  return origins;
}

/** Two nodes on one store, of which one may die. */
async function twoNodes(): Promise<{
  clock: VirtualClock;
  one: MessageOrigins;
  other: MessageOrigins;
  readonly dies: () => void;
}> {
  const [store, clock] = [new MemoryStore(), new VirtualClock()];
  const alive = new Set(['one', 'other']);
  const [one, other] = ['one', 'other'].map(
    (node) =>
      new MessageOrigins(store, clock, 3_600, { node, isAlive: (name) => name !== node && alive.has(name) }),
  ) as [MessageOrigins, MessageOrigins];
  await one.note(ALICE, 'm-1', { instance: 'urn:uuid:a', instanceKey: 'uuid:a' });
  return { clock, one, other, dies: () => alive.delete('one') };
}

describe('a notification that says what one under way at another node says', () => {
  it.each([
    ['takes its place when that does not arrive', false, ['m-1']],
    ['is a repetition when that arrives', true, []],
  ])('%s', async (_, arrived, taken) => {
    const { clock, one, other } = await twoNodes();
    expect(await one.take(ALICE, [delivered('m-1')], BOB)).toHaveLength(1);
    const second = other.take(ALICE, [delivered('m-1')], BOB);
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    await one.settle(ALICE, [delivered('m-1')], BOB, arrived);
    clock.advance(1_000);
    expect((await second).map(({ messageId }) => messageId)).toEqual(taken);
  });

  it('takes its place when that node has died', async () => {
    const { clock, one, other, dies } = await twoNodes();
    await one.take(ALICE, [delivered('m-1')], BOB);
    dies();
    clock.advance(10_000);
    expect(await other.take(ALICE, [delivered('m-1')], BOB)).toHaveLength(1);
  });

  it('is a repetition also when its node passes others on meanwhile', async () => {
    const { clock, one, other } = await twoNodes();
    const displayed: Imdn = { ...delivered('m-1'), kind: 'display', status: 'displayed' };
    await one.take(ALICE, [delivered('m-1')], BOB);
    await one.take(ALICE, [displayed], BOB);
    await one.settle(ALICE, [displayed], BOB, true);
    const second = other.take(ALICE, [displayed, delivered('m-1')], BOB);
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    await one.settle(ALICE, [delivered('m-1')], BOB, true);
    clock.advance(1_000);
    expect(await second).toEqual([]);
  });

  it('takes its place when nothing is heard of that for a minute', async () => {
    const { clock, one, other } = await twoNodes();
    await one.take(ALICE, [delivered('m-1')], BOB);
    clock.advance(60_000);
    expect(await other.take(ALICE, [delivered('m-1')], BOB)).toHaveLength(1);
  });
});

describe('a notification that says what one under way says', () => {
  it.each([
    ['takes its place when that does not arrive', false, ['m-1']],
    ['is a repetition when that arrives', true, []],
  ])('%s', async (_, arrived, taken) => {
    const origins = await known('m-1');
    expect(await origins.take(ALICE, [delivered('m-1')], BOB)).toHaveLength(1);
    const second = origins.take(ALICE, [delivered('m-1')], BOB);
    await origins.settle(ALICE, [delivered('m-1')], BOB, arrived);
    expect((await second).map(({ messageId }) => messageId)).toEqual(taken);
  });

  it('waits for no other that waits for it, when each holds several in its own order', async () => {
    const origins = await known('m-1', 'm-2');
    const imdns = ['m-1', 'm-2'].map(delivered);
    const one = origins.take(ALICE, imdns, BOB);
    const other = origins.take(ALICE, [...imdns].reverse(), BOB);
    await origins.settle(ALICE, await one, BOB, true);
    expect(await other).toEqual([]);
  });

  it('does not wait for itself, when one message says the same twice', async () => {
    const origins = await known('m-1');
    const twice = [delivered('m-1'), delivered('m-1')];
    const taken = await origins.take(ALICE, twice, BOB);
    expect(taken).toHaveLength(1);
    await origins.settle(ALICE, taken, BOB, true);
    expect(await origins.take(ALICE, twice, BOB)).toEqual([]);
  });
});
