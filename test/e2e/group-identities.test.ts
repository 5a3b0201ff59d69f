import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Group } from '../../src/cpm/controlling/group.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { accept, created } from '../cpm/controlling/extension-world.js';
import {
  acceptInvitation,
  acknowledge,
  cpmDevice,
  createGroup,
  descriptionIn,
  joinGroup,
  MsrpClient,
} from '../tools/group-party.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';

const BOBS_NUMBER = 'tel:+15550100002';
const BOB = '<entry uri="sip:bob@ims.test" cp:copyControl="to"/>';
const NUMBER = `<entry uri="${BOBS_NUMBER}" cp:copyControl="to"/>`;

let parley: RunningParley;
let alice: Phone;
let bob: Phone;
let carol: Phone;
const clients: MsrpClient[] = [];

beforeAll(async () => {
  parley = await startParley({
    auth: 'none',
    sip: { timers: { t1: 10_000, t2: 10_000 } },
    subscribers: ['alice', 'bob', 'carol'].map((name, index) => ({
      privateId: `${name}@ims.test`,
      password: `${name}-secret`,
      identities: [`sip:${name}@ims.test`, `tel:+1555010000${index + 1}`],
    })),
  });
  const uuid = (n: number): string => `6ca759e8-d1b1-5dee-95f9-e36d2aca6d0${n}`;
  alice = await cpmDevice('alice', uuid(1), parley.port);
  bob = await cpmDevice('bob', uuid(2), parley.port);
  carol = await cpmDevice('carol', uuid(3), parley.port);
});
afterAll(async () => {
  for (const client of clients) client.close();
  for (const phone of [alice, bob, carol]) phone.close();
  await parley.stop();
});

const groupOf = async (focus: string): Promise<Group> =>
  (await parley.app.controlling!.groups.get(/sip:([^@]+)/.exec(focus)![1]!))!;
const members = async (focus: string): Promise<string[]> =>
  (await groupOf(focus)).members.map(({ identity, state }) => `${identity} ${state}`);

function msrp(name: string, description: Uint8Array): MsrpClient {
  const client = new MsrpClient(name, description);
  clients.push(client);
  return client;
}

const octetsOf = (request: SipRequest, { peer }: Phone): string =>
  peer.datagrams.map(String).find((text) => text.startsWith('INVITE') && text.includes(request.callId))!;

describe('a user with several identities', () => {
  it('is invited once, and is one member whichever of them it comes with', async () => {
    createGroup(alice, NUMBER + BOB + '<entry uri="tel:+15550100001"/>', 'one-user');
    const invite = await bob.peer.request('INVITE');
    await accept(bob, invite);
    const { focus } = await created(alice);
    expect(await members(focus)).toEqual(['sip:alice@ims.test connected', `${BOBS_NUMBER} connected`]);
    expect(bob.peer.unread).toEqual([]);

    const preferred = { 'P-Preferred-Identity': '<sip:bob@ims.test>' };
    const subscribed = await bob.ask('SUBSCRIBE', focus, { Event: 'conference', ...preferred });
    expect(subscribed.status).toBe(200);
    const notify = await bob.peer.request('NOTIFY');
    bob.peer.answer(notify, 200);
    expect(Buffer.from(notify.body).toString()).toMatch(
      /<user entity="tel:\+15550100002" state="full" yourown="true">/,
    );
    // one who is in already is not invited again under another name
    expect((await alice.ask('REFER', focus, { 'Refer-To': '<sip:bob@ims.test>' })).status).toBe(202);
    expect(await members(focus)).toHaveLength(2);

    joinGroup(bob, focus, 'one-user');
    const joined = await bob.peer.response(200);
    acknowledge(bob, joined);
    const [member] = (await groupOf(focus)).members.slice(1);
    expect([member!.identity, member!.endpoints.length]).toEqual([BOBS_NUMBER, 2]);

    expect((await alice.ask('REFER', focus, { 'Refer-To': '<sip:bob@ims.test;method=BYE>' })).status).toBe(
      202,
    );
    for (let session = 0; session < 2; session++) bob.peer.answer(await bob.peer.request('BYE'), 200);
    expect(await members(focus)).toContain(`${BOBS_NUMBER} removed`);
    joinGroup(bob, focus, 'one-user');
    expect((await bob.peer.response(200)).status).toBe(403);
    expect(bob.peer.unread.filter((message) => 'method' in message && message.method === 'INVITE')).toEqual(
      [],
    );
  });

  it('that lists only itself names nobody', async () => {
    createGroup(alice, '<entry uri="tel:+1-555-010-0001"/>', 'alone');
    expect((await alice.peer.response(200)).status).toBe(403);
  });

  it('is put into a group and out of it by each of them through the API', async () => {
    const call = (method: string, path: string, body?: object) =>
      fetch(`${parley.api}/api/v1/groups${path}`, {
        method,
        ...(body && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
      });
    const order = { name: 'kept', chairman: 'tel:+15550100001', members: ['sip:bob@ims.test', BOBS_NUMBER] };
    const group = (await (await call('POST', '', order)).json()) as Group;
    expect(group.members.map(({ identity }) => identity)).toEqual(['tel:+15550100001', 'sip:bob@ims.test']);
    await call('POST', '/gs-kept/members', { identity: 'sip:alice@ims.test' });
    expect((await call('DELETE', `/gs-kept/members/${encodeURIComponent(BOBS_NUMBER)}`)).status).toBe(204);
    expect(await members('sip:gs-kept@ims.test')).toEqual([
      'tel:+15550100001 away',
      'sip:bob@ims.test removed',
    ]);
  });
});

describe('a creator that asks for privacy', () => {
  it('is known to nobody: not by the invitation, the conference state nor its messages', async () => {
    createGroup(alice, BOB, 'private', {
      Privacy: 'id',
      'P-Preferred-Identity': '<sip:alice@ims.test>',
    });
    const invite = await bob.peer.request('INVITE');
    const alias = /<(sip:anonymous-[^@]+@anonymous\.invalid)>/.exec(invite.get('Referred-By')!)![1]!;
    expect(octetsOf(invite, bob)).not.toMatch(/alice/);
    acceptInvitation(bob, invite);
    await bob.peer.request('ACK');
    const { focus, description } = await created(alice);
    await bob.ask('SUBSCRIBE', focus, { Event: 'conference' });
    const notify = await bob.peer.request('NOTIFY');
    bob.peer.answer(notify, 200);
    const state = Buffer.from(notify.body).toString();
    expect(state).toContain(`<user entity="${alias}"`);
    expect(state).not.toMatch(/alice/);

    const [hers, his] = [msrp('alice', description), msrp('bob', descriptionIn(invite))];
    for (const client of [hers, his]) await client.until(/MSRP open0001 200/);
    hers.say('say00002', 'sip:alice@ims.test', 'sip:anonymous@anonymous.invalid', 'Guess who');
    await his.until(/Guess who/);
    expect(his.text).toContain(`From: <${alias}>`);
    expect(his.text).not.toMatch(/alice@/);
    // whom she adds does not learn it either
    const referred = await alice.ask('REFER', focus, { 'Refer-To': '<sip:carol@ims.test>' });
    expect(referred.status).toBe(202);
    const added = await carol.peer.request('INVITE');
    expect(added.get('Referred-By')).toBe(`<${alias}>`);
    expect(octetsOf(added, carol)).not.toMatch(/alice/);
    carol.peer.answer(added, 603, {}, 'carol');
  });
});
