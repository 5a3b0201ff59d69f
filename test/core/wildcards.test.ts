import { describe, expect, it } from 'vitest';
import { parseReginfo } from '../../src/reg-event/reginfo-reader.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { RedisServer } from '../tools/redis.js';
import { SipPeer } from '../tools/sip-peer.js';

const cleanups = useCleanups();
const WILDCARD = 'sip:ext!.*!@ims.test';

async function server(settings: Record<string, unknown> = {}): Promise<RunningParley> {
  const parley = await startParley({
    auth: 'none',
    subscribers: [
      {
        privateId: 'pbx@ims.test',
        password: 'x',
        identities: ['sip:pbx@ims.test', 'tel:+15550100001'],
        wildcards: [WILDCARD],
      },
      { privateId: 'bob@ims.test', password: 'x', identities: ['sip:bob@ims.test', 'sip:ext99@ims.test'] },
    ],
    sip: { overloadDelay: 60_000, timers: { t1: 30_000 } },
    ...settings,
  });
  cleanups.push(() => parley.stop());
  return parley;
}

async function registered(user: string, { port }: RunningParley): Promise<Phone> {
  const phone = await Phone.registered(user, port);
  cleanups.push(() => phone.close());
  return phone;
}

describe('a wildcarded identity', () => {
  it('is reached where its set is registered, and its exchange learns whom the call is for', async () => {
    const parley = await server();
    const [pbx, bob] = [await registered('pbx', parley), await registered('bob', parley)];
    bob.send('MESSAGE', 'sip:ext17@ims.test');
    const request = await pbx.answer('MESSAGE', 200);
    expect([request.uri, request.get('P-Called-Party-ID')]).toEqual([pbx.contact, '<sip:ext17@ims.test>']);
    expect((await bob.peer.response(200)).status).toBe(200);
    // an identity of somebody else goes before the wildcard
    pbx.send('MESSAGE', 'sip:ext99@ims.test');
    await bob.answer('MESSAGE', 200);
    expect((await pbx.peer.response(200)).status).toBe(200);
  });

  it('sends through its exchange, asserted by itself, with the services of its profile', async () => {
    const as = await SipPeer.open();
    cleanups.push(() => as.close());
    const trigger = { groups: [[{ method: 'MESSAGE' }, { sessionCase: 'originating' }]] };
    const parley = await server({
      profiles: [
        { name: 'exchange', criteria: [{ priority: 1, server: `sip:127.0.0.1:${as.port}`, trigger }] },
      ],
    });
    await parley.app.subscribers.setProfile('pbx@ims.test', WILDCARD, 'exchange');
    const [pbx, bob] = [await registered('pbx', parley), await registered('bob', parley)];
    pbx.send('MESSAGE', bob.aor, { From: '<sip:ext17@ims.test>;tag=1' });
    const request = await as.request('MESSAGE');
    expect(request.get('P-Asserted-Identity')).toBe('<sip:ext17@ims.test>');
    expect(request.get('P-Served-User')).toBe('<sip:ext17@ims.test>;sescase=orig;regstate=reg');
    expect(request.get('P-Profile-Key')).toBe(`<${WILDCARD}>`);
    as.answer(request, 202);
    expect((await pbx.peer.response(200)).status).toBe(202);
  });

  it('is named to the servers of those that it stands for alone, and to no device', async () => {
    const as = await SipPeer.open();
    cleanups.push(() => as.close());
    const trigger = { groups: [[{ method: 'MESSAGE' }], [{ sessionCase: 'terminating-registered' }]] };
    const parley = await server({
      profiles: [
        {
          name: 'default',
          criteria: [
            { priority: 1, server: `sip:127.0.0.1:${as.port}`, trigger: { form: 'cnf', ...trigger } },
          ],
        },
      ],
    });
    const [pbx, bob] = [await registered('pbx', parley), await registered('bob', parley)];
    for (const [to, phone, key] of [
      ['sip:ext17@ims.test', pbx, `<${WILDCARD}>`],
      ['sip:bob@ims.test', bob, undefined],
    ] as const) {
      bob.send('MESSAGE', to, { 'P-Profile-Key': '<sip:mine!.*!@ims.test>' });
      const request = await as.request('MESSAGE');
      expect(request.get('P-Profile-Key')).toBe(key);
      request.headers.shift('Route');
      request.headers.prepend('Via', `SIP/2.0/UDP 127.0.0.1:${as.port};branch=z9hG4bK${phone.user}`);
      as.send(request, parley.port);
      expect((await phone.answer('MESSAGE', 200)).get('P-Profile-Key')).toBeUndefined();
    }
  });

  it('is not registered by itself, stands in registration events, and not in P-Associated-URI', async () => {
    const parley = await server();
    const ext = await Phone.open('ext17', parley.port);
    cleanups.push(() => ext.close());
    expect((await ext.register()).status).toBe(403);
    const pbx = await Phone.open('pbx', parley.port);
    cleanups.push(() => pbx.close());
    expect((await pbx.register()).get('P-Associated-URI')).toBe('<sip:pbx@ims.test>, <tel:+15550100001>');
    expect((await pbx.ask('SUBSCRIBE', pbx.aor, { Event: 'reg' })).status).toBe(200);
    const { body } = await pbx.answer('NOTIFY', 200);
    const { registrations } = parseReginfo(body);
    expect(
      registrations.map(({ aor, wildcard, contacts }) => [aor, wildcard, contacts.map(({ event }) => event)]),
    ).toEqual([
      ['sip:pbx@ims.test', undefined, ['registered']],
      ['tel:+15550100001', undefined, ['created']],
      ['sip:ext@ims.test', WILDCARD, ['created']],
    ]);
  });

  it('comes and goes with its subscriber by the API', async () => {
    const parley = await server({ auth: 'digest', subscribers: [] });
    const post = (body: object): Promise<Response> =>
      fetch(`${parley.api}/api/v1/subscribers`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const pbx = { privateId: 'pbx@ims.test', password: 'x', identities: ['sip:pbx@ims.test'] };
    expect((await post({ ...pbx, wildcards: ['sip:ext!(!@ims.test'] })).status).toBe(400);
    expect(await (await post({ ...pbx, wildcards: [WILDCARD] })).json()).toMatchObject({
      wildcards: [WILDCARD],
    });
    const other = { ...pbx, privateId: 'b@ims.test', identities: ['sip:b@ims.test'], wildcards: [WILDCARD] };
    expect((await post(other)).status).toBe(409);
    expect(await parley.app.registrar!.setOf('sip:ext17@ims.test')).toBe('sip:pbx@ims.test');
    await fetch(`${parley.api}/api/v1/subscribers/pbx@ims.test`, { method: 'DELETE' });
    expect(await parley.app.registrar!.setOf('sip:ext17@ims.test')).toBeUndefined();
  });

  it.skipIf(missing('redis-server'))(
    'is known at every node as soon as it is there, and no longer',
    async () => {
      const redis = await RedisServer.start();
      cleanups.push(() => redis.dispose());
      const nodes = await Promise.all([1, 2].map(() => server({ store: redis.url, subscribers: [] })));
      const setOf = (): Promise<string | undefined>[] =>
        nodes.map(async ({ app }) => (await app.subscribers.identity('sip:ext17@ims.test'))?.set[0]);
      const all = async (): Promise<unknown> => Promise.all(setOf());
      expect(await all()).toEqual([undefined, undefined]);
      const { subscribers } = nodes[0]!.app;
      await subscribers.add({
        privateId: 'pbx@ims.test',
        password: 'x',
        identities: ['sip:pbx@ims.test'],
        wildcards: [WILDCARD],
      });
      await expect.poll(all, { timeout: 20_000 }).toEqual(['sip:pbx@ims.test', 'sip:pbx@ims.test']);
      await subscribers.remove('pbx@ims.test');
      await expect.poll(all, { timeout: 20_000 }).toEqual([undefined, undefined]);
    },
  );
});
