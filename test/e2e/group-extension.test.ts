import { describe, expect, it } from 'vitest';
import {
  accept,
  bobEntry,
  CAROL,
  cast,
  created,
  endOneToOne,
  entryForms,
  extend,
  ONE_TO_ONE,
  oneToOne,
  type Cast,
} from '../cpm/controlling/extension-world.js';
import { establish, sessionsOf, setPolicy, type Session } from '../cpm/participating/session-world.js';
import { useCleanups } from '../tools/cleanups.js';
import {
  CPM_FEATURES,
  createGroup,
  cpmDevice,
  descriptionIn,
  joinGroup,
  acknowledge,
  MsrpClient,
} from '../tools/group-party.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';

const cleanups = useCleanups();
// a busy machine must make the server neither refuse work nor send it twice
const patient = { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } };
const EVERYBODY = 'sip:anonymous@anonymous.invalid';

async function server(settings: Record<string, unknown> = {}): Promise<RunningParley> {
  const parley = await startParley({ auth: 'none', sip: patient, ...settings });
  cleanups.push(() => parley.stop());
  return parley;
}

function msrp(name: string, description: Uint8Array): MsrpClient {
  const client = new MsrpClient(name, description);
  cleanups.push(() => client.close());
  return client;
}

/** Contribution-IDs of the sessions of alice and bob with each other. */
const privately = async (parley: RunningParley): Promise<unknown[]> =>
  (await sessionsOf(parley))
    .filter(({ caller, callee }) => [caller, callee].every(({ user }) => /sip:(?:alice|bob)@/.test(user)))
    .map(({ contributionId }) => contributionId)
    .sort();

const requestsAt = ({ peer }: Phone): unknown[] => peer.unread.filter((message) => 'method' in message);

describe('the extension of a 1-1 session to a group (Figure 9)', () => {
  it.each(entryForms)(
    'invites by %s only the device of the session, which ends only that session on its old way',
    async (_form, entry) => {
      const parley = await server();
      const party = await cast(parley.port, cleanups);
      const { alice, bob, bobsOther, carol } = party;
      const session = await oneToOne(party);
      await establish(alice, bobsOther, { 'Contribution-ID': 'other' }, bobsOther.gruu);
      await expect.poll(() => privately(parley)).toEqual([ONE_TO_ONE, 'other']);

      const { toBob, toCarol } = await extend(party, entry(bob));
      expect(toBob.get('Session-Replaces')).toBe(ONE_TO_ONE);
      expect(toCarol.has('Session-Replaces')).toBe(false);
      for (const invite of [toBob, toCarol]) {
        expect(invite.get('Contact')).toMatch(/^<sip:gs-[^>]+@ims\.test;gr>;isfocus/);
        expect(invite.get('Contribution-ID')).toBe('g77');
        expect(invite.get('Conversation-ID')).toBe('k2');
        expect(invite.get('Subject')).toBe('Trip planning');
        expect(invite.get('Referred-By')).toBe('<sip:alice@ims.test>');
        const text = Buffer.from(invite.body).toString();
        expect(text).toContain('<entry uri="sip:bob@ims.test" cp:copyControl="to"/>');
        expect(text).toContain('<entry uri="sip:carol@ims.test" cp:copyControl="to"/>');
        expect(text).not.toMatch(/Session-Replaces|Accept-Contact|;gr/);
      }
      await accept(bob, toBob);
      const { focus, description } = await created(alice);
      const bye = await endOneToOne(party, session);
      expect(bye.callId).toBe(session.invite.callId);
      expect(bye.headers.has('Route')).toBe(false);
      await accept(carol, toCarol);
      await expect.poll(() => privately(parley)).toEqual(['other']);

      const talkers = [
        msrp('bob', descriptionIn(toBob)),
        msrp('carol', descriptionIn(toCarol)),
        msrp('alice', description),
      ];
      for (const talker of talkers) await talker.until(/MSRP open0001 200/);
      talkers[2]!.say('say00001', 'sip:alice@ims.test', focus, 'Now we are three');
      for (const listener of talkers.slice(0, 2)) await listener.until(/Now we are three/);
      expect(requestsAt(bobsOther)).toEqual([]);
    },
  );

  it.each<
    [
      string,
      (party: Cast, steps: Record<'first' | 'second' | 'end', () => Promise<unknown>>) => Promise<void>,
    ]
  >([
    [
      'carol has answered before bob',
      async ({ alice }, { first, second, end }) => {
        await second();
        await created(alice);
        await first();
        await end();
      },
    ],
    [
      'bob and carol answer at once',
      async ({ alice }, { first, second, end }) => {
        await Promise.all([first(), second(), created(alice)]);
        await end();
      },
    ],
    [
      'bob has ended the session before carol answers',
      async ({ alice }, { first, second, end }) => {
        await first();
        await created(alice);
        await end();
        await second();
      },
    ],
  ])('comes about when %s', async (_order, run) => {
    const parley = await server();
    const party = await cast(parley.port, cleanups);
    const session = await oneToOne(party);
    const { toBob, toCarol } = await extend(party);
    await run(party, {
      first: () => accept(party.bob, toBob),
      second: () => accept(party.carol, toCarol),
      end: () => endOneToOne(party, session),
    });
    await expect.poll(() => privately(parley)).toEqual([]);
    const { controlling } = parley.app.controlling!;
    const [group] = [...controlling.running].map((focus) => focus.group);
    expect(group!.members.map(({ identity, state }) => `${identity} ${state}`)).toEqual([
      'sip:alice@ims.test connected',
      'sip:bob@ims.test connected',
      'sip:carol@ims.test connected',
    ]);
    expect(requestsAt(party.bobsOther)).toEqual([]);
  });

  it.each([
    ['refuses', 603],
    ['is busy', 486],
  ])('goes on with carol when bob %s, and the 1-1 session stays', async (_why, status) => {
    const parley = await server();
    const party = await cast(parley.port, cleanups);
    const session = await oneToOne(party);
    const { toBob, toCarol } = await extend(party);
    party.bob.peer.answer(toBob, status, {}, 'bob');
    await accept(party.carol, toCarol);
    const { focus } = await created(party.alice);
    await expect
      .poll(() => parley.app.trail.recent({ code: 'group.invitation-refused' }).map(({ detail }) => detail))
      .toEqual([`sip:bob@ims.test ${status}`]);
    expect(await privately(parley)).toEqual([ONE_TO_ONE]);
    expect(requestsAt(party.bobsOther)).toEqual([]);
    // who declined may still be asked again
    const again = await party.alice.ask('REFER', focus, { 'Refer-To': '<sip:bob@ims.test>' });
    expect(again.status).toBe(202);
    await endOneToOne(party, session);
  });

  it('cancels the invitation of a device that does not answer, and the 1-1 session stays', async () => {
    const parley = await server({ cpm: { groups: { ringing: 1 } } });
    const party = await cast(parley.port, cleanups);
    const session = await oneToOne(party);
    createGroup(party.alice, bobEntry(party.bob.gruu));
    const toBob = await party.bob.peer.request('INVITE');
    party.bob.peer.answer(toBob, 180, {}, 'bob');
    const cancel = await party.bob.peer.request('CANCEL');
    expect(cancel.get('Reason')).toContain('No answer');
    party.bob.peer.answer(cancel, 200, {}, 'bob');
    party.bob.peer.answer(toBob, 487, {}, 'bob');
    expect((await party.alice.peer.response(200)).status).toBe(480);
    expect(await privately(parley)).toEqual([ONE_TO_ONE]);
    expect(requestsAt(party.bobsOther)).toEqual([]);
    await endOneToOne(party, session);
  });

  it("does not try bob's other device when that of the 1-1 session is gone", async () => {
    const parley = await server();
    const party = await cast(parley.port, cleanups);
    await oneToOne(party);
    const { alice, bob, bobsOther, carol } = party;
    const gone = await bob.register(`;+sip.instance="<urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bb1>"`, {
      Expires: '0',
    });
    expect(gone.status).toBe(200);
    createGroup(alice, bobEntry(bob.gruu) + CAROL);
    await accept(carol, await carol.peer.request('INVITE'));
    await created(alice);
    await expect
      .poll(() => parley.app.trail.recent({ code: 'group.invitation-refused' }).map(({ detail }) => detail))
      .toEqual(['sip:bob@ims.test 480']);
    expect(requestsAt(bobsOther)).toEqual([]);
  });

  it.each<[string, (session: Session) => string]>([
    ['its Contribution-ID', () => ONE_TO_ONE],
    ['the target of its dialog, as older clients do', ({ answer }) => answer.contacts[0]!.uriText],
  ])(
    'by %s asks no other device when that of the session has no Instance ID to name it by',
    async (_how, nameOf) => {
      const parley = await server();
      const { alice, bob, carol } = await cast(parley.port, cleanups);
      const plain = async (user: string): Promise<Phone> => {
        const phone = await Phone.registered(user, parley.port, CPM_FEATURES);
        cleanups.push(() => phone.close());
        return phone;
      };
      const [first, second] = [await plain('erin'), await plain('erin')];
      const rung = second.peer.request('INVITE').then(async (invite) => {
        second.peer.answer(invite, 180, {}, 'second');
        second.peer.answer(await second.peer.request('CANCEL'), 200, {}, 'second');
        second.peer.answer(invite, 487, {}, 'second');
        await second.peer.request('ACK');
      });
      const name = nameOf(await establish(alice, first, { 'Contribution-ID': ONE_TO_ONE }));
      await rung;
      await expect.poll(() => sessionsOf(parley)).toHaveLength(1);
      const entry = bobEntry('sip:erin@ims.test', `Session-Replaces=${encodeURIComponent(name)}`);
      createGroup(alice, entry + CAROL);
      await accept(carol, await carol.peer.request('INVITE'));
      await created(alice);
      await expect
        .poll(() => parley.app.trail.recent({ code: 'group.invitation-refused' }).map(({ detail }) => detail))
        .toEqual(['sip:erin@ims.test 480']);
      expect(parley.app.trail.recent({ code: 'cpm-replaced-device' })).toHaveLength(1);
      for (const phone of [first, second, bob]) expect(requestsAt(phone)).toEqual([]);
      // alone it is the device that is meant
      await second.register(CPM_FEATURES, { Expires: '0' });
      createGroup(alice, entry, 'g78');
      const invite = await first.peer.request('INVITE');
      expect(invite.get('Session-Replaces')).toBe(name);
      await accept(first, invite);
      await created(alice);
    },
  );

  it.each(entryForms)(
    'of somebody else by %s is an ordinary invitation, which leaves the 1-1 session (hijack)',
    async (_form, entry) => {
      const parley = await server();
      const party = await cast(parley.port, cleanups);
      await oneToOne(party);
      await expect.poll(() => privately(parley)).toEqual([ONE_TO_ONE]);
      const mallory = await cpmDevice('mallory', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb9', parley.port);
      cleanups.push(() => mallory.close());
      createGroup(mallory, entry(party.bob) + CAROL);
      const toBob = await party.bob.peer.request('INVITE');
      expect([toBob.has('Session-Replaces'), toBob.has('Replaces')]).toEqual([false, false]);
      await accept(party.bob, toBob);
      await created(mallory);
      expect(parley.app.trail.recent({ code: 'group.replacement-ignored' })).toMatchObject([
        { detail: 'sip:bob@ims.test: session of somebody else' },
      ]);
      expect(await privately(parley)).toEqual([ONE_TO_ONE]);
    },
  );

  it("of another device's session is an ordinary invitation of the device that the entry names", async () => {
    const parley = await server();
    const party = await cast(parley.port, cleanups);
    await oneToOne(party);
    await expect.poll(() => privately(parley)).toEqual([ONE_TO_ONE]);
    createGroup(party.alice, bobEntry(party.bobsOther.gruu));
    const invite = await party.bobsOther.peer.request('INVITE');
    expect(invite.has('Session-Replaces')).toBe(false);
    await accept(party.bobsOther, invite);
    await created(party.alice);
    expect(requestsAt(party.bob)).toEqual([]);
  });

  it('of a session that is unknown here is an ordinary invitation, at the device that the entry names', async () => {
    const parley = await server();
    const party = await cast(parley.port, cleanups);
    await oneToOne(party);
    const unknown = bobEntry(party.bobsOther.gruu, 'Session-Replaces=nobody-knows');
    createGroup(party.alice, unknown);
    const invite = await party.bobsOther.peer.request('INVITE');
    expect(invite.get('Session-Replaces')).toBe('nobody-knows');
    await accept(party.bobsOther, invite);
    await created(party.alice);
    expect(await privately(parley)).toEqual([ONE_TO_ONE]);
    expect(requestsAt(party.bob)).toEqual([]);
  });

  it('may reach bob although he may have one session only, which it replaces', async () => {
    const parley = await server();
    const party = await cast(parley.port, cleanups);
    const session = await oneToOne(party);
    await expect.poll(() => privately(parley)).toEqual([ONE_TO_ONE]);
    await setPolicy(parley, 'sip:bob@ims.test', { maxSessions: 1 });
    createGroup(party.carol, '<entry uri="sip:bob@ims.test"/>', 'g78');
    expect((await party.carol.peer.response(200)).status).toBe(486);
    const { toBob } = await extend(party);
    await accept(party.bob, toBob);
    await created(party.alice);
    await endOneToOne(party, session);
  });

  it.each([
    ["alice's side", ['alice']],
    ["bob's side", ['bob']],
    ['both sides', ['alice', 'bob']],
  ])('finds the session through a function that is in the media path of %s', async (_where, users) => {
    const parley = await server();
    const party = await cast(parley.port, cleanups);
    for (const user of users) await setPolicy(parley, `sip:${user}@ims.test`, { mediaPath: true });
    const session = await oneToOne(party);
    expect(session.invite.callId).not.toBe(session.answer.callId);
    await expect.poll(async () => (await privately(parley)).length).toBeGreaterThan(0);
    // by Contribution-ID, then by the identifiers that alice's own leg has
    const [to, from] = [session.answer.toTag, session.answer.fromTag];
    const dialog = encodeURIComponent(`${session.answer.callId};to-tag=${to};from-tag=${from}`);
    for (const [entry, contribution] of [
      [bobEntry('sip:bob@ims.test'), 'g77'],
      [bobEntry('sip:bob@ims.test', `Replaces=${dialog}`), 'g78'],
    ] as const) {
      createGroup(party.alice, entry, contribution);
      const toBob = await party.bob.peer.request('INVITE');
      expect(toBob.get('Session-Replaces')).toBe(ONE_TO_ONE);
      expect(toBob.has('Replaces')).toBe(false);
      await accept(party.bob, toBob);
      await created(party.alice);
    }
    const bye = await endOneToOne(party, session);
    expect(bye.callId).toBe(session.answer.callId);
    expect(requestsAt(party.bobsOther)).toEqual([]);
  });

  it('is begun by the callee as well, also by the identifiers of its own leg behind a media path', async () => {
    const parley = await server();
    const party = await cast(parley.port, cleanups);
    await setPolicy(parley, 'sip:bob@ims.test', { mediaPath: true });
    const { invite } = await oneToOne(party);
    await expect.poll(() => privately(parley)).toEqual([ONE_TO_ONE]);
    const dialog = encodeURIComponent(`${invite.callId};to-tag=${invite.fromTag};from-tag=tag-bob`);
    createGroup(party.bob, bobEntry('sip:alice@ims.test', `Replaces=${dialog}`) + CAROL);
    const toAlice = await party.alice.peer.request('INVITE');
    expect([toAlice.get('Session-Replaces'), toAlice.has('Replaces')]).toEqual([ONE_TO_ONE, false]);
    expect((await party.carol.peer.request('INVITE')).has('Session-Replaces')).toBe(false);
    await accept(party.alice, toAlice);
    await created(party.bob);
  });

  it('names the dialog itself (RFC 3891) where it has the same identifiers at both ends', async () => {
    const parley = await server();
    const party = await cast(parley.port, cleanups);
    const session = await oneToOne(party);
    const replaces = `${session.answer.callId};to-tag=${session.answer.toTag};from-tag=${session.answer.fromTag}`;
    await expect.poll(() => privately(parley)).toEqual([ONE_TO_ONE]);
    createGroup(party.alice, bobEntry('sip:bob@ims.test', `Replaces=${encodeURIComponent(replaces)}`));
    const toBob = await party.bob.peer.request('INVITE');
    expect(toBob.get('Replaces')).toBe(replaces);
    expect(toBob.headers.hasToken('Require', 'replaces')).toBe(true);
    await accept(party.bob, toBob);
    await created(party.alice);
    expect(requestsAt(party.bobsOther)).toEqual([]);
  });

  it('goes on after the function was killed between steps 8 and 9', { timeout: 120_000 }, async () => {
    const config = JSON.stringify({ sip: patient });
    const first = new Program(['serve'], { config, env: { PARLEY_AUTH: 'none' } });
    cleanups.push(() => first.dispose());
    const { port } = await first.ready();
    const party = await cast(port, cleanups);
    const { alice, bob, bobsOther, carol } = party;
    const session = await oneToOne(party);
    const { toBob, toCarol } = await extend(party);
    await accept(bob, toBob);
    const { focus } = await created(alice);
    const watching = alice.send('SUBSCRIBE', focus, { Event: 'conference', Expires: '3600' });
    alice.peer.answer(await alice.peer.request('NOTIFY'), 200);
    first.child.kill('SIGKILL');
    await first.exit();

    const second = await first.again();
    cleanups.push(() => second.dispose());
    const { api } = await second.ready();
    await endOneToOne(party, session);
    const sessions = await sessionsOf({ api } as RunningParley);
    expect(sessions.filter(({ contributionId }) => contributionId === ONE_TO_ONE)).toEqual([]);
    // the group is there, with all whom it had; carol, who had not answered, is invited again
    const talkers: MsrpClient[] = [];
    for (const phone of [alice, bob]) {
      joinGroup(phone, focus);
      const answer = await phone.peer.response(200);
      expect([answer.status, answer.get('Contribution-ID')]).toEqual([200, 'g77']);
      expect(answer.contacts[0]!.uriText).toBe(focus);
      acknowledge(phone, answer);
      talkers.push(msrp(phone.user, answer.body));
    }
    const again = await carol.peer.request('INVITE');
    expect([again.callId === toCarol.callId, again.get('Contribution-ID')]).toEqual([false, 'g77']);
    expect([again.get('Referred-By'), again.has('Session-Replaces')]).toEqual([
      '<sip:alice@ims.test>',
      false,
    ]);
    await accept(carol, again);
    talkers.push(msrp('carol', descriptionIn(again)));
    for (const talker of talkers) await talker.until(/MSRP open0001 200/);
    talkers[0]!.say('say00001', 'sip:alice@ims.test', EVERYBODY, 'Still three');
    for (const listener of talkers.slice(1)) await listener.until(/Still three/);
    // and alice watches on, in the dialog that she had
    const isWhole = (text: string): boolean =>
      text.startsWith('NOTIFY ') && text.includes(watching) && /state="full" version="[1-9]/.test(text);
    await expect.poll(() => alice.peer.datagrams.map(String).some(isWhole), { timeout: 20_000 }).toBe(true);
    expect(requestsAt(bobsOther)).toEqual([]);
  });
});
