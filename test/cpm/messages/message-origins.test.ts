import { describe, expect, it } from 'vitest';
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
