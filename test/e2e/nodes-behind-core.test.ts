import { describe, expect, it } from 'vitest';
import type { SipRequest } from '../../src/sip/message/message.js';
import { useCleanups } from '../tools/cleanups.js';
import { ForeignCore, reginfoOf } from '../tools/foreign-core.js';
import { sdp } from '../tools/group-party.js';
import { missing } from '../tools/install.js';
import { RedisServer } from '../tools/redis.js';

const cleanups = useCleanups();
const one = 'sip:alice@127.0.0.1:1';
const two = 'sip:alice@127.0.0.1:2';
const patient = { timeout: 20_000 };

/** The SUBSCRIBEs that come until each of the nodes has sent one, by their UDP ports: one that ends a subscription has Expires 0. */
async function subscribes(core: ForeignCore, ...nodes: number[]): Promise<(SipRequest | undefined)[]> {
  const found = new Map<number | undefined, SipRequest>();
  while (!nodes.every((port) => found.has(port))) {
    const request = await core.unanswered('SUBSCRIBE');
    const headers = { Contact: `<sip:scscf@127.0.0.1:${core.port}>`, Expires: request.get('Expires') };
    core.peer.answer(request, 200, headers, 'tag-scscf');
    found.set(request.contacts[0]!.uri.port, request);
  }
  return nodes.map((port) => found.get(port));
}

async function twoNodes(): Promise<[ForeignCore, ForeignCore]> {
  const redis = await RedisServer.start();
  cleanups.push(() => redis.dispose());
  const settings = { store: redis.url, sip: { overloadDelay: 60_000 } };
  const a = await ForeignCore.start(settings);
  cleanups.push(() => a.close());
  const b = await a.another(settings);
  cleanups.push(() => b.parley.stop());
  return [a, b];
}

describe.skipIf(missing('redis-server'))('of two nodes behind another core', () => {
  it('both know what one is told, and the one that the core registers a user at is told', async () => {
    const [a, b] = await twoNodes();

    await a.notify(await a.subscribed(), reginfoOf(0, 'full', 1));
    await expect.poll(() => b.contacts(), patient).toEqual([one]);

    expect(await b.register('alice', 600)).toBe(200);
    const [left, taken] = await subscribes(a, a.parley.port, b.parley.port);
    expect(left!.get('Expires')).toBe('0');
    await b.notify(taken!, reginfoOf(0, 'full', 1, 2));
    await expect.poll(() => a.contacts(), patient).toEqual([one, two]);

    expect(await a.register('alice', 0)).toBe(200);
    const [ended] = await subscribes(a, b.parley.port);
    expect(ended!.get('Expires')).toBe('0');
    expect([await a.contacts(), await b.contacts()]).toEqual([[], []]);
  });

  it('one that does not hold a group hands its requests to the one that does', async () => {
    const [a, b] = await twoNodes();
    const users = ['alice', 'bob'].map((name) => `sip:${name}@ims.test`);
    const made = await fetch(`${a.parley.api}/api/v1/groups`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'sales', kind: 'long-lived', chairman: users[0], members: [users[1]] }),
    });
    expect(made.status).toBe(201);
    const joined = async (user: string, at: ForeignCore): Promise<number> => {
      const headers = {
        'P-Asserted-Identity': `<${user}>`,
        Route: at.server,
        'Contribution-ID': 'g77',
        'Content-Type': 'application/sdp',
      };
      const callId = at.send('INVITE', 'sip:gs-sales@ims.test', headers, sdp(user.slice(4, 7), 'actpass'));
      for (;;) {
        const response = await at.response();
        if (response.callId === callId) return response.status;
      }
    };
    expect(await joined(users[0]!, a)).toBe(200);
    expect(await joined(users[1]!, b)).toBe(200);
    const running = async ({ parley: { api } }: ForeignCore): Promise<string | undefined> =>
      /^parley_groups_running (\d+)$/m.exec(await (await fetch(`${api}/metrics`)).text())?.[1];
    expect([await running(a), await running(b)]).toEqual(['1', '0']);
  });
});
