import { describe, expect, it } from 'vitest';
import { FinalResponseError } from '../../../src/sip/final-response-error.js';
import { entry, VirtualRoom } from './virtual-room.js';

const MINUTE = 60_000;

describe('who makes more groups in a minute than a user may', () => {
  it('is refused with 480 and Retry-After, while others go on, and may make some in the next', async () => {
    const room = await VirtualRoom.open({ newPerMinute: 2 });
    const [alice, bob, carol] = [await room.user('alice'), await room.user('bob'), await room.user('carol')];
    let made = 0;
    const make = (by = alice, whom = bob): Promise<unknown> =>
      room.during(by.create(entry(whom), { 'Contribution-ID': `c${++made}` }));
    await make();
    await make();
    const refusal = (await make().catch((error: unknown) => error)) as FinalResponseError;
    expect(refusal).toBeInstanceOf(FinalResponseError);
    expect([refusal.response.status, refusal.response.get('Retry-After')]).toEqual([480, '60']);
    expect(room.trail.recent({ code: 'group-too-many-new' })).toHaveLength(1);
    await make(carol);
    expect([...room.controlling.running]).toHaveLength(3);
    await room.clock.advanceAsync(MINUTE, 1_000);
    await make();
    expect([...room.controlling.running]).toHaveLength(4);
  });

  it('is known by its other identities too', async () => {
    const room = await VirtualRoom.open({ newPerMinute: 1 });
    const [alice, number, bob] = [
      await room.user('alice'),
      await room.user('number'),
      await room.user('bob'),
    ];
    room.owners.set(number.uri, alice.uri);
    await room.during(alice.create(entry(bob)));
    await expect(room.during(number.create(entry(bob), { 'Contribution-ID': 'c2' }))).rejects.toThrow('480');
  });

  it('still starts again and joins the groups that there are, and lists that are refused do not count', async () => {
    const room = await VirtualRoom.open({ newPerMinute: 1 });
    const [alice, bob] = [await room.user('alice'), await room.user('bob')];
    await expect(room.during(alice.create('<entry/>'))).rejects.toThrow('400');
    await room.during(alice.create(entry(bob)));
    const { uri } = room.focus.group;
    await room.during(alice.create(entry(bob)));
    await room.during(alice.join(uri));
    expect(room.focus.group.members).toHaveLength(2);
  });
});
