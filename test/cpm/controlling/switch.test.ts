import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import type { Group } from '../../../src/cpm/controlling/group.js';
import type { GroupMessage, MediaSession } from '../../../src/cpm/controlling/media.js';
import type { Member } from '../../../src/cpm/controlling/member.js';
import { removeExpired, type StoredMessage } from '../../../src/cpm/controlling/message-log.js';
import { Receipts } from '../../../src/cpm/controlling/receipts.js';
import { Switch } from '../../../src/cpm/controlling/switch.js';
import { imdnsIn } from '../../../src/cpm/messages/imdns.js';
import { formatCpim, IMDN_NAMESPACE, parseCpim } from '../../../src/msrp/cpim/index.js';
import { formatImdn, formatImdnAggregate, IMDN_TYPE, parseImdn } from '../../../src/msrp/imdn.js';
import { IS_COMPOSING_TYPE } from '../../../src/msrp/is-composing.js';
import { table } from '../../../src/store/store.js';
import { MemoryStore } from '../../tools/memory-store.js';

const ALICE = 'sip:alice@ims.test';
const BOB = 'sip:bob@ims.test';
const CAROL = 'sip:carol@ims.test';
const GROUP = 'sip:gs-1@ims.test';
const stored = table<StoredMessage>('group-messages');

/** The session of a participant whose answers the test gives. */
class Participant implements MediaSession {
  readonly description = '';
  connected = true;
  privateMessages = true;
  wrapped = ['*'];
  /** What was sent and not answered. */
  readonly open: ((status: number) => void)[] = [];
  readonly got: GroupMessage[] = [];
  /** Answers by itself. */
  auto: number | undefined = 200;
  #onConnected = (): void => {};

  offer(): void {}
  accept(): void {}
  answer(): void {}
  listen(): void {}
  close(): void {}
  accepts(type: string): boolean {
    return this.wrapped.includes('*') || this.wrapped.includes(type);
  }
  onConnected(listener: () => void): void {
    this.#onConnected = listener;
  }
  connect(): void {
    this.connected = true;
    this.#onConnected();
  }
  send(message: GroupMessage): Promise<number> {
    this.got.push(message);
    if (this.auto !== undefined) return Promise.resolve(this.auto);
    return new Promise((resolve) => this.open.push(resolve));
  }
  get texts(): string[] {
    return this.got.map(({ octets }) => parseCpim(octets).content.toString());
  }
}

const member = (identity: string, more: Partial<Member> = {}): Member => ({
  identity,
  owner: identity,
  state: 'connected',
  role: 'participant',
  endpoints: [],
  copyControl: 'to',
  ...more,
});

function room(
  options: {
    members?: Member[];
    perMember?: number;
    receipts?: 'each' | 'aggregated';
    displayed?: boolean;
    /** Until when the lookup of an identity is held up. */
    lookup?: Promise<void>;
    store?: MemoryStore;
    owners?: Readonly<Record<string, string>>;
    isHeld?: () => Promise<boolean>;
  } = {},
) {
  const clock = new VirtualClock();
  const trail = new MemoryTrail(() => clock.now());
  const store = options.store ?? new MemoryStore();
  const group: Group = {
    id: 'gs-1',
    uri: GROUP,
    kind: 'ad-hoc',
    access: 'closed',
    contributionId: 'g77',
    conversationId: 'k2',
    creator: ALICE,
    maximum: 10,
    minimum: 1,
    members: options.members ?? [member(ALICE), member(BOB), member(CAROL)],
    createdAt: 0,
  };
  const receipts = new Receipts({
    clock,
    mode: options.receipts ?? 'each',
    displayed: options.displayed ?? false,
    gatherMs: 2_000,
  });
  const room = new Switch(() => group, {
    store,
    clock,
    trail,
    log: silentLogger,
    keepMs: 1e6,
    perMember: options.perMember ?? 10,
    receipts,
    isHeld: options.isHeld,
    ownerOf: async (identity) => {
      await options.lookup;
      return options.owners?.[identity] ?? identity;
    },
  });
  return { room, clock, store, trail };
}

function cpim(from: string, to: string, text: string, asked?: string, type = 'text/plain'): GroupMessage {
  const octets = formatCpim({
    from: { name: '', uri: from },
    to: [{ name: '', uri: to }],
    namespaces: {
      imdn: {
        uri: IMDN_NAMESPACE,
        fields: [
          ['Message-ID', `id-${text.slice(0, 8)}`],
          ...(asked ? [['Disposition-Notification', asked] as [string, string]] : []),
        ],
      },
    },
    mime: [['Content-Type', type]],
    content: Buffer.from(text),
  });
  return { contentType: 'message/cpim', octets };
}

/** Lets what is under way settle. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await new Promise<void>((resolve) => setImmediate(resolve));
};

async function joined(at: Switch, identity: string, endpoint = identity, media = new Participant()) {
  await at.add(identity, endpoint, media);
  return media;
}

describe('the switch of a group', () => {
  it('gives a message to everybody else, and forgets it when all have it', async () => {
    const { room: at, store } = room();
    const [alice, bob, carol] = [await joined(at, ALICE), await joined(at, BOB), await joined(at, CAROL)];
    const message = cpim(ALICE, GROUP, 'hello');
    expect(await at.deliver(ALICE, ALICE, message)).toBe(200);
    await settle();
    expect([alice.texts, bob.texts, carol.texts]).toEqual([[], ['hello'], ['hello']]);
    expect(bob.got[0]!.octets).toBe(carol.got[0]!.octets); // one copy for all
    expect(store.size(stored)).toBe(0);
  });

  it('gives a member that comes while a message is being stored that message at once', async () => {
    const { room: at, store } = room();
    await joined(at, ALICE);
    let commit!: () => void;
    store.delay = () => new Promise((resolve) => (commit = resolve));
    const said = at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'hello'));
    await settle();
    const bob = await joined(at, BOB);
    expect(bob.texts).toEqual([]);
    store.delay = undefined;
    commit();
    expect(await said).toBe(200);
    await settle();
    expect(bob.texts).toEqual(['hello']);
  });

  it('takes nothing from who has lost its place', async () => {
    const { room: at } = room({ members: [member(ALICE), member(BOB, { state: 'removed' })] });
    const alice = await joined(at, ALICE);
    expect(await at.deliver(BOB, BOB, cpim(BOB, GROUP, 'still here'))).toBe(403);
    await settle();
    expect(alice.got).toEqual([]);
  });

  it('acknowledges nothing that it could not store', async () => {
    const { room: at, store } = room();
    const bob = await joined(at, BOB);
    store.failure = new Error('disk full');
    await expect(at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'x'))).rejects.toThrow('disk full');
    store.failure = undefined;
    expect(await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'y'))).toBe(200);
    await settle();
    expect(bob.texts).toEqual(['y']);
  });

  it('does not let a participant that takes nothing slow the others, and keeps the order for it', async () => {
    const { room: at, store } = room({ perMember: 1000 });
    const bob = await joined(at, BOB);
    const carol = new Participant();
    carol.auto = undefined;
    await joined(at, CAROL, CAROL, carol);
    const texts = Array.from({ length: 50 }, (_, i) => `m${i}`);
    for (const text of texts) expect(await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, text))).toBe(200);
    await settle();
    expect(bob.texts).toEqual(texts);
    expect(carol.got).toHaveLength(32); // no more than a window is under way
    for (const answer of carol.open.splice(0)) answer(200);
    carol.auto = 200;
    await settle();
    expect(carol.texts).toEqual(texts);
    expect(store.size(stored)).toBe(0);
  });

  it('keeps what a member missed until it is there again, in order, also over a restart', async () => {
    const members = [member(ALICE), member(BOB), member(CAROL, { state: 'away' })];
    const store = new MemoryStore();
    const first = room({ members, store });
    await joined(first.room, BOB);
    for (const text of ['one', 'two', 'three'])
      await first.room.deliver(ALICE, ALICE, cpim(ALICE, GROUP, text));
    await settle();
    first.clock.advance(1_000);
    const second = room({ members, store });
    const bob = await joined(second.room, BOB);
    const carol = await joined(second.room, CAROL);
    await settle();
    expect(bob.texts).toEqual([]);
    expect(carol.texts).toEqual(['one', 'two', 'three']);
    expect(store.size(stored)).toBe(0);
  });

  it('sends again what was under way when the connection of a participant ended', async () => {
    const { room: at } = room();
    const bob = new Participant();
    bob.auto = undefined;
    await joined(at, BOB, BOB, bob);
    for (const text of ['one', 'two']) await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, text));
    for (const answer of bob.open.splice(0)) answer(408);
    await settle();
    expect(bob.got).toHaveLength(2);
    bob.got.length = 0;
    bob.auto = 200;
    bob.connect();
    await settle();
    expect(bob.texts).toEqual(['one', 'two']);
  });

  it.each([408, 506])(
    'tries a connected participant that answered %i again after a while, in order, and longer each time',
    async (status) => {
      const { room: at, clock, store } = room({ members: [member(ALICE), member(BOB)] });
      const bob = new Participant();
      bob.auto = status;
      await joined(at, BOB, BOB, bob);
      for (const text of ['one', 'two']) await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, text));
      await settle();
      for (const wait of [2_000, 10_000, 60_000, 60_000]) {
        bob.got.length = 0;
        await clock.advanceAsync(wait - 1);
        expect(bob.texts).toEqual([]);
        await clock.advanceAsync(1);
        await settle();
        expect(bob.texts[0]).toBe('one');
      }
      bob.got.length = 0;
      bob.auto = 200;
      await clock.advanceAsync(60_000);
      await settle();
      expect(bob.texts).toEqual(['one', 'two']);
      expect(store.size(stored)).toBe(0);
      at.close();
      expect(clock.pending).toBe(0);
    },
  );

  it('tries a participant again that has said something itself', async () => {
    const { room: at } = room({ members: [member(ALICE), member(BOB)] });
    const bob = new Participant();
    bob.auto = 408;
    await joined(at, BOB, BOB, bob);
    await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'one'));
    await settle();
    bob.got.length = 0;
    bob.auto = 200;
    await at.deliver(BOB, BOB, cpim(BOB, GROUP, 'here'));
    await settle();
    expect(bob.texts).toEqual(['one']);
  });

  it('gives a file to a hundred participants from one copy of its octets', async () => {
    const members = Array.from({ length: 100 }, (_, i) => member(`sip:u${i}@ims.test`));
    const { room: at } = room({ members: [member(ALICE), ...members] });
    const all = await Promise.all(members.map(({ identity }) => joined(at, identity)));
    await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'x'.repeat(1_000_000)));
    await settle();
    expect(all.map(({ got }) => got.length)).toEqual(all.map(() => 1));
    expect(new Set(all.map(({ got }) => got[0]!.octets.buffer)).size).toBe(1);
  });

  it('gives each device of a member its copy, those of the sender too', async () => {
    const { room: at } = room();
    const [a1, a2, b1, b2] = [
      await joined(at, ALICE, 'a1'),
      await joined(at, ALICE, 'a2'),
      await joined(at, BOB, 'b1'),
      await joined(at, BOB, 'b2'),
    ];
    await at.deliver(ALICE, 'a1', cpim(ALICE, GROUP, 'x'));
    await settle();
    expect([a1.texts, a2.texts, b1.texts, b2.texts]).toEqual([[], ['x'], ['x'], ['x']]);
  });

  it('drops what a member waits for that lost its place', async () => {
    const { room: at, store } = room({ members: [member(ALICE), member(CAROL, { state: 'away' })] });
    await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'x'));
    expect(store.size(stored)).toBe(1);
    at.drop(CAROL);
    await settle();
    expect(store.size(stored)).toBe(0);
  });

  it('drops also what is still being found for a member that has lost its place', async () => {
    const store = new MemoryStore();
    const members = [member(ALICE), member(CAROL, { state: 'away' })];
    await room({ members, store }).room.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'x'));
    const { room: at } = room({ members, store });
    at.drop(CAROL);
    const carol = await joined(at, CAROL);
    await settle();
    expect([carol.texts, store.size(stored)]).toEqual([[], 0]);
  });

  it('drops what it finds for a member that had lost its place when the process was killed', async () => {
    const store = new MemoryStore();
    const members = [member(ALICE), member(CAROL, { state: 'away' })];
    await room({ members, store }).room.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'x'));
    const { room: at } = room({ members: [member(ALICE), member(CAROL, { state: 'removed' })], store });
    await joined(at, ALICE);
    await settle();
    expect(store.size(stored)).toBe(0);
  });

  it('tells the sender what was not kept for a full member, if it asked', async () => {
    const { room: at, trail } = room({
      members: [member(ALICE), member(CAROL, { state: 'away' })],
      perMember: 1,
    });
    const alice = await joined(at, ALICE);
    for (const text of ['one', 'two'])
      expect(await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, text, 'negative-delivery'))).toBe(200);
    await settle();
    expect(alice.got.map(({ octets }) => parseImdn(parseCpim(octets).content))).toMatchObject([
      { messageId: 'id-two', status: 'failed', recipientUri: CAROL },
    ]);
    expect(trail.recent({ code: 'group.message-lost' })).toHaveLength(1);
  });

  it('gives up what waited too long', async () => {
    const { room: at, store, clock } = room({ members: [member(ALICE), member(CAROL, { state: 'away' })] });
    await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'x'));
    expect(await removeExpired(store, clock.now(), 10, () => Promise.resolve(true))).toEqual([]);
    expect(await removeExpired(store, clock.now() + 1e6, 10, () => Promise.resolve(true))).toMatchObject([
      { groupId: 'gs-1', message: { from: ALICE, waiting: [CAROL] } },
    ]);
  });

  it('tells the sender what waited too long, and sends it to nobody any more', async () => {
    const { room: at, store, clock } = room({ members: [member(ALICE), member(CAROL)] });
    const [alice, carol] = [await joined(at, ALICE), new Participant()];
    carol.auto = undefined;
    await joined(at, CAROL, CAROL, carol);
    await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'late', 'negative-delivery'));
    await settle();
    for (const answer of carol.open.splice(0)) answer(408);
    await settle();
    const [expired] = await removeExpired(store, clock.now() + 1e6, 10, () => Promise.resolve(true));
    at.expire(expired!.key, expired!.message);
    carol.got.length = 0;
    carol.connect();
    await settle();
    expect(carol.got).toEqual([]);
    expect(alice.got.map(({ octets }) => parseImdn(parseCpim(octets).content))).toMatchObject([
      { messageId: 'id-late', status: 'failed', recipientUri: CAROL },
    ]);
  });

  it('goes on when what waits could not be read at first', async () => {
    const store = new MemoryStore();
    const members = [member(ALICE), member(BOB, { state: 'away' })];
    const first = room({ members, store });
    await first.room.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'one'));
    store.scan = () => {
      throw new Error('no connection');
    };
    const { room: at } = room({ members, store });
    await expect(at.add(BOB, BOB, new Participant())).rejects.toThrow('no connection');
    Reflect.deleteProperty(store, 'scan');
    expect(await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'two'))).toBe(200);
    const bob = await joined(at, BOB);
    await settle();
    expect(bob.texts).toEqual(['one', 'two']);
  });

  it('puts what comes behind what it found, also when its clock is behind', async () => {
    const store = new MemoryStore();
    const members = [member(ALICE), member(BOB, { state: 'away' })];
    const first = room({ members, store });
    first.clock.advance(60_000);
    await first.room.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'one'));
    const second = room({ members, store });
    await joined(second.room, ALICE);
    await second.room.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'two'));
    const bob = await joined(room({ members, store }).room, BOB);
    await settle();
    expect(bob.texts).toEqual(['one', 'two']);
  });

  it('acknowledges nothing for a group that another process has taken', async () => {
    let held = true;
    const { room: at, store } = room({ isHeld: () => Promise.resolve(held) });
    const bob = await joined(at, BOB);
    expect(await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'mine'))).toBe(200);
    held = false;
    await expect(at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'theirs'))).rejects.toMatchObject({
      code: 'group-moved',
    });
    await settle();
    expect(bob.texts).toEqual(['mine']);
    expect(store.size(stored)).toBe(1);
  });

  it.each([
    ['is not message/cpim', { contentType: 'text/plain', octets: Buffer.from('x') }, 415],
    ['is malformed', { contentType: 'message/cpim', octets: Buffer.from('x') }, 400],
    ['has the From of somebody else', cpim(BOB, GROUP, 'x'), 403],
    ['is for an unknown member', cpim(ALICE, 'sip:nobody@ims.test', 'x'), 404],
    ['is for one who takes no private messages', cpim(ALICE, CAROL, 'x'), 428],
  ])('refuses a message that %s', async (_name, message, status) => {
    const { room: at, store } = room();
    const carol = new Participant();
    carol.privateMessages = false;
    await joined(at, CAROL, CAROL, carol);
    expect(await at.deliver(ALICE, ALICE, message)).toBe(status);
    expect([carol.got, store.size(stored)]).toEqual([[], 0]);
  });

  it('takes a private message to that member alone', async () => {
    const { room: at } = room();
    const [bob, carol] = [await joined(at, BOB), await joined(at, CAROL)];
    expect(await at.deliver(ALICE, ALICE, cpim(ALICE, BOB, 'psst'))).toBe(200);
    await settle();
    expect([bob.texts, carol.texts]).toEqual([['psst'], []]);
  });

  it('refuses a private message to a member that is not there (428)', async () => {
    const { room: at, store } = room({
      members: [member(ALICE), member(BOB), member(CAROL, { state: 'away' })],
    });
    await joined(at, BOB);
    expect(await at.deliver(ALICE, ALICE, cpim(ALICE, CAROL, 'psst'))).toBe(428);
    expect(store.size(stored)).toBe(0);
  });

  it('sends a private message only where that was agreed on, also to the client that comes later', async () => {
    const { room: at, store } = room();
    const [able, plain, later] = [new Participant(), new Participant(), new Participant()];
    able.auto = undefined;
    plain.privateMessages = false;
    later.privateMessages = false;
    await joined(at, CAROL, 'c1', able);
    await joined(at, CAROL, 'c2', plain);
    const alice = await joined(at, ALICE);
    expect(await at.deliver(ALICE, 'a2', cpim(ALICE, CAROL, 'psst', 'negative-delivery'))).toBe(200);
    const composing = cpim(ALICE, CAROL, '<isComposing/>', undefined, IS_COMPOSING_TYPE);
    expect(await at.deliver(ALICE, 'a2', composing)).toBe(200);
    expect(await at.deliver(ALICE, 'a2', cpim(ALICE, GROUP, 'to all'))).toBe(200);
    await settle();
    expect([able.texts, plain.texts]).toEqual([['psst', '<isComposing/>', 'to all'], ['to all']]);
    // it has not answered for it, and the next client takes none: the sender hears so
    at.remove('c1');
    await joined(at, CAROL, 'c3', later);
    await settle();
    expect(later.texts).toEqual([]);
    expect(parseImdn(parseCpim(alice.got.at(-1)!.octets).content).status).toBe('failed');
    expect(store.size(stored)).toBe(1);
  });

  it('shows who is anonymous by its alias, whatever its client writes', async () => {
    const alias = 'sip:anonymous-1@anonymous.invalid';
    const { room: at } = room({ members: [member(ALICE), member(BOB, { alias })] });
    const alice = await joined(at, ALICE);
    for (const from of [BOB, alias, 'sip:anonymous@anonymous.invalid'])
      expect(await at.deliver(BOB, BOB, cpim(from, GROUP, 'boo'))).toBe(200);
    await settle();
    expect(alice.got.map(({ octets }) => parseCpim(octets).head.from!.uri)).toEqual([alias, alias, alias]);
  });

  it('keeps the order of a sender whose names are looked up for different times', async () => {
    const number = 'tel:+15550100002';
    let found!: () => void;
    const lookup = new Promise<void>((resolve) => (found = resolve));
    const { room: at } = room({ owners: { [number]: BOB }, lookup });
    const alice = await joined(at, ALICE);
    const sent = [number, BOB, 'tel:+15550100009', 'sip:anonymous@anonymous.invalid', BOB].map((from, n) =>
      at.deliver(BOB, BOB, cpim(from, GROUP, `text ${n}`)),
    );
    await settle();
    expect(alice.texts).toEqual([]);
    // another sender does not wait for it
    expect(await at.deliver(CAROL, CAROL, cpim(CAROL, GROUP, 'mine'))).toBe(200);
    found();
    expect(await Promise.all(sent)).toEqual([200, 200, 403, 200, 200]);
    await settle();
    expect(alice.texts).toEqual(['mine', 'text 0', 'text 1', 'text 3', 'text 4']);
  });

  it('shows of an anonymous sender no name but its nickname', async () => {
    const alias = 'sip:anonymous-1@anonymous.invalid';
    const named = async (more: Partial<Member>): Promise<unknown> => {
      const { room: at } = room({ members: [member(ALICE), member(BOB, { alias, ...more })] });
      const alice = await joined(at, ALICE);
      const { octets } = cpim(alias, GROUP, 'boo');
      const text = Buffer.from(octets).toString().replace(`From: <${alias}>`, `From: Robert <${alias}>`);
      await at.deliver(BOB, BOB, { contentType: 'message/cpim', octets: Buffer.from(text) });
      await settle();
      return parseCpim(alice.got[0]!.octets).head.from;
    };
    expect(await named({})).toEqual({ name: '', uri: alias });
    expect(await named({ nickname: 'Bobby' })).toEqual({ name: 'Bobby', uri: alias });
  });

  it('knows a member by each of its identities, unless it is anonymous', async () => {
    const [number, hidden] = ['tel:+15550100002', 'tel:+15550100003'];
    const carol = member(CAROL, { alias: 'sip:anonymous-1@anonymous.invalid' });
    const { room: at } = room({
      members: [member(ALICE), member(BOB), carol],
      owners: { [number]: BOB, [hidden]: CAROL },
    });
    const alice = await joined(at, ALICE);
    await joined(at, BOB);
    await joined(at, CAROL);
    expect(await at.deliver(BOB, BOB, cpim(number, GROUP, 'it is me'))).toBe(200);
    expect(await at.deliver(BOB, BOB, cpim(hidden, GROUP, 'it is not'))).toBe(403);
    await settle();
    expect(alice.got.map(({ octets }) => parseCpim(octets).head.from!.uri)).toEqual([BOB]);
    expect(await at.deliver(ALICE, ALICE, cpim(ALICE, number, 'psst'))).toBe(200);
    expect(await at.deliver(ALICE, ALICE, cpim(ALICE, hidden, 'psst'))).toBe(404);
  });

  it('keeps for a member what one of its devices does not take until another one has answered', async () => {
    const { room: at, store, trail } = room({ members: [member(ALICE), member(BOB)] });
    const [dead, plain] = [new Participant(), new Participant()];
    dead.auto = undefined;
    plain.wrapped = ['text/plain'];
    await joined(at, BOB, 'b1', dead);
    await joined(at, BOB, 'b2', plain);
    await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'png', 'negative-delivery', 'image/png'));
    await settle();
    expect([dead.texts, plain.texts]).toEqual([['png'], []]);
    at.remove('b1');
    await settle();
    expect(store.size(stored)).toBe(1);
    const back = await joined(at, BOB, 'b3');
    await settle();
    expect(back.texts).toEqual(['png']);
    expect(store.size(stored)).toBe(0);
    expect(trail.recent({ code: 'group.message-lost' })).toEqual([]);
  });

  it('leaves out a participant that does not take the wrapped type, and tells the sender', async () => {
    const { room: at } = room({ members: [member(ALICE), member(BOB)] });
    const alice = await joined(at, ALICE);
    const bob = new Participant();
    bob.wrapped = ['text/plain'];
    await joined(at, BOB, BOB, bob);
    await at.deliver(ALICE, ALICE, cpim(ALICE, GROUP, 'png', 'negative-delivery', 'image/png'));
    await settle();
    expect(bob.got).toEqual([]);
    expect(parseImdn(parseCpim(alice.got[0]!.octets).content).status).toBe('failed');
  });

  it('passes on who is composing to who is there, and keeps nothing of it', async () => {
    const { room: at, store } = room({
      members: [member(ALICE), member(BOB), member(CAROL, { state: 'away' })],
    });
    const bob = await joined(at, BOB);
    const message = cpim(ALICE, GROUP, '<isComposing/>', undefined, IS_COMPOSING_TYPE);
    expect(await at.deliver(ALICE, ALICE, message)).toBe(200);
    await settle();
    expect([bob.got.length, store.commits]).toEqual([1, 0]);
  });

  it('keeps little under way of who is composing to a member that does not answer', async () => {
    const { room: at } = room();
    const bob = await joined(at, BOB);
    bob.auto = undefined;
    const message = cpim(ALICE, GROUP, '<isComposing/>', undefined, IS_COMPOSING_TYPE);
    for (let i = 0; i < 50; i++) expect(await at.deliver(ALICE, ALICE, message)).toBe(200);
    expect(bob.got).toHaveLength(8);
    bob.open[0]!(200);
    await settle();
    await at.deliver(ALICE, ALICE, message);
    expect(bob.got).toHaveLength(9);
  });
});

const imdn = (by: string, kind: 'delivery' | 'display' = 'delivery'): GroupMessage =>
  cpim(
    by,
    ALICE,
    formatImdn({
      messageId: 'm1',
      dateTime: '2026-01-01T00:00:00Z',
      recipientUri: by,
      kind,
      status: kind === 'delivery' ? 'delivered' : 'displayed',
    }),
    undefined,
    IMDN_TYPE,
  );

describe('disposition notifications in a group', () => {
  it('reach only who sent the message, one by one', async () => {
    const { room: at } = room();
    const [alice, bob, carol] = [await joined(at, ALICE), await joined(at, BOB), await joined(at, CAROL)];
    expect(await at.deliver(BOB, BOB, imdn(BOB))).toBe(200);
    expect(await at.deliver(CAROL, CAROL, imdn(CAROL))).toBe(200);
    await settle();
    expect(alice.got.map(({ octets }) => parseImdn(parseCpim(octets).content).recipientUri)).toEqual([
      BOB,
      CAROL,
    ]);
    expect([bob.got, carol.got]).toEqual([[], []]);
  });

  it.each([
    [false, []],
    [true, ['displayed']],
  ])('say that a message was displayed only where that is wanted (%s)', async (displayed, told) => {
    const { room: at } = room({ displayed });
    const alice = await joined(at, ALICE);
    expect(await at.deliver(BOB, BOB, imdn(BOB, 'display'))).toBe(200);
    await settle();
    expect(alice.got.map(({ octets }) => parseImdn(parseCpim(octets).content).status)).toEqual(told);
  });

  it('that cannot be read are refused with 400', async () => {
    const { room: at } = room();
    const alice = await joined(at, ALICE);
    expect(await at.deliver(BOB, BOB, cpim(BOB, ALICE, '<imdn/>', undefined, IMDN_TYPE))).toBe(400);
    expect(alice.got).toEqual([]);
  });

  it('reach who sent the message also where no private messages are taken', async () => {
    const { room: at } = room();
    const alice = await joined(at, ALICE);
    alice.privateMessages = false;
    expect(await at.deliver(BOB, BOB, imdn(BOB))).toBe(200);
    await settle();
    expect(alice.got).toHaveLength(1);
  });

  it('name an anonymous participant by its alias', async () => {
    const alias = 'sip:anonymous-1@anonymous.invalid';
    const { room: at } = room({ members: [member(ALICE), member(BOB, { alias })] });
    const alice = await joined(at, ALICE);
    await at.deliver(BOB, BOB, imdn(BOB));
    await settle();
    expect(Buffer.from(alice.got[0]!.octets).toString()).not.toContain(BOB);
    expect(parseImdn(parseCpim(alice.got[0]!.octets).content)).toMatchObject({ recipientUri: alias });
  });

  it('that a list server put together go the same way, each under the alias of who reports', async () => {
    const alias = 'sip:anonymous-1@anonymous.invalid';
    const { room: at } = room({ members: [member(ALICE), member(BOB, { alias }), member(CAROL)] });
    const [alice, carol] = [await joined(at, ALICE), await joined(at, CAROL)];
    const reported = ['m-1', 'm-2'].map((messageId) => ({
      messageId,
      dateTime: '2026-11-26T10:00:00Z',
      recipientUri: BOB,
      kind: 'delivery' as const,
      status: 'delivered' as const,
    }));
    const octets = formatCpim({
      from: { name: '', uri: BOB },
      to: [{ name: '', uri: ALICE }],
      mime: [
        ['Content-Type', 'multipart/mixed;boundary="b-1"'],
        ['Content-Disposition', 'notification'],
      ],
      content: Buffer.from(formatImdnAggregate(reported, 'b-1')),
    });
    expect(await at.deliver(BOB, BOB, { contentType: 'message/cpim', octets })).toBe(200);
    await settle();
    expect(carol.got).toEqual([]);
    const { head, content } = parseCpim(alice.got[0]!.octets);
    expect(imdnsIn(head, content)).toMatchObject([
      { messageId: 'm-1', recipientUri: alias },
      { messageId: 'm-2', recipientUri: alias },
    ]);
    expect(Buffer.from(alice.got[0]!.octets).toString()).not.toContain(BOB);
  });

  it('are gathered into one where that is wanted: when all have come, or after the time', async () => {
    const { room: at, clock } = room({ receipts: 'aggregated' });
    const alice = await joined(at, ALICE);
    const both = Promise.all([at.deliver(BOB, BOB, imdn(BOB)), at.deliver(CAROL, CAROL, imdn(CAROL))]);
    expect(await both).toEqual([200, 200]);
    await settle();
    expect(alice.got).toHaveLength(1);
    const { head, content } = parseCpim(alice.got[0]!.octets);
    expect(head.mediaType).toBe('multipart/mixed');
    expect(content.toString().match(/<recipient-uri>[^<]*/g)).toHaveLength(2);
    // a user who reports from two devices is one who has reported
    const alone = Promise.all([at.deliver(BOB, BOB, imdn(BOB)), at.deliver(BOB, 'another', imdn(BOB))]);
    await settle();
    expect(alice.got).toHaveLength(1);
    clock.advance(2_000);
    expect(await alone).toEqual([200, 200]);
    await settle();
    expect(alice.got).toHaveLength(2);
    expect(
      parseCpim(alice.got[1]!.octets)
        .content.toString()
        .match(/<recipient-uri>[^<]*/g),
    ).toHaveLength(1);
  });
});
