import { expect, it } from 'vitest';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { referenceValue } from '../../src/identity/feature-tags.js';
import { formatCpim } from '../../src/msrp/cpim/index.js';
import { formatImdn, IMDN_TYPE } from '../../src/msrp/imdn.js';
import { cpim, MessagingDevice } from '../cpm/messages/large-world.js';
import { establish, sessionsOf } from '../cpm/participating/session-world.js';
import { useCleanups } from '../tools/cleanups.js';
import { startCoreAndServer, type CoreAndServer } from '../tools/core-and-server.js';
import {
  acceptInvitation,
  acknowledge,
  cpmDevice,
  createGroup,
  descriptionIn,
  joinGroup,
  MsrpClient,
} from '../tools/group-party.js';
import { Phone } from '../tools/phone.js';

const cleanups = useCleanups();
const ALICE = '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1';
const CAROL = '6ca759e8-d1b1-5dee-95f9-e36d2aca6bd1';
const BOB = '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb1';

async function start(): Promise<CoreAndServer> {
  const started = await startCoreAndServer();
  cleanups.push(() => started.stop());
  return started;
}

/** Registers a device at the core, and waits until the server knows it. */
async function device({ core, server }: CoreAndServer, user: string, instance: string): Promise<Phone> {
  const phone = await cpmDevice(user, instance, core.port);
  cleanups.push(() => phone.close());
  const known = async (): Promise<unknown> =>
    (await server.app.devices.of(phone.aor)).map((one) => [one.contact, one.instance, one.publicGruu]);
  await expect
    .poll(known, { timeout: 60_000 })
    .toEqual([[phone.contact, `urn:uuid:${instance}`, `${phone.aor};gr=urn:uuid:${instance}`]]);
  return phone;
}

it('a 1-1 session passes the participating function behind another core on both sides', async () => {
  const both = await start();
  const [alice, bob] = [await device(both, 'alice', ALICE), await device(both, 'bob', BOB)];
  const { invite, answer, fromCaller, fromCallee } = await establish(alice, bob);
  // what the participating function does: it names the conversation, and shows devices by their GRUUs
  expect(invite.has('Conversation-ID')).toBe(true);
  expect(invite.contacts[0]!.uriText).toBe(`${alice.aor};gr=urn:uuid:${ALICE}`);
  expect(answer.contacts[0]!.uriText).toBe(`${bob.aor};gr=urn:uuid:${BOB}`);
  expect(await sessionsOf(both.server)).toMatchObject([
    { caller: { user: alice.aor }, callee: { user: bob.aor } },
  ]);
  alice.send('INFO', fromCaller.uri, fromCaller.headers);
  await bob.answer('INFO', 200);
  expect((await alice.peer.response(200)).status).toBe(200);
  bob.send('BYE', fromCallee.uri, fromCallee.headers);
  await alice.answer('BYE', 200);
  await bob.peer.response(200);
  await expect.poll(() => sessionsOf(both.server), { timeout: 60_000 }).toEqual([]);
});

it('a message to a user without device waits behind the core, and is delivered once when the user registers', async () => {
  const both = await start();
  const alice = await device(both, 'alice', ALICE);
  const pager = { 'Content-Type': 'text/plain', 'P-Preferred-Service': cpmServices.message };
  alice.send('MESSAGE', 'sip:bob@ims.test', pager, 'later');
  expect((await alice.peer.response(200)).status).toBe(202);
  const bob = await Phone.open('bob', both.core.port);
  cleanups.push(() => bob.close());
  bob.send('REGISTER', 'sip:ims.test', {
    To: `<${bob.aor}>`,
    Contact: `<${bob.contact}>;+g.3gpp.icsi-ref="${referenceValue([cpmServices.message])}"`,
  });
  const delivered = await bob.answer('MESSAGE', 200);
  expect(Buffer.from(delivered.body).toString()).toBe('later');
  expect(delivered.addresses('P-Asserted-Identity')[0]!.uriText).toBe(alice.aor);
  alice.send('MESSAGE', bob.aor, pager, 'now');
  expect(Buffer.from((await bob.answer('MESSAGE', 200)).body).toString()).toBe('now');
  expect((await alice.peer.response(200)).status).toBeLessThan(300);
});

it('a notification goes back to the device that sent the message behind the core, and to no other of its user', async () => {
  const { core, server } = await start();
  const [alice, tablet, bob] = await Promise.all(
    [
      ['alice', ALICE],
      ['alice', CAROL],
      ['bob', BOB],
    ].map(([user, id]) =>
      MessagingDevice.open(user!, core.port, {
        instance: `urn:uuid:${id}`,
        services: [cpmServices.message, cpmServices.largeMessage],
      }),
    ),
  );
  for (const one of [tablet!, alice!, bob!]) expect((await one.register()).status).toBe(200);
  const known = async (aor: string): Promise<number> => (await server.app.devices.of(aor)).length;
  await expect.poll(() => known(alice!.aor), { timeout: 60_000 }).toBe(2);
  await expect.poll(() => known(bob!.aor), { timeout: 60_000 }).toBe(1);
  // without Contact (RFC 3428 §4): the address in its Via tells the device
  expect((await alice!.page(bob!.aor, cpim('hello', 'm-1'))).status).toBe(200);
  const notification = formatCpim({
    from: { name: '', uri: bob!.aor },
    to: [{ name: '', uri: alice!.aor }],
    mime: [
      ['Content-Type', IMDN_TYPE],
      ['Content-Disposition', 'notification'],
    ],
    content: Buffer.from(
      formatImdn({
        messageId: 'm-1',
        dateTime: '2026-11-26T10:00:00Z',
        kind: 'delivery',
        status: 'delivered',
      }),
    ),
  });
  expect((await bob!.page(alice!.aor, notification)).status).toBe(200);
  expect([alice!.got.length, tablet!.got.length]).toEqual([1, 0]);
  expect(alice!.got[0]!.octets.equals(notification)).toBe(true);
});

it('a group is made behind another core, talks, and hears who leaves', async () => {
  const both = await start();
  const [alice, bob] = [await device(both, 'alice', ALICE), await device(both, 'bob', BOB)];
  const carol = await device(both, 'carol', CAROL);
  createGroup(alice, '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>');
  const toBob = await bob.peer.request('INVITE');
  acceptInvitation(bob, toBob);
  const created = await alice.peer.response(200);
  expect(created.status).toBe(200);
  acknowledge(alice, created);
  await bob.peer.request('ACK');
  const [aliceMsrp, bobMsrp] = [
    new MsrpClient('alice', created.body),
    new MsrpClient('bob', descriptionIn(toBob)),
  ];
  cleanups.push(
    () => aliceMsrp.close(),
    () => bobMsrp.close(),
  );
  await bobMsrp.until(/MSRP open0001 200/);
  await aliceMsrp.until(/MSRP open0001 200/);
  aliceMsrp.say('say00001', alice.aor, 'sip:anonymous@anonymous.invalid', 'Hello all');
  await bobMsrp.until(/Hello all/);
  const focus = created.contacts[0]!.uriText;
  alice.send('SUBSCRIBE', focus, { Event: 'conference', Expires: '3600' });
  expect((await alice.peer.response(200)).status).toBe(200);
  expect(await counted(alice)).toBe('2');
  alice.send('REFER', focus, { 'Refer-To': '<sip:carol@ims.test>', 'Refer-Sub': 'false' });
  expect((await alice.peer.response(200)).status).toBe(202);
  const toCarol = await carol.peer.request('INVITE');
  acceptInvitation(carol, toCarol);
  await carol.peer.request('ACK');
  await until(alice, '3');
  bob.send('BYE', toBob.contacts[0]!.uriText, {
    Route: toBob.headers.list('Record-Route'),
    From: `${toBob.get('To')};tag=bob`,
    To: toBob.get('From'),
    'Call-ID': toBob.callId,
  });
  expect((await bob.peer.response(200)).status).toBe(200);
  await until(alice, '2');
  joinGroup(bob, focus);
  const again = await bob.peer.response(200);
  expect(again.status).toBe(200);
  acknowledge(bob, again);
  await until(alice, '3');
});

/** How many the next NOTIFY of a conference counts. */
async function counted(phone: Phone): Promise<string | undefined> {
  const notify = await phone.answer('NOTIFY', 200);
  return /<user-count>(\d+)</.exec(Buffer.from(notify.body).toString())?.[1];
}

async function until(phone: Phone, count: string): Promise<void> {
  while ((await counted(phone)) !== count);
}
