import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { ParleyError } from '../../src/base/errors.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { openAuthenticator } from '../../src/registrar/authenticator.js';
import { Gruus } from '../../src/registrar/gruus.js';
import { Registrar, type RegistrarOptions } from '../../src/registrar/registrar.js';
import type { RegistrationEvent } from '../../src/registrar/registration.js';
import { Subscribers } from '../../src/registrar/subscribers.js';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/store.js';
import { RecordedResponse, serverRequest, udpSource } from '../tools/sip-request.js';

const IMEI = '+sip.instance="<urn:gsma:imei:35824005-111111-0>"';
const UUID = '+sip.instance="<urn:uuid:0F8FAD5B-d9cb-469f-a165-70867728950e>"';
const PHONE = `<sip:alice@127.0.0.1:5070>;${IMEI}`;
const TABLET = `<sip:alice@127.0.0.1:5080>;q=0.5;${UUID}`;

let folder: string;
let store: Store;
let clock: VirtualClock;
let registrar: Registrar;
let gruus: Gruus;
let subscribers: Subscribers;
let events: RegistrationEvent[];

async function open(options: Partial<RegistrarOptions> = {}): Promise<void> {
  registrar = new Registrar({
    store,
    clock,
    trail: new MemoryTrail(() => clock.now()),
    log: silentLogger,
    subscribers,
    gruus,
    authenticator: openAuthenticator,
    domains: ['ims.test'],
    expiry: { minimum: 60, maximum: 7200, standard: 3600 },
    maxContacts: 4,
    matching: 'instance',
    gruu: true,
    openDomain: true,
    trusted: new Set(),
    serviceRoute: () => ['<sip:orig@127.0.0.1:5060;lr>'],
    ...options,
  });
  events = [];
  registrar.onChange((event) => events.push(event));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-'));
  clock = new VirtualClock();
  store = await openStore(`lmdb:${folder}`, { clock, log: silentLogger });
  subscribers = new Subscribers(store, 'ims.test');
  gruus = await Gruus.open(store, '3f1c9d52-7e0a-4b6e-9c1d-2f5a8e7b6c40');
  await open();
});

afterEach(async () => {
  registrar.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

let sequence = 0;

/** Sends a REGISTER and gives what was answered; a ParleyError becomes its status. */
async function register(
  headers: Record<string, string | string[]>,
  source = udpSource,
): Promise<RecordedResponse> {
  const response = new RecordedResponse();
  const request = serverRequest(
    'REGISTER sip:ims.test SIP/2.0',
    { CSeq: `${++sequence} REGISTER`, Supported: 'path, gruu', ...headers },
    source,
  );
  try {
    await registrar.handle(request, response);
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error;
    response.send(error.sip, { reason: error.code });
  }
  return response;
}

const status = (response: RecordedResponse) => response.sent.at(-1)?.status;
const param = (line: string, name: string) =>
  new RegExp(`;${name}="?([^";]+(?:;gr[^"]*)?)"?`).exec(line)?.[1];
const targetOf = (uri: string) => gruus.resolve(uri, (aor) => registrar.setOf(aor));

describe('a REGISTER', () => {
  it('lists every device with its own pair of GRUUs and its Instance ID as it was sent', async () => {
    await register({ Contact: PHONE });
    const response = await register({ Contact: TABLET, 'Call-ID': 'call-2' });
    const [phone, tablet] = response.lines('Contact');
    expect(status(response)).toBe(200);
    expect(phone).toContain(IMEI);
    expect(tablet).toContain(UUID);
    // the published vector for this name space
    expect(param(phone!, 'pub-gruu')).toBe(
      'sip:alice@ims.test;gr=urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf',
    );
    expect(param(tablet!, 'pub-gruu')).toBe(
      'sip:alice@ims.test;gr=urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e',
    );
    expect(param(phone!, 'temp-gruu')).toMatch(/^sip:tgruu\.[\w-]{30,}@ims\.test;gr$/);
    expect(param(phone!, 'temp-gruu')).not.toBe(param(tablet!, 'temp-gruu'));
    expect(phone).toMatch(/;expires=3600$/);
  });

  it('gives no GRUU to a device that does not support them, nor in the answer to it', async () => {
    await register({ Contact: PHONE });
    const response = await register({ Contact: TABLET, 'Call-ID': 'call-2', Supported: 'path' });
    expect(response.lines('Contact').join()).not.toContain('gruu');
  });

  it('gives the name back that the user gave to the device', async () => {
    const response = await register({ Contact: `"Alice's \\"best\\" tablet" ${TABLET}` });
    expect(response.lines('Contact')[0]).toMatch(/^"Alice's \\"best\\" tablet" <sip:alice@/);
    expect((await registrar.lookup('sip:alice@ims.test'))?.bindings[0]?.deviceName).toBe(
      'Alice\'s "best" tablet',
    );
  });

  it('ignores GRUUs that the device sends', async () => {
    const response = await register({
      Contact: `${PHONE};pub-gruu="sip:alice@ims.test;gr=x"`,
      Supported: 'path',
    });
    expect(response.lines('Contact').join()).not.toContain('gruu');
  });

  it('carries Path back, the Service-Route, and the implicit set with the default identity first', async () => {
    await subscribers.add({
      privateId: 'alice@ims.test',
      password: 'x',
      identities: ['sip:alice@ims.test', 'tel:+1-555-010-0001'],
    });
    const response = await register({
      To: '<tel:+15550100001>',
      From: '<tel:+15550100001>;tag=2',
      Contact: PHONE,
      Path: '<sip:edge.test;lr>',
    });
    expect(response.lines('P-Associated-URI')).toEqual(['<sip:alice@ims.test>, <tel:+15550100001>']);
    expect(response.lines('Path')).toEqual(['<sip:edge.test;lr>']);
    expect(response.lines('Service-Route')).toEqual(['<sip:orig@127.0.0.1:5060;lr>']);
    expect(await registrar.setOf('tel:+15550100001')).toBe('sip:alice@ims.test');
  });

  it('of a barred identity registers the others of its set, and shows it to nobody', async () => {
    const imsi = 'sip:001010000000001@ims.test';
    await subscribers.add({
      privateId: 'alice@ims.test',
      password: 'x',
      identities: [imsi, 'sip:alice@ims.test', 'tel:+15550100001'],
      barred: [imsi],
    });
    const To = `<${imsi}>`;
    const response = await register({ To, From: `${To};tag=1`, Contact: PHONE });
    expect(status(response)).toBe(200);
    expect(response.lines('P-Associated-URI')).toEqual(['<sip:alice@ims.test>, <tel:+15550100001>']);
    expect(param(response.lines('Contact')[0]!, 'pub-gruu')).toMatch(/^sip:alice@ims\.test;gr=/);
    const [binding] = (await registrar.lookup('sip:alice@ims.test'))!.bindings;
    expect(binding!.aor).toBe('sip:alice@ims.test');
    expect(await registrar.setOf(imsi)).toBeUndefined();
    await register({ To, From: `${To};tag=1`, Contact: `${PHONE};expires=0` });
    expect((await registrar.lookup('sip:alice@ims.test'))?.bindings ?? []).toEqual([]);
  });

  it('of a barred identity with no other in its set is refused', async () => {
    await subscribers.add({
      privateId: 'alice@ims.test',
      password: 'x',
      identities: ['sip:alice@ims.test', 'sip:other@ims.test'],
      barred: ['sip:alice@ims.test'],
      implicitSets: [['sip:alice@ims.test']],
    });
    expect(status(await register({ Contact: PHONE }))).toBe(403);
  });

  it.each([
    ['icid-value=1;orig-ioi=visited.test', 'icid-value=1;orig-ioi=visited.test;term-ioi=ims.test'],
    ['icid-value=1', undefined],
    ['icid-value="open;orig-ioi=x', undefined],
  ])('that a P-CSCF charges with %s is answered with %s', async (said, answered) => {
    registrar.close();
    await open({ trusted: new Set(['127.0.0.1']) });
    const response = await register({ Contact: PHONE, 'P-Charging-Vector': said });
    expect([status(response), response.lines('P-Charging-Vector')[0]]).toEqual([200, answered]);
    registrar.close();
    await open();
    expect(
      (await register({ Contact: PHONE, 'P-Charging-Vector': said })).lines('P-Charging-Vector'),
    ).toEqual([]);
  });

  it('without Contact only asks', async () => {
    await register({ Contact: PHONE });
    const response = await register({});
    expect(response.lines('Contact')).toHaveLength(1);
    expect(events).toHaveLength(1);
  });

  it('takes an interval over the maximum down to it, and refuses one below the minimum with Min-Expires', async () => {
    const long = await register({ Contact: `${PHONE};expires=600000` });
    expect(long.lines('Contact')[0]).toMatch(/;expires=7200$/);
    const brief = await register({ Contact: `${PHONE};expires=10` });
    expect(status(brief)).toBe(423);
    expect(brief.lines('Min-Expires')).toEqual(['60']);
    expect((await registrar.lookup('sip:alice@ims.test'))?.bindings[0]?.expiresAt).toBe(
      clock.now() + 7_200_000,
    );
  });

  it('lets the contact parameter win over the Expires header field', async () => {
    const response = await register({
      Contact: [`${PHONE};expires=100`, `<sip:b@127.0.0.1>`],
      Expires: '200',
    });
    expect(response.lines('Contact').map((line) => param(line, 'expires'))).toEqual(['100', '200']);
  });

  it('with the CSeq of an earlier one under the same Call-ID changes nothing', async () => {
    await register({ Contact: PHONE, CSeq: '20 REGISTER' });
    expect(status(await register({ Contact: `${PHONE};expires=0`, CSeq: '19 REGISTER' }))).toBe(500);
    expect((await registrar.lookup('sip:alice@ims.test'))?.bindings).toHaveLength(1);
  });

  it('changes nothing at all when one of its contacts is bad', async () => {
    const response = await register({ Contact: ['<sip:one@127.0.0.1>', `<sip:two@127.0.0.1>;q=7`] });
    expect(status(response)).toBe(400);
    expect(await registrar.lookup('sip:alice@ims.test')).toBeUndefined();
  });

  it('replaces the contact of a device that comes back at another address', async () => {
    await register({ Contact: PHONE });
    const response = await register({ Contact: `<sip:alice@127.0.0.1:6000>;${IMEI}`, 'Call-ID': 'call-2' });
    expect(response.lines('Contact')).toHaveLength(1);
    expect(response.lines('Contact')[0]).toContain(':6000');
  });

  it('keeps both contacts of one device when matching is by contact', async () => {
    await open({ matching: 'contact' });
    await register({ Contact: PHONE });
    const response = await register({ Contact: `<sip:alice@127.0.0.1:6000>;${IMEI}`, 'Call-ID': 'call-2' });
    expect(response.lines('Contact')).toHaveLength(2);
  });

  it('with Contact * removes everything, and only with Expires 0 and alone', async () => {
    await register({ Contact: [PHONE, TABLET] });
    expect(status(await register({ Contact: '*', Expires: '60' }))).toBe(400);
    expect(status(await register({ Contact: ['*', PHONE], Expires: '0' }))).toBe(400);
    const response = await register({ Contact: '*', Expires: '0' });
    expect(status(response)).toBe(200);
    expect(response.lines('Contact')).toEqual([]);
    expect(events.at(-1)?.changes.map(({ event }) => event)).toEqual(['unregistered', 'unregistered']);
  });

  it('removes one device and leaves the other', async () => {
    await register({ Contact: [PHONE, TABLET] });
    const response = await register({ Contact: `${PHONE};expires=0` });
    expect(response.lines('Contact')).toHaveLength(1);
    expect(response.lines('Contact')[0]).toContain(UUID);
  });

  it('for more contacts than allowed is refused', async () => {
    const contacts = [1, 2, 3, 4, 5].map((n) => `<sip:c${n}@127.0.0.1>`);
    expect(status(await register({ Contact: contacts }))).toBe(403);
    expect(status(await register({ Contact: contacts.slice(1) }))).toBe(200);
  });

  it('for another domain or an identity that does not exist is answered 404', async () => {
    await open({ openDomain: false });
    expect(status(await register({ To: '<sip:nobody@ims.test>', Contact: PHONE }))).toBe(404);
    expect(status(await register({ To: '<sip:alice@else.test>', Contact: PHONE }))).toBe(404);
  });

  it('refuses a device whose contact is the identity itself or its GRUU', async () => {
    expect(status(await register({ Contact: `<sip:alice@ims.test>;${IMEI}` }))).toBe(403);
    expect(status(await register({ Contact: `<sip:alice@ims.test;gr=urn:uuid:x>;${IMEI}` }))).toBe(403);
    expect(status(await register({ Contact: `<mailto:alice@ims.test>;${IMEI}` }))).toBe(403);
  });

  it('names the rule that an Instance ID breaks', async () => {
    const response = await register({ Contact: '<sip:a@127.0.0.1>;+sip.instance="<urn:uuid:12>"' });
    expect(response.sent).toMatchObject([{ status: 400, options: { reason: 'instance-id-uuid' } }]);
  });
});

describe('RFC 5626 at the registrar', () => {
  const flow = (id: number, port: number) => `<sip:alice@127.0.0.1:${port}>;reg-id=${id};${UUID}`;

  it('keeps one binding a flow, whatever its contact', async () => {
    await register({ Contact: flow(1, 5070), Supported: 'gruu, outbound' });
    await register({ Contact: flow(2, 5071), Supported: 'gruu, outbound', 'Call-ID': 'call-2' });
    const response = await register({ Contact: flow(1, 5099), Supported: 'gruu, outbound' });
    expect(response.lines('Contact')).toHaveLength(2);
    expect(response.lines('Require')).toEqual(['outbound']);
    expect(response.lines('Contact')[0]).toContain(':5099');
  });

  it('answers 439 when the first hop is an edge without outbound', async () => {
    const headers = { Contact: flow(1, 5070), Supported: 'path, outbound' };
    expect(status(await register({ ...headers, Path: '<sip:edge.test;lr>' }))).toBe(439);
    expect(status(await register({ ...headers, Path: '<sip:edge.test;lr;ob>' }))).toBe(200);
  });

  it('ignores reg-id from a device that does not support outbound', async () => {
    const response = await register({ Contact: flow(1, 5070), Supported: 'gruu' });
    expect(response.lines('Require')).toEqual([]);
    expect((await registrar.lookup('sip:alice@ims.test'))?.bindings[0]?.regId).toBeUndefined();
  });

  it('refuses more than one contact together with a reg-id', async () => {
    expect(status(await register({ Contact: [flow(1, 5070), TABLET], Supported: 'outbound' }))).toBe(400);
  });

  it('removes the bindings of a connection that closes', async () => {
    const source = { ...udpSource, protocol: 'tcp' as const, flow: 'tcp|7' };
    await register({ Contact: flow(1, 5070), Supported: 'outbound' }, source);
    await register({ Contact: PHONE, 'Call-ID': 'call-2' });
    await registrar.flowClosed('tcp|7');
    const bindings = (await registrar.lookup('sip:alice@ims.test'))?.bindings;
    expect(bindings).toHaveLength(1);
    expect(bindings?.[0]?.contact).toBe('sip:alice@127.0.0.1:5070');
  });

  it('forgets a connection that has closed', async () => {
    const source = { ...udpSource, protocol: 'tcp' as const, flow: 'tcp|7' };
    await register({ Contact: flow(1, 5070), Supported: 'outbound' }, source);
    await registrar.flowClosed('tcp|7');
    for await (const lost of registrar.connections.lost()) expect.unreachable(lost);
  });
});

it('what has to be done before a change is told holds up the 200, and every later change of the set', async () => {
  let done = (): void => {};
  const gate = new Promise<void>((resolve) => (done = resolve));
  let prepared = 0;
  registrar.beforeTold(() => (prepared++ === 0 ? gate : undefined));
  const first = register({ Contact: PHONE });
  await expect.poll(() => prepared).toBe(1);
  const second = register({ Contact: TABLET });
  await expect.poll(() => prepared).toBe(2);
  const third = registrar.deregister('sip:alice@ims.test', 'deactivated');
  const other = await register({ To: '<sip:bob@ims.test>', Contact: '<sip:bob@127.0.0.1:5070>' });
  expect(status(other)).toBe(200);
  await expect.poll(() => prepared).toBe(4);
  expect(events.map(({ set }) => set)).toEqual(['sip:bob@ims.test']);
  done();
  expect([status(await first), status(await second), (await third).length]).toEqual([200, 200, 2]);
  expect(events.slice(1).map(({ changes }) => changes.map(({ event }) => event))).toEqual([
    ['registered'],
    ['registered'],
    ['deactivated', 'deactivated'],
  ]);
});

describe('a temporary GRUU', () => {
  const issued = async (headers: Record<string, string> = {}): Promise<string> =>
    param((await register({ Contact: PHONE, ...headers })).lines('Contact')[0]!, 'temp-gruu')!;

  it('is a new one with every REGISTER, and the older ones stay valid', async () => {
    const first = await issued();
    const second = await issued();
    expect(second).not.toBe(first);
    for (const gruu of [first, second]) expect((await targetOf(gruu))?.kind).toBe('instance');
  });

  it('dies with all its elders when the device registers under a new Call-ID', async () => {
    const first = await issued();
    const second = await issued({ 'Call-ID': 'call-2' });
    expect((await targetOf(first))?.kind).toBe('invalid');
    expect((await targetOf(second))?.kind).toBe('instance');
  });

  it('dies when the last contact of its device goes, and does not come back with the same Call-ID', async () => {
    const first = await issued();
    await register({ Contact: `${PHONE};expires=0` });
    expect((await targetOf(first))?.kind).toBe('invalid');
    await issued();
    expect((await targetOf(first))?.kind).toBe('invalid');
  });

  it('lives while another flow of the device lives', async () => {
    const flow = (id: number) => ({
      Contact: `<sip:alice@127.0.0.1:507${id}>;reg-id=${id};${UUID}`,
      Supported: 'gruu, outbound',
      'Call-ID': `flow-${id}`,
    });
    const gruu = param((await register(flow(1))).lines('Contact')[0]!, 'temp-gruu')!;
    await register(flow(2));
    await register({ ...flow(1), Contact: `${flow(1).Contact};expires=0` });
    expect((await targetOf(gruu))?.kind).toBe('instance');
    await register({ ...flow(2), 'Call-ID': 'flow-2-again' });
    expect((await targetOf(gruu))?.kind).toBe('invalid');
  });

  it('that nobody issued is invalid', async () => {
    expect((await targetOf('sip:tgruu.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@ims.test;gr'))?.kind).toBe(
      'invalid',
    );
  });
});

describe('a public GRUU', () => {
  it('is the same after de-registration, stands for nobody meanwhile, and is unknown before the first registration', async () => {
    const gruu = 'sip:alice@ims.test;gr=urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf';
    expect((await targetOf(gruu))?.kind).toBe('invalid');
    await register({ Contact: PHONE });
    await register({ Contact: `${PHONE};expires=0` });
    const target = await targetOf(gruu);
    expect(target?.kind).toBe('instance');
    if (target?.kind === 'instance')
      expect(target.matches({ instanceKey: 'imei:35824005111111' })).toBe(false);
    const again = await register({ Contact: PHONE, 'Call-ID': 'call-9' });
    expect(param(again.lines('Contact')[0]!, 'pub-gruu')).toBe(gruu);
  });
});

describe('expiry', () => {
  it('acts: the binding goes and is announced as expired', async () => {
    await register({ Contact: `${PHONE};expires=100` });
    await register({ Contact: `${TABLET};expires=500`, 'Call-ID': 'call-2' });
    await clock.advanceAsync(102_000, 1_000);
    expect(events.at(-1)?.changes).toMatchObject([
      { event: 'expired', binding: { contact: 'sip:alice@127.0.0.1:5070' } },
    ]);
    expect((await registrar.lookup('sip:alice@ims.test'))?.bindings).toHaveLength(1);
  });

  it('is seen at once by a lookup, before it has acted', async () => {
    registrar.close();
    await register({ Contact: `${PHONE};expires=100` });
    clock.advance(100_001);
    expect((await registrar.lookup('sip:alice@ims.test'))?.bindings).toEqual([]);
  });
});

describe('de-registration by the network', () => {
  it('removes one device and tells the reason', async () => {
    await register({ Contact: [PHONE, TABLET] });
    const gone = await registrar.deregister(
      'sip:alice@ims.test',
      'deactivated',
      (binding) => binding.instanceKey === 'imei:35824005111111',
    );
    expect(gone).toHaveLength(1);
    expect(events.at(-1)?.changes).toMatchObject([{ event: 'deactivated' }]);
  });
});
