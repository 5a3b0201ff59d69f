import { expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { OpenInvitations } from '../../src/gateway/groups/open-invitations.js';
import type { InvitationRecord, ResourceId, UserId } from '../../src/imps/index.js';
import { MemoryStore } from '../tools/memory-store.js';

const group = 'wv:alice/picnic@ims.test' as ResourceId;
const bob = 'wv:bob@ims.test' as UserId;
const invitation = (id: string, invitee = bob): InvitationRecord => ({
  id,
  type: 'GR',
  inviter: 'wv:alice@ims.test' as UserId,
  invitee,
  group,
});

it('an invitation without an answer is known to the next process, answered once, and over after ten minutes', async () => {
  const [store, clock] = [new MemoryStore(), new VirtualClock()];
  const before = new OpenInvitations(store, clock);
  await before.put(group, invitation('i-1'));
  await before.put(group, invitation('i-2'));
  await before.put(group, invitation('i-3', 'wv:carol@ims.test' as UserId));
  const after = new OpenInvitations(store, clock);
  expect(await after.take(invitation('i-1'))).toMatchObject({ group });
  expect(await after.take(invitation('i-1'))).toBeUndefined();
  expect(await after.takeFor('wv:/other@ims.test' as ResourceId, bob)).toEqual([]);
  expect((await after.takeFor(group, bob)).map((one) => one.invitation.id)).toEqual(['i-2']);
  clock.advance(599_999);
  expect(await after.takeExpired(10)).toEqual([]);
  clock.advance(1);
  expect((await after.takeExpired(10)).map((one) => one.invitation.id)).toEqual(['i-3']);
  expect(await after.takeExpired(10)).toEqual([]);
});
