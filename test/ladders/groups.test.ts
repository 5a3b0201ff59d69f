import { afterAll, beforeAll, expect, it } from 'vitest';
import { accept, CAROL, cast, created, type Cast } from '../cpm/controlling/extension-world.js';
import { rejoin } from '../cpm/controlling/meeting.js';
import { cpmDevice, createGroup, leaveGroup } from '../tools/group-party.js';
import type { Phone } from '../tools/phone.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { SipRequest, type SipResponse } from '../../src/sip/message/message.js';
import { Figure, type Step } from './figure.js';

let parley: RunningParley;
const cleanups: (() => unknown)[] = [];
let party: Cast;
beforeAll(async () => {
  // a busy machine must make the server neither refuse work nor send it twice
  const timers = { t1: 10_000, t2: 10_000 };
  parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000, timers } });
  party = await cast(parley.port, cleanups);
});
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
  await parley.stop();
});

interface Made {
  readonly focus: string;
  readonly answer: SipResponse;
  readonly toCarol: SipRequest;
}

async function make({ alice, bob, carol }: Cast, contribution: string): Promise<Made> {
  createGroup(alice, `<entry uri="${bob.gruu}" cp:copyControl="to"/>${CAROL}`, contribution);
  const [toBob, toCarol] = await Promise.all([bob.peer.request('INVITE'), carol.peer.request('INVITE')]);
  await accept(bob, toBob);
  const { focus, answer } = await created(alice);
  await accept(carol, toCarol);
  return { focus, answer, toCarol };
}

/** Takes so many messages, whatever their order, and answers the NOTIFYs. */
async function hears({ peer }: Phone, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const message = await peer.next();
    if (message instanceof SipRequest) peer.answer(message, 200);
  }
}

/** The whole state comes. */
async function watch(phone: Phone, focus: string): Promise<void> {
  phone.send('SUBSCRIBE', focus, { Event: 'conference', Expires: '3600' });
  await hears(phone, 2);
}

const watching = (name: string): readonly Step[] => [
  [name, 'parley', /^SUBSCRIBE/, 'SUBSCRIBE'],
  ['parley', name, /^SIP\/2\.0 200/, 'SUBSCRIBE'],
  ['parley', name, /^NOTIFY/, 'NOTIFY'],
  [name, 'parley', /^SIP\/2\.0 200/, 'NOTIFY'],
];

const invited = (name: string): readonly Step[] => [
  [name, 'parley', /^SIP\/2\.0 200/, 'INVITE'],
  ['parley', name, /^ACK/, 'ACK'],
];

it('draws how a group is made', async () => {
  const { alice, bob, carol } = party;
  const figure = new Figure(
    'A group is made',
    'Alice invites Bob and Carol by the conference factory (RFC 5366). Both ring at once; she has her 200 when the first of them accepts, and then watches the group (RFC 4575).',
    parley.port,
    { alice, bob, carol },
  );
  const { focus } = await make(party, 'g1');
  await watch(alice, focus);
  const page = figure.draw([
    ['alice', 'parley', /^INVITE sip:conference-factory/, 'INVITE'],
    ['parley', 'alice', /^SIP\/2\.0 183/, 'INVITE'],
    ['parley', 'bob', /^INVITE/, 'INVITE'],
    ['parley', 'carol', /^INVITE/, 'INVITE'],
    ...invited('bob'),
    ['parley', 'alice', /^SIP\/2\.0 200/, 'INVITE'],
    ['alice', 'parley', /^ACK/, 'ACK'],
    ...invited('carol'),
    ...watching('alice'),
  ]);
  await expect(page).toMatchFileSnapshot('../../docs/ladders/group-creation.md');
});

it('draws how a member comes back into its group', async () => {
  const { alice, carol } = party;
  const { focus, toCarol } = await make(party, 'g2');
  const figure = new Figure(
    'A member comes back',
    'Carol leaves with a BYE that does not say that she has left for good, and comes back to the group session identity with nothing but her description. To a group that has no sessions any more, and after a restart of the server, the same INVITE leads as well.',
    parley.port,
    { carol },
  );
  await leaveGroup(carol, toCarol, 'SIP;cause=480;text="Bearer lost"');
  await rejoin(carol, focus, cleanups);
  await watch(carol, focus);
  const page = figure.draw([
    ['carol', 'parley', /^BYE/, 'BYE'],
    ['parley', 'carol', /^SIP\/2\.0 200/, 'BYE'],
    ['carol', 'parley', /^INVITE/, 'INVITE'],
    ['parley', 'carol', /^SIP\/2\.0 200/, 'INVITE'],
    ['carol', 'parley', /^ACK/, 'ACK'],
    ...watching('carol'),
  ]);
  await expect(page).toMatchFileSnapshot('../../docs/ladders/group-joining.md');
  expect(alice.peer.unread.filter((message) => 'method' in message && message.method === 'BYE')).toEqual([]);
});

it('draws how a member adds somebody by REFER', async () => {
  const { alice } = party;
  const dave = await cpmDevice('dave', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bd4', parley.port);
  cleanups.push(() => dave.close());
  const { focus, answer } = await make(party, 'g3');
  const figure = new Figure(
    'A member adds somebody',
    "Alice asks the focus inside her dialog to invite Dave (RFC 4579 §5.5), and hears of it as the REFER's subscription tells (RFC 3515).",
    parley.port,
    { alice, dave },
  );
  alice.send('REFER', focus, {
    Route: answer.headers.list('Record-Route').reverse(),
    From: answer.get('From'),
    To: answer.get('To'),
    'Call-ID': answer.callId,
    'Refer-To': '<sip:dave@ims.test>',
  });
  await hears(alice, 2);
  await accept(dave, await dave.peer.request('INVITE'));
  await hears(alice, 1);
  const page = figure.draw([
    ['alice', 'parley', /^REFER/, 'REFER'],
    ['parley', 'alice', /^SIP\/2\.0 202/, 'REFER'],
    ['parley', 'alice', /^NOTIFY[^]*SIP\/2\.0 100/, 'NOTIFY'],
    ['alice', 'parley', /^SIP\/2\.0 200/, 'NOTIFY'],
    ['parley', 'dave', /^INVITE/, 'INVITE'],
    ...invited('dave'),
    ['parley', 'alice', /^NOTIFY[^]*SIP\/2\.0 200/, 'NOTIFY'],
    ['alice', 'parley', /^SIP\/2\.0 200/, 'NOTIFY'],
  ]);
  await expect(page).toMatchFileSnapshot('../../docs/ladders/group-adding.md');
});

it('draws how the chairman removes a member by REFER', async () => {
  const { alice, carol } = party;
  const { focus, answer } = await make(party, 'g4');
  const figure = new Figure(
    'The chairman removes a member',
    'Alice, who made the group, asks the focus inside her dialog to put Carol out (RFC 4579 §5.11): the focus ends the session of each of her devices, and says why. Whoever is removed does not get back in (403).',
    parley.port,
    { alice, carol },
  );
  alice.send('REFER', focus, {
    Route: answer.headers.list('Record-Route').reverse(),
    From: answer.get('From'),
    To: answer.get('To'),
    'Call-ID': answer.callId,
    'Refer-To': '<sip:carol@ims.test;method=BYE>',
  });
  carol.peer.answer(await carol.peer.request('BYE'), 200);
  await hears(alice, 3);
  carol.send('INVITE', focus, {}, '');
  expect((await carol.peer.response(200)).status).toBe(403);
  const page = figure.draw([
    ['alice', 'parley', /^REFER/, 'REFER'],
    ['parley', 'alice', /^SIP\/2\.0 202/, 'REFER'],
    ['parley', 'carol', /^BYE/, 'BYE'],
    ['carol', 'parley', /^SIP\/2\.0 200/, 'BYE'],
    ['parley', 'alice', /^NOTIFY[^]*SIP\/2\.0 100/, 'NOTIFY'],
    ['alice', 'parley', /^SIP\/2\.0 200/, 'NOTIFY'],
    ['parley', 'alice', /^NOTIFY[^]*SIP\/2\.0 200/, 'NOTIFY'],
    ['alice', 'parley', /^SIP\/2\.0 200/, 'NOTIFY'],
    ['carol', 'parley', /^INVITE/, 'INVITE'],
    ['parley', 'carol', /^SIP\/2\.0 403/, 'INVITE'],
  ]);
  await expect(page).toMatchFileSnapshot('../../docs/ladders/group-removal.md');
});
