import { describe, expect, it } from 'vitest';
import { accept, created } from '../cpm/controlling/extension-world.js';
import { useCleanups } from '../tools/cleanups.js';
import { cpmDevice, createGroup } from '../tools/group-party.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();

async function node(store: string): Promise<RunningParley> {
  // a busy machine must make the server neither refuse work nor send it twice
  const parley = await startParley({
    ...{ auth: 'none', store },
    sip: { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } },
  });
  cleanups.push(() => parley.stop());
  return parley;
}

async function api(
  { api: url }: RunningParley,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${url}/api/v1/groups/${path}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  return {
    status: response.status,
    body: (await response.json().catch(() => ({}))) as Record<string, unknown>,
  };
}

describe.skipIf(missing('redis-server'))('a group that one node runs', () => {
  it('is changed and closed by the API of any other', async () => {
    const redis = await RedisServer.start();
    cleanups.push(() => redis.dispose());
    const [a, b] = [await node(redis.url), await node(redis.url)];
    const device = async (user: string, number: number) => {
      const phone = await cpmDevice(user, `6ca759e8-d1b1-5dee-95f9-e36d2aca6b0${number}`, a.port);
      cleanups.push(() => phone.close());
      return phone;
    };
    const [alice, bob, carol] = [await device('alice', 1), await device('bob', 2), await device('carol', 3)];
    createGroup(alice, '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>');
    await accept(bob, await bob.peer.request('INVITE'));
    const { focus } = await created(alice);
    const id = /sip:([^@]+)/.exec(focus)![1]!;

    const added = await api(b, 'POST', `${id}/members`, { identity: 'sip:carol@ims.test' });
    expect(added).toMatchObject({
      status: 200,
      body: { members: [{}, {}, { identity: 'sip:carol@ims.test' }] },
    });
    await accept(carol, await carol.peer.request('INVITE'));
    const states = async (): Promise<unknown> =>
      ((await api(b, 'GET', id)).body['members'] as { state: string }[]).map(({ state }) => state);
    await expect.poll(states).toEqual(['connected', 'connected', 'connected']);

    expect((await api(b, 'DELETE', `${id}/members/sip%3Abob%40ims.test`)).status).toBe(204);
    await bob.answer('BYE', 200);
    expect(await api(b, 'DELETE', `${id}/members/sip%3Anobody%40ims.test`)).toMatchObject({
      status: 404,
      body: { error: 'group-member-unknown', message: 'no such participant: sip:nobody@ims.test' },
    });
    expect(await api(b, 'POST', `${id}/members`, { identity: focus.replace(/;.*/, '') })).toMatchObject({
      status: 400,
      body: { error: 'group-list-malformed' },
    });

    expect((await api(b, 'DELETE', id)).status).toBe(204);
    await Promise.all([alice.answer('BYE', 200), carol.answer('BYE', 200)]);
    expect((await api(a, 'GET', id)).status).toBe(404);
    expect((await api(b, 'DELETE', id)).status).toBe(404);
  });
});
