import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { SipPeer } from '../tools/sip-peer.js';

const cleanups = useCleanups();
const [ALICE, TEL, LILY] = ['sip:alice@ims.test', 'tel:+15550100001', 'sip:lily@ims.test'];

async function server(implicitSets?: readonly (readonly string[])[]): Promise<RunningParley> {
  const parley = await startParley({
    auth: 'none',
    subscribers: [
      { privateId: 'alice@ims.test', password: 'x', identities: [ALICE, TEL, LILY], implicitSets },
    ],
    isc: { patience: 60_000 },
  });
  cleanups.push(() => parley.stop());
  return parley;
}

const identity = (uri: string, aliasGroup?: string): string =>
  `<PublicIdentity><Identity>${uri}</Identity>${
    aliasGroup === undefined
      ? ''
      : `<Extension><IdentityType>0</IdentityType><Extension><AliasIdentityGroupID>${aliasGroup}</AliasIdentityGroupID></Extension></Extension>`
  }</PublicIdentity>`;

const criterion = (priority: number, as: string, method: string): string =>
  `<InitialFilterCriteria><Priority>${priority}</Priority><TriggerPoint><ConditionTypeCNF>0</ConditionTypeCNF>
   <SPT><Group>0</Group><Method>${method}</Method></SPT></TriggerPoint>
   <ApplicationServer><ServerName>${as}</ServerName></ApplicationServer></InitialFilterCriteria>`;

const subscription = (...profiles: string[]): string =>
  `<IMSSubscription><PrivateID>alice@ims.test</PrivateID>${profiles
    .map((profile) => `<ServiceProfile>${profile}</ServiceProfile>`)
    .join('')}</IMSSubscription>`;

async function give(parley: RunningParley, body: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${parley.api}/api/v1/subscribers/alice@ims.test/profile`, {
    method: 'PUT',
    headers: { 'content-type': 'application/xml' },
    body,
  });
  return { status: response.status, text: await response.text() };
}

async function opened(): Promise<{ peer: SipPeer; uri: string }> {
  const peer = await SipPeer.open();
  cleanups.push(() => peer.close());
  return { peer, uri: `sip:as@127.0.0.1:${peer.port}` };
}

it('aliases have one profile and one implicit set: a call to either has the same services and the same devices', async () => {
  const parley = await server();
  const as = await opened();
  const profile = [identity(ALICE, '1'), identity(TEL, '1'), criterion(1, as.uri, 'MESSAGE')].join('');
  expect((await give(parley, subscription(profile))).status).toBe(200);
  const alice = await Phone.registered('alice', parley.port);
  cleanups.push(() => alice.close());
  for (const uri of [ALICE, TEL]) {
    alice.send('MESSAGE', uri);
    // of the caller, then of the callee
    for (const side of ['orig', 'term']) {
      const request = await as.peer.request('MESSAGE');
      expect(request.get('P-Served-User')).toContain(`sescase=${side}`);
      const copy = request.clone();
      copy.headers.shift('Route');
      copy.headers.prepend('Via', `SIP/2.0/UDP 127.0.0.1:${as.peer.port};branch=z9hG4bK${side}${uri.length}`);
      as.peer.send(copy, parley.port);
    }
    expect((await alice.answer('MESSAGE', 200)).uri).toBe(alice.contact);
  }
});

it.each([
  ['with two profiles', undefined, subscription(identity(ALICE, '1'), identity(TEL, '1')), 'are aliases'],
  [
    'in two implicit sets',
    [[ALICE], [TEL, LILY]],
    subscription(identity(ALICE, '1') + identity(TEL, '1')),
    'are aliases',
  ],
] as const)('aliases %s are refused', async (_name, sets, document, why) => {
  const { status, text } = await give(await server(sets), document);
  expect([status, text]).toEqual([400, expect.stringContaining(why)]);
});

it('identities that are no aliases of each other may have profiles of their own', async () => {
  const document = subscription(identity(ALICE, '1') + identity(TEL, '1'), identity(LILY, '2'));
  expect((await give(await server(), document)).status).toBe(200);
});

it('a shared set of criteria is the profile of its number, and one that is not here is refused', async () => {
  const parley = await server();
  const as = await opened();
  const shared = subscription(
    `${identity(ALICE)}<Extension><SharedIFCSetID>7</SharedIFCSetID><SharedIFCSetID>8</SharedIFCSetID></Extension>`,
  );
  const missing = await give(parley, shared);
  expect([missing.status, missing.text]).toEqual([400, expect.stringContaining('shared-ifc-7')]);
  for (const [set, method] of [
    [7, 'OPTIONS'],
    [8, 'MESSAGE'],
  ] as const) {
    const put = await fetch(`${parley.api}/api/v1/profiles/shared-ifc-${set}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        criteria: [{ priority: set, server: as.uri, trigger: { groups: [[{ method }]] } }],
      }),
    });
    expect(put.status).toBe(200);
  }
  expect((await give(parley, shared)).status).toBe(200);
  const alice = await Phone.registered('alice', parley.port);
  cleanups.push(() => alice.close());
  alice.send('MESSAGE', 'sip:bob@ims.test');
  as.peer.answer(await as.peer.request('MESSAGE'), 202);
  expect((await alice.peer.response(200)).status).toBe(202);
});

it('the criteria that the lab guide gives to paste have a core ask Parley for CPM, and tell it of registrations', async () => {
  const parley = await server();
  const file = readFileSync(join(import.meta.dirname, '../../docker/ifc.xml'), 'utf8');
  const criteria = /<ServiceProfile>(.*)<\/ServiceProfile>/s.exec(file)![1]!;
  const as = await opened();
  const pasted = criteria.replaceAll('sip:127.0.0.1:5070', as.uri);
  expect((await give(parley, subscription(identity(ALICE) + pasted))).status).toBe(200);
  const alice = await Phone.registered('alice', parley.port);
  cleanups.push(() => alice.close());
  const told = await as.peer.request('REGISTER');
  as.peer.answer(told, 200);
  expect(told.to.uriText).toBe(ALICE);
  const cpm = '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"';
  alice.send('MESSAGE', 'sip:bob@ims.test', { 'Accept-Contact': cpm });
  as.peer.answer(await as.peer.request('MESSAGE'), 202);
  expect((await alice.peer.response(200)).status).toBe(202);
  alice.send('MESSAGE', 'sip:bob@ims.test');
  expect((await alice.peer.response(200)).status).toBe(480);
  expect(as.peer.unread).toEqual([]);
});
