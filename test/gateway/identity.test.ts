import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { v5 } from 'uuid';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { DeviceMap } from '../../src/gateway/identity/device-map.js';
import {
  CLIENT_NAME_SPACE,
  clientUuid,
  imeiOf,
  type ImpsClient,
} from '../../src/gateway/identity/instance-name.js';
import { InstanceId } from '../../src/identity/instance-id.js';
import type { UserId } from '../../src/imps/index.js';
import { MemoryStore } from '../tools/memory-store.js';

const alice = 'wv:alice@ims.test' as UserId;
const client = (url: string, applicationId = '', user = alice): ImpsClient => ({
  user,
  client: { url, msisdn: undefined },
  applicationId,
});
const IMEI = '490154203237518';

interface Map {
  readonly map: DeviceMap;
  readonly live: Set<string>;
  readonly trail: MemoryTrail;
}

function deviceMap(store = new MemoryStore()): Map {
  const clock = new VirtualClock();
  const trail = new MemoryTrail(() => clock.now());
  const live = new Set<string>();
  const isLive = async (one: ImpsClient): Promise<boolean> => live.has(clientUuid(one));
  return {
    map: new DeviceMap({ store, clock, trail, isLive, imeiFrom: ['network', 'client'] }),
    live,
    trail,
  };
}

describe('the Instance ID of an IMPS client', () => {
  it('is a version 5 UUID over User-ID and Client-ID that anybody can compute', () => {
    // python3 -c "import uuid; print(uuid.uuid5(uuid.UUID('5047cd30-…'), 'wv:alice@ims.test\\nwv:ZOMI2.0.*$NoWire@FLY.X95.384759'))"
    expect(clientUuid(client('wv:ZOMI2.0.*$NoWire@FLY.X95.384759'))).toBe(
      '46e137ec-561d-58b2-bf11-4d8b8b2e7c58',
    );
  });

  it('is computed in a name space that anybody can compute, and that the documentation names with an example', () => {
    expect(CLIENT_NAME_SPACE).toBe(v5('imps-client.parley', v5.DNS));
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/gateway.md'), 'utf8');
    const example = /UUID\('(\S+)'\),\s+'(.*)'\)\)"\n +(\S+)/.exec(page)!;
    const name = example[2]!.replaceAll('\\n', '\n').replaceAll('\\$', '$');
    expect([example[1], example[3]]).toEqual([CLIENT_NAME_SPACE, v5(name, example[1]!)]);
    const [user, url] = name.split('\n');
    expect(clientUuid(client(url!, '', user as UserId))).toBe(example[3]);
  });

  it('is another one for each user, Client-ID and ApplicationID', () => {
    const all = [
      client('JiMMY'),
      client('jimmy'),
      client('JiMMY', 'chat'),
      client('JiMMY', '', 'wv:bob@ims.test' as UserId),
    ];
    expect(new Set(all.map(clientUuid)).size).toBe(4);
  });

  it('is that of a telephone number by its digits where there is no URI', () => {
    const by = (msisdn: string): string =>
      clientUuid({ user: alice, client: { url: undefined, msisdn }, applicationId: '' });
    expect(by('+46 70-123')).toBe(by('4670123'));
  });

  it.each([
    [
      'a valid IMEI as unique part',
      `wv:A1.0$op@v.m.${IMEI}`,
      '',
      undefined,
      'urn:gsma:imei:49015420-323751-0',
    ],
    ['an IMEI with a wrong check digit', 'wv:A1.0$op@v.m.490154203237519', '', undefined, undefined],
    ['fewer digits', 'wv:A1.0$op@v.m.49015420323751', '', undefined, undefined],
    ['the example of the guidelines', 'wv:ZOMI2.0.*$NoWire@FLY.X95.384759', '', undefined, undefined],
    ['an application on a handset with IMEI', `wv:A1.0$op@v.m.${IMEI}`, 'chat', undefined, undefined],
    ['an IMEI from the network', 'JiMMY', '', IMEI, 'urn:gsma:imei:49015420-323751-0'],
    ['zeros', `wv:A1.0$op@v.m.000000000000000`, '', undefined, undefined],
  ])('by %s', (_name, url, application, network, urn) => {
    expect(imeiOf(client(url, application), network)?.urn).toBe(urn);
  });

  it.each([
    ['without its check digit', IMEI.slice(0, 14), true],
    ['with the spare 0 of signalling', `${IMEI.slice(0, 14)}0`, true],
    ['as IMEISV', `${IMEI.slice(0, 14)}42`, true],
    ['as URN', 'urn:gsma:imei:49015420-323751-0', true],
    ['with a wrong check digit', '490154203237519', false],
    ['too short', '4901542032375', false],
    ['with letters', '49015420323751X', false],
  ])('is an IMEI that the network writes %s: %s %s', (_name, asserted, good) => {
    expect(imeiOf(client('JiMMY'), asserted)?.urn).toBe(good ? 'urn:gsma:imei:49015420-323751-0' : undefined);
  });

  it('is by no IMEI whose source is not believed', () => {
    const both = client(`wv:A1.0$op@v.m.${IMEI}`);
    expect(imeiOf(both, '35824005111111', ['client'])?.urn).toBe('urn:gsma:imei:49015420-323751-0');
    expect(imeiOf(both, '35824005111111', ['network'])?.urn).toBe('urn:gsma:imei:35824005-111111-0');
    expect(imeiOf(both, '35824005111111', [])).toBeUndefined();
  });

  it('stays when the server starts again', async () => {
    const store = new MemoryStore();
    const first = await deviceMap(store).map.of(client('JiMMY'));
    expect(await deviceMap(store).map.of(client('JiMMY'))).toEqual(first);
  });

  it('stays with the handset when its software is renewed and the Client-ID changes, and this is shown', async () => {
    const { map } = deviceMap();
    const before = await map.of(client('wv:ZOMI2.0$NoWire@FLY.X95.384759'));
    const after = await map.of(client('wv:ZOMI2.1$NoWire@FLY.X95.384759'));
    expect(after).toMatchObject({
      instance: before.instance,
      source: 'handset',
      formerClient: 'wv:ZOMI2.0$NoWire@FLY.X95.384759',
    });
    expect(await map.byInstance(alice, InstanceId.fromUrn(before.instance))).toMatchObject({
      uuid: after.uuid,
    });
  });

  it('is never that of another client that is there at once: the second one gets its own, and this is shown', async () => {
    const { map, live, trail } = deviceMap();
    const one = client(`wv:A1.0$op@v.m.${IMEI}`);
    const two = client(`wv:B1.0$op@v.n.${IMEI}`);
    const first = await map.of(one);
    live.add(first.uuid);
    const second = await map.of(two);
    expect(second).toMatchObject({ instance: `urn:uuid:${clientUuid(two)}`, collision: true });
    expect(trail.counts().get('gateway.instance-collision')).toBe(1);
    expect(await map.of(one)).toEqual(first);
    expect(await map.of(two)).toEqual(second);
  });

  it('comes with an import, which changes none that is known', async () => {
    const { map } = deviceMap();
    const instance = 'urn:uuid:00000000-0000-4000-8000-000000000001';
    expect(await map.import(client('JiMMY'), instance)).toBe('added');
    expect(await map.import(client('JiMMY'), instance.toUpperCase().replace('URN:UUID', 'urn:uuid'))).toBe(
      'known',
    );
    await expect(
      map.import(client('JiMMY'), 'urn:uuid:00000000-0000-4000-8000-000000000002'),
    ).rejects.toMatchObject({
      code: 'gateway-instance-conflict',
    });
    await expect(map.import(client('other'), instance)).rejects.toMatchObject({
      code: 'gateway-instance-conflict',
    });
    expect((await map.of(client('JiMMY'))).instance).toBe(instance);
  });
});
