import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { element, type Element } from '../../src/imps/codec/element.js';
import { codeOf } from '../imps/tools/phone.js';
import { GatewayWorld } from './world.js';
import { freePort } from '../tools/free-port.js';

let world: GatewayWorld;
afterEach(() => world.close());

describe('an IMPS session as a CPM device', () => {
  it('has the IMEI that a trusted proxy asserts in the header of the configuration, from nobody else', async () => {
    const imps = { listen: '127.0.0.1:0', cirListen: '127.0.0.1:0', imeiHeaders: ['X-Handset'] };
    const headers = { 'X-Handset': '490154203237518' };
    const instances: unknown[] = [];
    for (const trustedProxies of [[], ['127.0.0.1']]) {
      world = await GatewayWorld.start({ imps: { ...imps, trustedProxies } });
      await world.loggedIn('alice', { headers });
      await world.loggedIn('alice', { headers, applicationId: 'chat' });
      instances.push(
        (await world.registrations('alice')).map(({ instance }) => String(instance).slice(0, 13)).sort(),
      );
      if (trustedProxies.length === 0) await world.close();
    }
    expect(instances).toEqual([
      ['urn:uuid:', 'urn:uuid:'].map((urn) => expect.stringContaining(urn) as unknown),
      ['urn:gsma:imei', expect.stringContaining('urn:uuid:')],
    ]);
  });

  it('is a binding with Instance ID, GRUU, services and device name from its login to its logout', async () => {
    world = await GatewayWorld.start();
    const phone = await world.loggedIn('alice', { clientId: 'wv:ZOMI2.0.*$NoWire@FLY.X95.384759' });
    const [binding] = await world.registrations('alice');
    expect(binding).toMatchObject({
      deviceName: 'FLY X95',
      userAgent: 'ZOMI/2.0.* IMPS/1.3',
      publicGruu: `sip:alice@ims.test;gr=${String(binding?.['instance'])}`,
    });
    expect(binding?.['instance']).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5/);
    expect(JSON.stringify(binding)).toContain('oma.cpm.msg');
    expect(JSON.stringify(binding)).not.toContain(phone.sessionId);
    expect(codeOf(await phone.request(element('Logout-Request')))).toBe(200);
    await world.settled();
    expect(await world.registrations('alice')).toEqual([]);
  });

  it('ends with its session however that ends, and lives no longer than its keep-alive allows', async () => {
    const imps = { listen: '127.0.0.1:0', cirListen: '127.0.0.1:0', keepAlive: { min: 1 } };
    world = await GatewayWorld.start({ imps });
    const devices = (): Promise<readonly Record<string, unknown>[]> => world.registrations('alice');
    const ends = async (): Promise<number> => Date.parse(String((await devices())[0]?.['expiresAt']));
    const keepAlive = (seconds: number): Element =>
      element('KeepAlive-Request', element('TimeToLive', seconds));

    const disconnected = await world.loggedIn('alice');
    const long = await ends();
    expect(codeOf(await disconnected.request(keepAlive(600)))).toBe(200);
    await expect.poll(ends, { timeout: 20_000 }).toBeLessThan(long);
    expect(await world.parley.app.imps!.server.disconnect(disconnected.sessionId!)).toBe(true);
    await expect.poll(devices, { timeout: 20_000 }).toEqual([]);

    const silent = await world.loggedIn('alice');
    expect(await devices()).toHaveLength(1);
    // from now on it says nothing
    await silent.request(keepAlive(1));
    await expect.poll(devices, { timeout: 20_000 }).toEqual([]);
  });

  it('stays over a restart as it is, and is registered anew where the way to this server is another', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-devices-'));
    const store = `lmdb:${join(folder, 'data')}`;
    const [here, elsewhere] = [await freePort(), await freePort()];
    const binding = async (): Promise<unknown> => {
      await world.settled();
      return (await world.parley.app.registrar!.lookup('sip:alice@ims.test'))?.bindings[0];
    };
    try {
      world = await GatewayWorld.start({ store, sip: { listen: [`udp:127.0.0.1:${here}`] } });
      await world.loggedIn('alice');
      const first = await binding();
      expect(first).toMatchObject({ path: [expect.stringContaining(`:${here};`) as unknown] });
      await world.close();
      world = await GatewayWorld.start({ store, sip: { listen: [`udp:127.0.0.1:${here}`] } });
      expect(await binding()).toEqual(first);
      await world.close();
      world = await GatewayWorld.start({ store, sip: { listen: [`udp:127.0.0.1:${elsewhere}`] } });
      const { contact, cseq } = first as { contact: string; cseq: number };
      const path = [expect.stringContaining(`:${elsewhere};`) as unknown];
      expect(await binding()).toMatchObject({ contact, cseq: cseq + 1, path });
    } finally {
      await world.close();
      await rm(folder, { recursive: true });
    }
  });
});
