import { beforeEach, describe, expect, it } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import {
  acceptInvitation,
  acknowledge,
  cpmDevice,
  createGroup,
  descriptionIn,
  leaveGroup,
  MsrpClient,
} from '../tools/group-party.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';

let parley: RunningParley;
beforeEach(async () => {
  // a busy machine must make the server neither refuse work nor send it twice
  const timers = { t1: 10_000, t2: 10_000 };
  parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000, timers } });
  cleanups.push(() => parley.stop());
});
const cleanups = useCleanups();

async function device(user: string, instance: string): Promise<Phone & { gruu: string }> {
  const phone = await cpmDevice(user, instance, parley.port);
  cleanups.push(() => phone.close());
  return phone;
}

function msrp(name: string, description: Uint8Array): MsrpClient {
  const client = new MsrpClient(name, description);
  cleanups.push(() => client.close());
  return client;
}

const BOB = '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>';
const CAROL = '<entry uri="sip:carol@ims.test" cp:copyControl="to"/>';

describe('a group', () => {
  it.each([
    ['names nobody', '', 403],
    ['names only its creator', '<entry uri="sip:alice@ims.test"/>', 403],
    ['asks for another method', '<entry uri="sip:bob@ims.test;method=MESSAGE"/>', 400],
    ['cannot be read', '<entry', 400],
  ])('is refused when its list %s', async (_name, entries, status) => {
    const alice = await device('alice', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1');
    createGroup(alice, entries);
    expect((await alice.peer.response(200)).status).toBe(status);
  });

  it('tells its members who is there, and carries each message to all the others', async () => {
    const alice = await device('alice', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bc1');
    const bob = await device('bob', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb1');
    const mallory = await device('mallory', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb9');
    createGroup(alice, '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>');
    const toBob = await bob.peer.request('INVITE');
    acceptInvitation(bob, toBob);
    const created = await alice.peer.response(200);
    acknowledge(alice, created);
    const focus = created.contacts[0]!.uriText;

    alice.send('SUBSCRIBE', focus, { Event: 'conference', Expires: '3600' });
    const notify = await alice.peer.request('NOTIFY');
    alice.peer.answer(notify, 200);
    expect(Buffer.from(notify.body).toString()).toMatch(/state="full" version="0"[^]*<user-count>2</);

    for (const [method, headers] of [
      ['SUBSCRIBE', { Event: 'conference' }],
      ['REFER', { 'Refer-To': '<sip:carol@ims.test>' }],
      ['INVITE', {}],
    ] as const)
      expect((await mallory.ask(method, focus, headers)).status, method).toBe(403);
    expect(
      (await alice.ask('REFER', 'sip:gs-nothing@ims.test', { 'Refer-To': '<sip:carol@ims.test>' })).status,
    ).toBe(404);

    const aliceMsrp = msrp('alice', created.body);
    const bobMsrp = msrp('bob', descriptionIn(toBob));
    await bobMsrp.until(/MSRP open0001 200/);
    await aliceMsrp.until(/MSRP open0001 200/);
    aliceMsrp.say('say00001', 'sip:alice@ims.test', 'sip:anonymous@anonymous.invalid', 'Hello all');
    await bobMsrp.until(/Hello all/);
    await aliceMsrp.until(/MSRP say00001 200/);
    aliceMsrp.say('say00002', 'sip:carol@ims.test', focus, 'forged');
    await aliceMsrp.until(/MSRP say00002 403/);
    aliceMsrp.say('say00003', 'sip:alice@ims.test', 'sip:nobody@ims.test', 'private');
    await aliceMsrp.until(/MSRP say00003 404/);
    aliceMsrp.say('say00004', 'sip:alice@ims.test', focus, 'x', {
      fromPath: 'msrp://127.0.0.1:9/mallory;tcp',
    });
    await aliceMsrp.until(/MSRP say00004 481/);
  });

  it('leaves an event of each step in the trail, with the clause that it rests on', async () => {
    const alice = await device('alice', 'aaaaaaaa-0000-4000-8000-000000000001');
    const bob = await device('bob', 'bbbbbbbb-0000-4000-8000-000000000001');
    createGroup(alice, BOB, 'g-trail');
    acceptInvitation(bob, await bob.peer.request('INVITE'));
    const created = await alice.peer.response(200);
    acknowledge(alice, created);
    const focus = created.contacts[0]!.uriText;
    alice.send('SUBSCRIBE', focus, { Event: 'conference', Expires: '3600' });
    alice.peer.answer(await alice.peer.request('NOTIFY'), 200);
    const out = { 'Refer-To': '<sip:bob@ims.test;method=BYE>', 'Refer-Sub': 'false' };
    expect((await alice.ask('REFER', focus, out)).status).toBe(202);
    bob.peer.answer(await bob.peer.request('BYE'), 200);
    await leaveGroup(alice, created);
    const told = (): string[] =>
      parley.app.trail
        .recent({ trace: 'g-trail' })
        .filter(({ code }) => code.startsWith('group.'))
        .map(({ code, outcome, clause, detail }) => [code, outcome, clause, detail].join(' | '))
        .sort();
    await expect
      .poll(told)
      .toEqual([
        'group.invitation-accepted | noted | RFC 4353 §5.2 | sip:bob@ims.test',
        'group.joined | accepted | RFC 4353 §5.2 | sip:alice@ims.test',
        'group.left | noted | RFC 4353 §5.3 | sip:alice@ims.test for good',
        'group.referred | accepted | RFC 3515 §2.4.2 | sip:alice@ims.test: BYE sip:bob@ims.test',
        'group.removed | noted | RFC 4353 §5.3 | sip:bob@ims.test by sip:alice@ims.test',
        'group.session-ended | noted | RFC 4353 §5.4 | minimum',
        'group.started | accepted | RFC 5366 §5 | sip:alice@ims.test',
        'group.watched | accepted | RFC 4575 §3.5 | sip:alice@ims.test',
      ]);
  });

  it('that nobody accepted leaves nothing behind', async () => {
    const alice = await device('alice', 'aaaaaaaa-0000-4000-8000-000000000001');
    createGroup(alice, CAROL);
    expect((await alice.peer.response(200)).status).toBe(480);
    const left = async (): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { id } of parley.app.controlling!.groups.all()) ids.push(id);
      return ids;
    };
    await expect.poll(left).toEqual([]);
  });

  it('that is closed for good stays away when an invitation that rang is cancelled by it', async () => {
    const alice = await device('alice', 'aaaaaaaa-0000-4000-8000-000000000001');
    const bob = await device('bob', 'bbbbbbbb-0000-4000-8000-000000000001');
    const carol = await device('carol', 'cccccccc-0000-4000-8000-000000000001');
    createGroup(alice, BOB + CAROL);
    const ringing = await carol.peer.request('INVITE');
    carol.peer.answer(ringing, 180, { Contact: `<${carol.contact}>` }, 'carol');
    acceptInvitation(bob, await bob.peer.request('INVITE'));
    acknowledge(alice, await alice.peer.response(200));
    const { groups, controlling } = parley.app.controlling!;
    const stored = async (): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { id } of groups.all()) ids.push(id);
      return ids;
    };
    const [id] = await stored();
    await controlling.close(id!);
    carol.peer.answer(await carol.peer.request('CANCEL'), 200);
    carol.peer.answer(ringing, 487, {}, 'carol');
    await carol.peer.request('ACK');
    await expect
      .poll(() => parley.app.trail.recent({ code: 'group.invitation-refused' }).map(({ detail }) => detail))
      .toEqual(['sip:carol@ims.test 487']);
    expect(await stored()).toEqual([]);
  });
});
