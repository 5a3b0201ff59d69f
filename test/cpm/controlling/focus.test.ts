import { describe, expect, it } from 'vitest';
import { FinalResponseError } from '../../../src/sip/final-response-error.js';
import { entry, VirtualRoom, type VirtualUser } from './virtual-room.js';

const MINUTE = 60_000;

/** A group of alice, who makes it, with bob and carol. */
async function meeting(
  settings: Parameters<typeof VirtualRoom.open>[0] = {},
): Promise<{ room: VirtualRoom; alice: VirtualUser; bob: VirtualUser; carol: VirtualUser; uri: string }> {
  const room = await VirtualRoom.open(settings);
  const [alice, bob, carol] = [await room.user('alice'), await room.user('bob'), await room.user('carol')];
  await room.during(alice.create(entry(bob) + entry(carol)));
  await room.clock.advanceAsync(1_000);
  return { room, alice, bob, carol, uri: room.focus.group.uri };
}

const states = (room: VirtualRoom): string[] =>
  room.focus.group.members.map(({ identity, state }) => `${/:(\w+)/.exec(identity)![1]} ${state}`);

describe('the sessions of a group', () => {
  it('end when nobody has said anything for the time of inactivity, and members may start them again', async () => {
    const { room, alice, bob } = await meeting({ inactivity: 900 });
    await room.clock.advanceAsync(14 * MINUTE, 1_000);
    expect(await room.say(alice, 'still here')).toBe(200);
    await room.clock.advanceAsync(14 * MINUTE, 1_000);
    expect(states(room)).toEqual(['alice connected', 'bob connected', 'carol connected']);
    await room.clock.advanceAsync(2 * MINUTE, 1_000);
    expect([...room.controlling.running]).toEqual([]);
    for (const user of [alice, bob]) expect(user.ends).toEqual(['SIP;cause=200;text="inactive"']);
    await room.during(alice.create(entry(bob)));
    expect(room.focus.group.contributionId).toBe('g77');
    expect(states(room)).toEqual(['alice connected', 'bob connected', 'carol away']);
  });

  it('are not kept alive by somebody who changes its name alone', async () => {
    const { room, alice } = await meeting({ inactivity: 60 });
    await room.clock.advanceAsync(50_000, 1_000);
    const media = room.sessions.findLast(({ whose, listener }) => whose === 'alice' && listener)!;
    expect(await room.during(media.listener!.nickname('Al'))).toBe(200);
    await room.clock.advanceAsync(20_000, 1_000);
    expect([...room.controlling.running]).toEqual([]);
    expect(alice.ends).toHaveLength(1);
  });

  it('end below the minimum once nobody rings', async () => {
    const { room, alice, bob, carol } = await meeting({ minimum: 2 });
    await room.during(bob.dialogs[0]!.destroy());
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toEqual(['alice connected', 'bob away', 'carol connected']);
    await room.during(carol.dialogs[0]!.destroy());
    await room.clock.advanceAsync(1_000);
    expect([...room.controlling.running]).toEqual([]);
    expect(alice.ends).toEqual(['SIP;cause=200;text="minimum"']);
  });

  it('wait below the minimum for the others when one comes back alone, and end when these have gone again', async () => {
    const { room, alice, bob, carol, uri } = await meeting({ minimum: 2 });
    await room.during(Promise.all([bob.dialogs[0]!.destroy(), carol.dialogs[0]!.destroy()]));
    await room.clock.advanceAsync(1_000);
    expect([...room.controlling.running]).toEqual([]);
    await room.during(alice.join(uri));
    await room.clock.advanceAsync(5_000, 1_000);
    expect(states(room)).toEqual(['alice connected', 'bob away', 'carol away']);
    await room.during(bob.join(uri));
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toEqual(['alice connected', 'bob connected', 'carol away']);
    await room.during(bob.dialogs.at(-1)!.destroy());
    await room.clock.advanceAsync(1_000);
    expect([...room.controlling.running]).toEqual([]);
    expect(alice.ends.at(-1)).toBe('SIP;cause=200;text="minimum"');
  });

  it('are refreshed by session timers, and a member that does not answer any more is away as failed', async () => {
    const { room, bob, alice, uri } = await meeting({ inactivity: 86_400 });
    await room.during(alice.subscribe(uri));
    await room.clock.advanceAsync(31 * MINUTE, 1_000);
    const refreshes = bob.requests.filter(({ method }) => method === 'UPDATE' || method === 'INVITE');
    expect(refreshes.length).toBeGreaterThanOrEqual(2);
    expect(states(room)).toContain('bob connected');
    bob.dead = true;
    await room.clock.advanceAsync(32 * MINUTE, 1_000);
    expect(states(room)).toEqual(['alice connected', 'bob away', 'carol connected']);
    expect(alice.documents.filter((document) => document.includes('<disconnection-method>'))).toEqual([
      expect.stringMatching(/entity="sip:bob@bob\.test"[^]*<disconnection-method>failed</) as unknown,
    ]);
    bob.dead = false;
    await room.during(bob.join(uri), 5_000);
    expect(states(room)).toContain('bob connected');
  });

  it('have a timer also for who came by itself, who is away when it does not answer any more', async () => {
    const { room, bob, uri } = await meeting({ inactivity: 86_400 });
    await room.during(bob.dialogs[0]!.destroy());
    await room.during(bob.join(uri), 5_000);
    expect(states(room)).toContain('bob connected');
    await room.clock.advanceAsync(61 * MINUTE, 1_000);
    expect(states(room)).toContain('bob connected');
    bob.dead = true;
    await room.clock.advanceAsync(32 * MINUTE, 1_000);
    expect(states(room)).toEqual(['alice connected', 'bob away', 'carol connected']);
  });

  it('are no more once they have ended, also when that could not be stored at first', async () => {
    const { room, alice, bob, carol } = await meeting({ minimum: 2 });
    room.store.failure = new Error('disk full');
    await room.during(Promise.all([bob, carol].map(({ dialogs }) => dialogs[0]!.destroy())));
    await room.clock.advanceAsync(3_000);
    expect(states(room)).toEqual(['alice connected', 'bob connected', 'carol connected']);
    room.store.failure = undefined;
    await room.clock.advanceAsync(5_000);
    expect([...room.controlling.running]).toEqual([]);
    expect(alice.ends).toEqual(['SIP;cause=200;text="minimum"']);
  });

  it('leave no timer behind', async () => {
    const { room, alice, bob, carol, uri } = await meeting();
    await room.during(alice.subscribe(uri));
    await room.during(room.controlling.close(room.focus.group.id));
    await room.clock.advanceAsync(2 * MINUTE, 1_000);
    for (const user of [alice, bob, carol]) expect(user.ends).toContain('SIP;cause=410;text="Gone"');
    room.keeper.close();
    expect(room.network.running).toBe(0);
    expect(room.clock.pending).toBe(0);
  });
});

describe('an invitation to a group', () => {
  it('rings three minutes, and the creator then hears that nobody was there', async () => {
    const room = await VirtualRoom.open();
    const [alice, bob] = [await room.user('alice'), await room.user('bob')];
    bob.answers = 'ring';
    const asked = alice.create(entry(bob));
    asked.catch(() => undefined);
    await room.clock.advanceAsync(179_000, 1_000);
    expect(states(room)).toEqual(['alice away', 'bob invited']);
    await room.clock.advanceAsync(3_000, 1_000);
    const refusal = await room.during(asked.catch((error: unknown) => error));
    expect(refusal).toBeInstanceOf(FinalResponseError);
    expect((refusal as FinalResponseError).status).toBe(480);
    expect([...room.controlling.running]).toEqual([]);
  });

  it('whose acceptance cannot be stored is ended, and is sent again when somebody asks for it', async () => {
    const { room, alice, uri } = await meeting();
    const dave = await room.user('dave');
    dave.answers = 'ring';
    await room.during(alice.refer(uri, dave));
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toContain('dave invited');
    room.store.failure = new Error('disk full');
    dave.accept();
    await room.clock.advanceAsync(2_000);
    expect(dave.ends).toEqual(['SIP;cause=503;text="Service Unavailable"']);
    expect(room.sessions.filter(({ closed }) => !closed)).toHaveLength(3);
    room.store.failure = undefined;
    dave.answers = 'accept';
    await room.during(alice.refer(uri, dave));
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toContain('dave connected');
  });

  it.each([
    [[486, 486], 486],
    [[603, 603], 603],
    [[486, 603], 480],
    [[404, 486], 480],
  ])('that all refuse with %j gives the creator %i', async ([first, second], status) => {
    const room = await VirtualRoom.open();
    const [alice, bob, carol] = [await room.user('alice'), await room.user('bob'), await room.user('carol')];
    bob.answers = first!;
    carol.answers = second!;
    await expect(room.during(alice.create(entry(bob) + entry(carol)))).rejects.toMatchObject({ status });
  });
});

describe('an INVITE that creates a group', () => {
  it.each(
    (['ring', 'accept'] as const).flatMap((answers) => [1, 2, 3, 4, 5].map((n) => [answers, n] as const)),
  )(
    'and is cancelled leaves nobody ringing or in: they %s, and change %i is being stored',
    async (answers, n) => {
      const room = await VirtualRoom.open();
      const [alice, bob] = [await room.user('alice'), await room.user('bob')];
      bob.answers = answers;
      let go: (() => void) | undefined;
      const held = new Promise<void>((resolve) => (go = resolve));
      let changes = 0;
      room.store.delay = () => (++changes === n ? held : undefined);
      let cancel: (() => void) | undefined;
      const asked = alice.create(entry(bob), {}, (fn) => (cancel = fn)).catch((error: unknown) => error);
      await room.clock.advanceAsync(1_000);
      cancel!();
      await room.clock.advanceAsync(1_000);
      go!();
      expect(await room.during(asked)).toMatchObject({ status: 487 });
      await room.clock.advanceAsync(2_000);
      expect([...room.controlling.running]).toEqual([]);
      expect(room.sessions.filter(({ closed }) => !closed)).toEqual([]);
      expect(bob.ends).toHaveLength(bob.dialogs.length);
    },
  );

  it('and is cancelled ends each session whose acceptance crosses that, the second as well', async () => {
    const room = await VirtualRoom.open();
    const [alice, bob, carol] = [await room.user('alice'), await room.user('bob'), await room.user('carol')];
    for (const user of [bob, carol]) user.answers = 'ring';
    let cancel: (() => void) | undefined;
    const asked = alice
      .create(entry(bob) + entry(carol), {}, (fn) => (cancel = fn))
      .catch((error: unknown) => error);
    await room.clock.advanceAsync(1_000);
    // his coming is stored, and then hers
    const go: (() => void)[] = [];
    const held = [0, 1].map((n) => new Promise<void>((resolve) => (go[n] = resolve)));
    room.store.delay = () => held.shift();
    bob.accept();
    await room.clock.advanceAsync(100);
    carol.accept();
    await room.clock.advanceAsync(100);
    cancel!();
    await room.clock.advanceAsync(100);
    for (const next of go) {
      next();
      await room.clock.advanceAsync(100);
    }
    expect(await room.during(asked)).toMatchObject({ status: 487 });
    await room.clock.advanceAsync(2_000);
    expect([...room.controlling.running]).toEqual([]);
    for (const { ends } of [bob, carol]) expect(ends).toEqual([expect.stringContaining('SIP;cause=487')]);
    expect(room.sessions.filter(({ closed }) => !closed)).toEqual([]);
  });

  it('and that asks for what nobody here can do is refused before anybody rings', async () => {
    const room = await VirtualRoom.open();
    const [alice, bob] = [await room.user('alice'), await room.user('bob')];
    await expect(room.during(alice.create(entry(bob), { Require: 'nonsense' }))).rejects.toMatchObject({
      status: 420,
    });
    expect(bob.requests).toEqual([]);
    expect([...room.controlling.running]).toEqual([]);
  });
});

describe('two at once', () => {
  it('that create a group with one Contribution-ID are in one group', async () => {
    const room = await VirtualRoom.open();
    const [alice, bob, carol] = [await room.user('alice'), await room.user('bob'), await room.user('carol')];
    const made = await room.during(
      Promise.all([alice.create(entry(bob) + entry(carol)), bob.create(entry(alice) + entry(carol))]),
      5_000,
    );
    await room.clock.advanceAsync(1_000);
    const [hers, his] = made.map(({ remoteTarget }) => remoteTarget);
    expect(hers).toBe(his);
    expect([...room.controlling.running]).toHaveLength(1);
    expect(states(room)).toEqual(['alice connected', 'bob connected', 'carol connected']);
    expect(room.focus.group.creator).toBe(alice.uri);
    expect(carol.requests.filter(({ method }) => method === 'INVITE')).toHaveLength(1);
    for (const { ends } of [alice, bob, carol]) expect(ends).toEqual([]);
    expect(await room.say(alice, 'one room')).toBe(200);
    await room.clock.advanceAsync(1_000);
    const heard = (name: string): number =>
      room.sessions.filter(({ whose, got }) => whose === name && got.length === 1).length;
    expect([heard('alice'), heard('carol')]).toEqual([0, 1]);
    expect(heard('bob')).toBeGreaterThan(0);
  });

  it('that come back, where there is room for one: the other hears 486', async () => {
    const { room, bob, carol, alice, uri } = await meeting({ maximum: 3 });
    const gone = { Reason: 'SIP;cause=200;text="Call completed"' };
    await room.during(Promise.all([bob.dialogs[0]!.destroy(gone), carol.dialogs[0]!.destroy(gone)]));
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toEqual(['alice connected', 'bob left', 'carol left']);
    const dave = await room.user('dave');
    await room.during(alice.refer(uri, dave));
    await room.clock.advanceAsync(1_000);
    const back = [bob, carol].map((user) => user.join(uri).catch((error: unknown) => error));
    const answers = await room.during(Promise.all(back));
    expect(answers.filter((answer) => (answer as { status?: number }).status === 486)).toHaveLength(1);
    const there = states(room).filter((state) => state.endsWith(' connected'));
    expect(there).toHaveLength(3);
    expect(room.sessions.filter(({ closed }) => !closed)).toHaveLength(3);
  });

  it('of whom one is no member of the group that the other makes: 403', async () => {
    const room = await VirtualRoom.open();
    const [alice, bob, mallory] = [
      await room.user('alice'),
      await room.user('bob'),
      await room.user('mallory'),
    ];
    const hers = alice.create(entry(bob));
    const theirs = mallory.create(entry(bob)).catch((error: unknown) => error);
    await room.during(hers);
    expect(await room.during(theirs)).toMatchObject({ status: 403 });
    expect(states(room)).toEqual(['alice connected', 'bob connected']);
  });

  it('of whom the first gives up leaves the second its session', async () => {
    const room = await VirtualRoom.open();
    const [alice, bob, carol] = [await room.user('alice'), await room.user('bob'), await room.user('carol')];
    carol.answers = 'ring';
    bob.answers = 'ring';
    let cancel: (() => void) | undefined;
    const hers = alice
      .create(entry(bob) + entry(carol), {}, (fn) => (cancel = fn))
      .catch((error: unknown) => error);
    await room.clock.advanceAsync(1_000);
    await room.during(bob.create(entry(carol)), 5_000);
    cancel!();
    expect(await room.during(hers)).toMatchObject({ status: 487 });
    await room.clock.advanceAsync(1_000);
    expect(bob.ends).toEqual([]);
    expect(states(room)).toEqual(['alice away', 'bob connected', 'carol refused']);
  });
});

describe('a member that starts a group again that runs', () => {
  it.each([
    ['<entry/>', 400],
    ['', 403],
    [Array.from({ length: 3 }, (_, i) => `<entry uri="sip:u${i}@ims.test"/>`).join(''), 403],
    ['<entry uri="sip:u1@ims.test"/>', 486],
  ])('is refused for a list that cannot be followed, and is not in: %s', async (list, status) => {
    const { room, bob } = await meeting({ maximum: 3 });
    await room.during(bob.dialogs[0]!.destroy());
    await room.clock.advanceAsync(1_000);
    await expect(room.during(bob.create(list))).rejects.toMatchObject({ status });
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toEqual(['alice connected', 'bob away', 'carol connected']);
    expect(room.sessions.filter(({ closed }) => !closed)).toHaveLength(2);
  });
});

describe('a member that a chairman has put out', () => {
  const rings = ({ requests }: VirtualUser): number =>
    requests.filter(({ method }) => method === 'INVITE').length;

  it('while it comes back is told so, and has no session', async () => {
    const { room, alice, bob, uri } = await meeting();
    await room.during(bob.dialogs[0]!.destroy());
    await room.clock.advanceAsync(1_000);
    let go: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    room.store.delay = () => held;
    const media = room.sessions.find(({ whose }) => whose === 'alice')!;
    const before = media.listener!.nickname('Al');
    await room.clock.advanceAsync(100);
    const joined = bob.join(uri);
    await room.clock.advanceAsync(100);
    const removed = room.focus.remove(bob.uri, alice.uri);
    go!();
    await room.during(Promise.all([before, joined, removed]));
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toEqual(['alice connected', 'bob removed', 'carol connected']);
    expect(room.focus.figures.sessions).toBe(2);
    expect(bob.ends.at(-1)).toBe('SIP;cause=410;text="Gone"');
  });

  it('is not brought back by another member that starts the group again while it runs', async () => {
    const { room, alice, bob, carol } = await meeting();
    await room.during(room.focus.remove(carol.uri, alice.uri));
    await room.during(bob.create(entry(alice) + entry(carol)));
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toEqual(['alice connected', 'bob connected', 'carol removed']);
    expect(rings(carol)).toBe(1);
    await room.during(alice.create(entry(bob) + entry(carol)));
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toEqual(['alice connected', 'bob connected', 'carol connected']);
  });

  it('is not brought back when everybody had gone: the others are invited, and for her alone it is 403', async () => {
    const { room, alice, bob, carol } = await meeting();
    await room.during(room.focus.remove(carol.uri, alice.uri));
    await room.during(Promise.all([alice, bob].map(({ dialogs }) => dialogs[0]!.destroy())));
    await room.clock.advanceAsync(1_000);
    expect([...room.controlling.running]).toEqual([]);
    await expect(room.during(bob.create(entry(carol)))).rejects.toMatchObject({ status: 403 });
    await room.during(bob.create(entry(alice) + entry(carol)));
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toEqual(['alice connected', 'bob connected', 'carol removed']);
    expect(rings(carol)).toBe(1);
  });
});

describe('a member that comes by itself while its invitation rings', () => {
  it('is in, its devices stop ringing, and what is said is kept for it', async () => {
    const room = await VirtualRoom.open();
    const [alice, bob, carol] = [await room.user('alice'), await room.user('bob'), await room.user('carol')];
    bob.answers = 'ring';
    await room.during(alice.create(entry(bob) + entry(carol)));
    await room.clock.advanceAsync(1_000);
    expect(states(room)).toEqual(['alice connected', 'bob invited', 'carol connected']);
    expect(await room.say(alice, 'before')).toBe(200);
    await room.during(bob.join(room.focus.group.uri));
    await room.clock.advanceAsync(2_000);
    expect(states(room)).toContain('bob connected');
    expect(bob.cancels).toEqual(['SIP;cause=200;text="Call completed elsewhere"']);
    expect(room.focus.figures.sessions).toBe(3);
    const his = room.sessions.find(({ whose }) => whose === 'bob')!;
    expect(his.got.map(({ octets }) => Buffer.from(octets).toString().split('\r\n').at(-1))).toEqual([
      'before',
    ]);
  });

  it('is the one who lets the creator in when nobody else accepts', async () => {
    const room = await VirtualRoom.open();
    const [alice, bob] = [await room.user('alice'), await room.user('bob')];
    bob.answers = 'ring';
    const asked = alice.create(entry(bob));
    await room.clock.advanceAsync(1_000);
    await room.during(bob.join(room.focus.group.uri));
    await room.during(asked);
    expect(states(room)).toEqual(['alice connected', 'bob connected']);
  });
});

describe('the conference documents of a group', () => {
  it('come whole first, then what changed, at most one a second and numbered without a gap', async () => {
    const { room, alice, bob, carol, uri } = await meeting();
    await room.during(alice.subscribe(uri));
    await room.clock.advanceAsync(100);
    expect(alice.documents).toHaveLength(1);
    expect(alice.documents[0]).toMatch(/state="full" version="0"[^]*<user-count>3</);
    await room.during(bob.dialogs[0]!.destroy());
    await room.during(carol.dialogs[0]!.destroy());
    expect(alice.documents).toHaveLength(1);
    await room.clock.advanceAsync(1_100);
    expect(alice.documents).toHaveLength(2);
    const both = alice.documents[1]!;
    expect(both).toMatch(/state="partial" version="1"[^]*<user-count>1<[^]*bob@bob[^]*carol@carol/);
    expect(both.match(/<status>disconnected</g)).toHaveLength(2);
    await room.during(bob.join(uri));
    await room.clock.advanceAsync(1_100);
    expect(alice.documents[2]).toMatch(/version="2"[^]*<user entity="sip:bob@bob.test" state="full">/);
    // who was told as gone before is taken out, once
    expect(alice.documents[2]).toContain('<user entity="sip:carol@carol.test" state="deleted"/>');
    expect(alice.documents[2]).not.toMatch(/bob@bob\.test" state="deleted"/);
    await room.during(carol.join(uri));
    await room.clock.advanceAsync(1_100);
    expect(alice.documents[3]).toMatch(/version="3"[^]*<user entity="sip:carol@carol.test" state="full">/);
    expect(alice.documents[3]).not.toContain('deleted');
  });

  it('come no more often than the interval that is set, and a change after it at once', async () => {
    const { room, alice, bob, carol, uri } = await meeting({ interval: 5 });
    await room.during(alice.subscribe(uri));
    await room.during(bob.dialogs[0]!.destroy());
    await room.clock.advanceAsync(4_500);
    expect(alice.documents).toHaveLength(1);
    await room.clock.advanceAsync(6_000);
    expect(alice.documents).toHaveLength(2);
    await room.during(carol.dialogs[0]!.destroy());
    await room.clock.advanceAsync(100);
    expect(alice.documents).toHaveLength(3);
  });

  it('show each device of a member, the chairman, and the anonymous by another name', async () => {
    const room = await VirtualRoom.open();
    const [alice, bob, carol] = [await room.user('alice'), await room.user('bob'), await room.user('carol')];
    const hidden = `<entry uri="${carol.uri}" cp:copyControl="to" cp:anonymize="true"/>`;
    await room.during(alice.create(entry(bob) + hidden));
    await room.clock.advanceAsync(1_000);
    const { uri } = room.focus.group;
    await room.during(bob.join(uri));
    await room.during(bob.subscribe(uri));
    await room.during(carol.subscribe(uri));
    await room.clock.advanceAsync(100);
    const seen = bob.documents.at(-1)!;
    const users = seen.split('<user ').slice(1);
    expect(users[0]).toMatch(/alice@alice[^]*<roles><entry>chairman/);
    expect(users[1]).toMatch(/bob@bob[^]*yourown="true"[^]*<roles><entry>participant/);
    expect(users[1]!.match(/<endpoint entity="e-[^"]+"/g)).toHaveLength(2);
    expect(users[1]).toMatch(/<joining-method>dialed-out<[^]*<joining-method>dialed-in</);
    expect(users[2]).toMatch(/^entity="sip:anonymous-[0-9a-f]+@anonymous\.invalid"/);
    expect(seen).not.toContain('carol');
    expect(carol.documents.at(-1)).toMatch(/anonymous\.invalid" state="full" yourown="true"/);
  });

  it('go to no more subscriptions of one member than its devices may need', async () => {
    const { room, alice, bob, uri } = await meeting();
    for (let n = 0; n < 32; n++) await room.during(alice.subscribe(uri));
    await expect(room.during(alice.subscribe(uri))).rejects.toMatchObject({ status: 486 });
    await room.during(bob.subscribe(uri));
    await room.during(alice.dialogs.at(-1)!.destroy());
    await room.during(alice.subscribe(uri));
  });

  it('are for participants only, end when one leaves for good, and when the sessions of the group end', async () => {
    const { room, alice, bob, carol, uri } = await meeting();
    const mallory = await room.user('mallory');
    await expect(room.during(mallory.subscribe(uri))).rejects.toMatchObject({ status: 403 });
    for (const user of [alice, bob, carol]) await room.during(user.subscribe(uri));
    await room.during(bob.dialogs[0]!.destroy({ Reason: 'SIP;cause=200;text="Call completed"' }));
    await room.clock.advanceAsync(2_000);
    const last = bob.requests.findLast(({ method }) => method === 'NOTIFY')!;
    expect(last.get('Subscription-State')).toBe('terminated;reason=rejected');
    const count = bob.documents.length;
    await room.during(room.controlling.close(room.focus.group.id));
    await room.clock.advanceAsync(2_000);
    expect(bob.documents).toHaveLength(count);
    for (const { requests } of [alice, carol])
      expect(requests.findLast(({ method }) => method === 'NOTIFY')!.get('Subscription-State')).toBe(
        'terminated;reason=noresource',
      );
  });
});

describe('an open group', () => {
  it.each([
    ['domain', 'sip:alice@alice.test', 'refused with 403'],
    ['domain', 'sip:alice@ims.test', 'in'],
    ['anybody', 'sip:alice@alice.test', 'in'],
  ] as const)('for %s: who is %s is %s', async (openTo, owner, outcome) => {
    const room = await VirtualRoom.open({ openTo });
    const alice = await room.user('alice');
    room.owners.set(alice.uri, owner);
    const { uri } = await room.openGroup();
    const joined = room.during(
      alice.join(uri).then(
        () => 'in',
        (error: unknown) => error,
      ),
    );
    if (outcome === 'in') expect(await joined).toBe('in');
    else expect(await joined).toMatchObject({ status: 403 });
  });
});
