import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { addMember, changeMember, type Group } from '../../../src/cpm/controlling/group.js';
import { Groups, type Claim } from '../../../src/cpm/controlling/groups.js';
import { LiveGroup } from '../../../src/cpm/controlling/live-group.js';
import type { Member } from '../../../src/cpm/controlling/member.js';
import { MemoryStore } from '../../tools/memory-store.js';

const DAY = 86_400_000;
const clock = new VirtualClock();

const group = (more: Partial<Group> = {}): Group => ({
  id: 'gs-1',
  uri: 'sip:gs-1@ims.test',
  kind: 'ad-hoc',
  access: 'closed',
  contributionId: 'g77',
  conversationId: 'k2',
  creator: 'sip:alice@ims.test',
  maximum: 3,
  minimum: 1,
  members: [
    {
      identity: 'sip:alice@ims.test',
      owner: 'sip:alice@ims.test',
      state: 'connected',
      role: 'chairman',
      endpoints: [{ id: 'a1', joining: 'dialed-in' }],
      copyControl: 'to',
    },
  ],
  createdAt: clock.now(),
  holder: 'one',
  ...more,
});

/** Two nodes on one store; `living` are those that count as alive. */
function twoNodes(): { one: Groups; two: Groups; living: Set<string> } {
  const store = new MemoryStore();
  const living = new Set(['one', 'two']);
  const node = (holder: string): Groups =>
    new Groups(store, clock, { holder, isAlive: (other) => living.has(other), keepMs: DAY });
  return { one: node('one'), two: node('two'), living };
}

const statesOf = (found: Group | undefined): (string | undefined)[] | undefined =>
  found && [found.holder, ...found.members.map(({ state }) => state)];

describe('the groups of several nodes', () => {
  it('have one holder: another node is told who, until the holder is dead', async () => {
    const { one, two, living } = twoNodes();
    await one.add(group());
    expect(await two.claim('gs-1')).toEqual({ holder: 'one' });
    expect(statesOf(await two.get('gs-1'))).toEqual(['one', 'connected']);
    living.delete('one');
    expect(statesOf(await two.get('gs-1'))).toEqual([undefined, 'away']);
    expect(await two.claim('gs-1')).toMatchObject({ group: { holder: 'two', members: [{ state: 'away' }] } });
    living.add('one');
    await expect(one.put(group())).rejects.toMatchObject({ code: 'group-moved' });
    await one.release(group());
    expect(statesOf(await one.get('gs-1'))).toEqual(['two', 'away']);
  });

  it('can be taken by any node once the holder has let go', async () => {
    const { one, two } = twoNodes();
    await one.add(group());
    await one.release(group());
    expect(await two.claim('gs-1')).toMatchObject({ group: { holder: 'two' } });
  });

  it('are not let go of, nor stored, by an earlier focus of the same process', async () => {
    const { one } = twoNodes();
    await one.add(group());
    const claimed = async (): Promise<Group> => ((await one.claim('gs-1')) as { group: Group }).group;
    const [earlier, later] = [await claimed(), await claimed()];
    await one.release(earlier);
    await expect(one.put(earlier)).rejects.toMatchObject({ code: 'group-moved' });
    await one.put({ ...later, subject: 'Still here' });
    expect(await one.get('gs-1')).toMatchObject({ holder: 'one', subject: 'Still here' });
    await one.release(later);
    expect((await one.get('gs-1'))!.holder).toBeUndefined();
  });

  it('are left with who rang until it is in or the sessions end, however many nodes die before', async () => {
    const { one, two, living } = twoNodes();
    const invitation = { target: 'sip:bob@ims.test', inviter: 'sip:alice@ims.test', sessionReplaces: 'c11' };
    const [alice] = group().members;
    const bob: Member = {
      ...{ identity: 'sip:bob@ims.test', owner: 'sip:bob@ims.test', state: 'invited', role: 'participant' },
      ...{ endpoints: [], copyControl: 'to', invitation },
    };
    await one.add(group({ members: [alice!, bob] }));
    living.delete('one');
    expect(await two.claim('gs-1')).toMatchObject({ rang: [{ identity: 'sip:bob@ims.test', invitation }] });
    living.add('one').delete('two');
    const claim = (await one.claim('gs-1')) as Extract<Claim, { rang: unknown }>;
    expect(claim).toMatchObject({ rang: [{ identity: 'sip:bob@ims.test', invitation }] });
    const came = changeMember(claim.group, { identity: 'sip:bob@ims.test', event: 'connect' });
    await one.put(came);
    living.add('two').delete('one');
    expect(await two.claim('gs-1')).toMatchObject({ rang: [] });
    await two.put({ ...came, holder: 'two', term: 3, members: [alice!, bob] });
    await two.release({ ...came, holder: 'two', term: 3, members: [alice!, bob] });
    expect(await two.claim('gs-1')).toMatchObject({ rang: [] });
  });

  it('know one group for a Contribution-ID when two nodes make one at once', async () => {
    const { one, two } = twoNodes();
    const ids = await Promise.all([one.add(group()), two.add(group({ id: 'gs-2', holder: 'two' }))]);
    expect(new Set(ids).size).toBe(1);
    const left: string[] = [];
    for await (const { id } of one.all()) left.push(id);
    expect(left).toEqual([ids[0]]);
  });

  it('are not overwritten by one of the same name that is made at the same time', async () => {
    const { one, two } = twoNodes();
    const made = await Promise.allSettled([
      one.add(group({ holder: undefined })),
      two.add(group({ holder: undefined, contributionId: 'g78', subject: 'the other' })),
    ]);
    expect(made.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(made[1]).toMatchObject({ reason: { code: 'group-exists' } });
    expect(await one.get('gs-1')).toMatchObject({ contributionId: 'g77' });
    expect(await one.idOf('g78')).toBeUndefined();
  });

  it('go when their time is over, unless they run or are long-lived', async () => {
    const { one, two, living } = twoNodes();
    await one.add(group());
    await two.add(group({ id: 'gs-2', holder: 'two', contributionId: 'g78' }));
    await two.add(group({ id: 'gs-3', holder: 'two', contributionId: 'g79', kind: 'long-lived' }));
    living.delete('two');
    clock.advance(DAY + 1);
    expect((await one.sweep(10)).map(({ id }) => id)).toEqual(['gs-2']);
    expect(await one.idOf('g78')).toBeUndefined();
    expect(await one.sweep(10)).toEqual([]);
    expect(await one.get('gs-1')).toBeDefined();
    expect(await one.get('gs-3')).toBeDefined();
  });
});

describe('a group that runs', () => {
  it('is as it was when a change could not be stored, and goes on with the next one', async () => {
    const store = new MemoryStore();
    const groups = new Groups(store, clock, { holder: 'one', isAlive: () => true, keepMs: DAY });
    await groups.add(group());
    const told: string[] = [];
    const live = new LiveGroup(group(), { groups, clock }, (changed) => told.push(...changed));
    store.failure = new Error('disk full');
    await expect(live.change({ identity: 'sip:alice@ims.test', event: 'leave' })).rejects.toThrow(
      'disk full',
    );
    expect(live.current.members.map(({ state }) => state)).toEqual(['connected']);
    store.failure = undefined;
    const endpoint = { id: 'a1', joining: 'dialed-in' } as const;
    expect(await live.change({ identity: 'sip:alice@ims.test', event: 'drop', endpoint })).toBe(true);
    expect(await live.change({ identity: 'sip:nobody@ims.test', event: 'drop' })).toBe(false);
    expect(statesOf(await groups.get('gs-1'))).toEqual(['one', 'away']);
    expect(told).toEqual(['sip:alice@ims.test']);
  });

  it('makes changes that come together in their order, and one that cannot be leaves the others', async () => {
    const { one } = twoNodes();
    await one.add(group());
    const live = new LiveGroup(group(), { groups: one, clock }, () => undefined);
    const user = (name: string) => ({ identity: `sip:${name}@ims.test`, owner: `sip:${name}@ims.test` });
    const added = await Promise.allSettled(
      ['bob', 'carol', 'dave', 'erin'].map((name) =>
        live.apply((current) => addMember(current, user(name), 'participant')),
      ),
    );
    expect(added.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
    expect(added[2]).toMatchObject({ reason: { code: 'group-full' } });
    expect((await one.get('gs-1'))!.members).toHaveLength(3);
  });

  it('is left with what was being stored when it ended', async () => {
    const { one } = twoNodes();
    await one.add(group());
    const live = new LiveGroup(group(), { groups: one, clock }, () => undefined);
    const left = live.change({ identity: 'sip:alice@ims.test', event: 'leave' });
    await live.end('inactive');
    await left;
    expect(statesOf(await one.get('gs-1'))).toEqual([undefined, 'left']);
  });

  it('stores nothing after its end, so that what comes late cannot undo a rejoin', async () => {
    const { one, two } = twoNodes();
    await one.add(group());
    const told: string[] = [];
    const live = new LiveGroup(group(), { groups: one, clock }, (changed) => told.push(...changed));
    await live.change({ identity: 'sip:alice@ims.test', event: 'drop' });
    expect(told).toEqual(['sip:alice@ims.test']);
    const released = live.end('inactive');
    const claimed = two.claim('gs-1');
    await live.change({ identity: 'sip:alice@ims.test', event: 'leave' });
    await released;
    expect(await claimed).toMatchObject({ group: { holder: 'two', members: [{ state: 'away' }] } });
    expect(statesOf(await two.get('gs-1'))).toEqual(['two', 'away']);
    await live.end('closed');
    expect(await two.get('gs-1')).toBeDefined();
  });
});
