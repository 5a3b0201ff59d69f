import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { Reports } from '../../src/gateway/messages/reports.js';
import type { ImpsServer, MessageRecord, UserId } from '../../src/imps/index.js';
import { MemoryStore } from '../tools/memory-store.js';

describe('the report of a message', () => {
  it('counts for an hour after the end of the message, since the SIP side tells of that end afterwards', async () => {
    const [clock, store] = [new VirtualClock(), new MemoryStore()];
    const told: number[] = [];
    const server = {
      reportDelivery: async (_message: unknown, _recipient: unknown, code: number) => void told.push(code),
    };
    const reports = new Reports(store, clock, () => server as unknown as ImpsServer);
    const [alice, bob] = ['wv:alice@ims.test', 'wv:bob@ims.test'] as UserId[];
    const sent = {
      sender: { user: alice },
      recipient: { user: bob },
      deliveryReport: true,
      content: 'x',
      expiresAt: clock.now() + 1_000,
    };
    for (const id of ['late', 'later'])
      await reports.expect(id, sent as MessageRecord, bob!, 'sip:bob@ims.test');
    const failed = (messageId: string): Promise<boolean> =>
      reports.arrived(alice!, { messageId, dateTime: '', kind: 'delivery', status: 'failed' }, [
        'sip:bob@ims.test',
      ]);
    clock.advance(3_600_000);
    await reports.expire(10);
    expect(await failed('late')).toBe(true);
    clock.advance(1_000);
    await reports.expire(10);
    expect(await failed('later')).toBe(false);
    expect(told).toEqual([410]);
  });
});
