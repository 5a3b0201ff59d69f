import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import {
  SessionRecords,
  type SessionRecord,
  type StartedSession,
} from '../../../src/cpm/participating/session-records.js';
import { silentLogger } from '../../../src/base/log.js';
import { LmdbStore } from '../../../src/store/lmdb/lmdb-store.js';
import { table } from '../../../src/store/store.js';
import { useCleanups } from '../../tools/cleanups.js';
import { MemoryStore } from '../../tools/memory-store.js';

const near = { callId: 'near', localTag: 'ours-1', remoteTag: 'alice' };
const far = { callId: 'far', localTag: 'ours-2', remoteTag: 'bob' };

/** What the caller's function tells, which is in the media path. */
const whole: StartedSession = {
  id: 'near\talice',
  service: 'session',
  caller: { user: 'sip:alice@ims.test', device: 'sip:alice@1', set: 'alice' },
  callee: { user: 'sip:bob@ims.test', device: 'sip:bob@1' },
  conversationId: 'c',
  contributionId: 'd',
  inReplyTo: undefined,
  mediaPath: true,
  interval: undefined,
  calleeTag: 'ours-1',
  holder: 'node-1',
  pairs: [{ near, far }],
};

/** What the callee's function tells, which knows the far leg alone. */
const part: StartedSession = {
  ...whole,
  id: 'far\tours-2',
  caller: { user: 'sip:alice@ims.test', device: 'sip:server' },
  callee: { user: 'sip:bob@ims.test', device: 'sip:bob@1', set: 'bob' },
  mediaPath: false,
  interval: 1800,
  calleeTag: 'bob',
  holder: undefined,
  pairs: undefined,
};

describe('a session in whose middle a node is', () => {
  const cleanups = useCleanups();
  const clock = new VirtualClock();
  let store: MemoryStore;
  let records: SessionRecords;
  beforeEach(() => {
    store = new MemoryStore();
    records = new SessionRecords(store, clock);
  });

  const all = async (user?: string): Promise<SessionRecord[]> => {
    const found: SessionRecord[] = [];
    for await (const record of records.list(user)) found.push(record);
    return found;
  };

  it.each([
    ['the far part is told first', [part, whole]],
    ['the near part is told first', [whole, part]],
  ])('is one for both users, when %s', async (_, told) => {
    for (const one of told) await records.started(one);
    expect(await all()).toMatchObject([
      {
        id: whole.id,
        caller: { set: 'alice', device: 'sip:alice@1' },
        callee: { set: 'bob' },
        mediaPath: true,
      },
    ]);
    for (const user of ['alice', 'bob']) {
      expect(await all(user)).toHaveLength(1);
      expect(await records.count(user, 5)).toBe(1);
    }
    expect(await records.total()).toBe(1);
  });

  it('is one when two nodes tell at the same time', async () => {
    const other = new SessionRecords(store, clock);
    await Promise.all([records.started(whole), other.started(part)]);
    expect(await all()).toHaveLength(1);
    expect(await records.count('bob', 5)).toBe(1);
  });

  it('is one after its node was killed between writing its two parts and joining them', async () => {
    await records.started(whole);
    const killed = new MemoryStore();
    await new SessionRecords(killed, clock).started(part);
    for (const written of [table('cpm-sessions'), table('cpm-user-sessions')])
      for await (const { key, value } of killed.scan(written))
        await store.update(written, key, () => ({ kind: 'put', value, result: undefined }));
    expect(await records.total()).toBe(2);
    await records.abandon(() => false);
    expect(await all()).toMatchObject([{ id: whole.id, callee: { set: 'bob' } }]);
    expect([await records.count('alice', 5), await records.count('bob', 5)]).toEqual([1, 1]);
  });

  it('whose record is gone counts for nobody, though it is still named', async () => {
    await records.started(whole);
    await store.update(table('cpm-sessions'), whole.id, () => ({ kind: 'remove', result: undefined }));
    expect(await records.count('alice', 5)).toBe(0);
    await records.started({ ...whole, id: 'another\talice' });
    expect(await records.count('alice', 1)).toBe(1);
  });

  it('is listed behind the one before, of a user and of all', async () => {
    for (const id of ['a', 'b', 'c']) await records.started({ ...whole, id: `${id}\talice` });
    for (const user of [undefined, 'alice']) {
      const found: string[] = [];
      for await (const { id } of records.list(user, 'a\talice')) found.push(id);
      expect(found).toEqual(['b\talice', 'c\talice']);
    }
  });

  it('ends for both users at once, and its legs are named no more', async () => {
    await records.started(part);
    await records.started(whole);
    expect(await records.legs.otherThan(near)).toEqual(far);
    expect(await records.ended(part.id)).toBeUndefined();
    expect(await records.ended(whole.id)).toMatchObject({ callee: { set: 'bob' } });
    expect([await records.count('alice', 5), await records.count('bob', 5)]).toEqual([0, 0]);
    expect([await records.legs.otherThan(near), await records.legs.otherThan(far)]).toEqual([
      undefined,
      undefined,
    ]);
    expect(await records.legs.wholeOf(part.id)).toBeUndefined();
  });

  it('may have identifiers longer than a key of the store', async () => {
    const long = (name: string): string => name + '\xe9'.repeat(3_000);
    const [one, other] = [
      { ...near, callId: long('near') },
      { ...far, callId: long('far') },
    ];
    const folder = await mkdtemp(join(tmpdir(), 'parley-sessions-'));
    const filed = new LmdbStore(folder, { clock, log: silentLogger });
    cleanups.push(async () => {
      await filed.close();
      await rm(folder, { recursive: true, force: true });
    });
    records = new SessionRecords(filed, clock);
    const told = { ...whole, id: `${one.callId}\talice`, pairs: [{ near: one, far: other }] };
    await records.started({ ...part, id: `${other.callId}\tours-2` });
    await records.started(told);
    expect(await all('bob')).toMatchObject([{ id: told.id, callee: { set: 'bob' } }]);
    expect(await records.legs.otherThan(other)).toEqual(one);
    expect(await records.ended(told.id)).toMatchObject({ id: told.id });
    expect(await records.count('bob', 5)).toBe(0);
  });

  it('that has ended when its far part is told leaves nothing behind', async () => {
    await records.started(whole);
    const late = records.started(part);
    await records.ended(whole.id);
    await late;
    await records.ended(part.id);
    expect([await all(), await records.count('bob', 5)]).toEqual([[], 0]);
  });

  it('is given up 32 s after its node was found to be gone, and before is named as ever', async () => {
    await records.started(whole);
    await records.abandon((node) => node === 'node-1');
    expect(await records.due(10)).toEqual([]);
    await records.abandon(() => false);
    expect(await records.legs.otherThan(near)).toEqual(far);
    clock.advance(31_999);
    expect(await records.due(10)).toEqual([]);
    clock.advance(1);
    expect(await records.due(10)).toEqual([whole.id]);
  });
});
