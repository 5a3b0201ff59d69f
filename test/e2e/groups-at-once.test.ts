import { describe, expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { cpmDevice, joinGroup } from '../tools/group-party.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';

const cleanups = useCleanups();

/** A kept group without sessions. @returns its server and the devices of its members. */
async function kept(
  kind: string,
  users: readonly string[],
): Promise<{ parley: RunningParley; phones: Phone[] }> {
  const parley = await startParley({ auth: 'none' });
  cleanups.push(() => parley.stop());
  const phones: Phone[] = [];
  for (const [i, user] of users.entries()) {
    const phone = await cpmDevice(user, `6ca759e8-d1b1-5dee-95f9-e36d2aca6b0${i}`, parley.port);
    cleanups.push(() => phone.close());
    phones.push(phone);
  }
  const [chairman, ...members] = users.map((user) => `sip:${user}@ims.test`);
  const made = await fetch(`${parley.api}/api/v1/groups`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'sales', kind, chairman, members }),
  });
  expect(made.status).toBe(201);
  return { parley, phones };
}

describe('members who come at once to a group without sessions', () => {
  it.each([
    ['long-lived', ['alice', 'bob', 'carol']],
    ['pre-defined', ['alice', 'bob']],
    ['pre-defined', ['alice', 'bob', 'carol']],
  ] as const)('are all in: a %s one of %j', async (kind, users) => {
    const { parley, phones } = await kept(kind, users);
    for (const phone of phones) joinGroup(phone, 'sip:gs-sales@ims.test');
    const statuses = await Promise.all(phones.map(async ({ peer }) => (await peer.response(200)).status));
    expect(statuses).toEqual(users.map(() => 200));
    const states = async (): Promise<string[]> => {
      const answer = await fetch(`${parley.api}/api/v1/groups/gs-sales`);
      const { members } = (await answer.json()) as { members: { state: string }[] };
      return members.map(({ state }) => state);
    };
    await expect.poll(states).toEqual(users.map(() => 'connected'));
  });
});
