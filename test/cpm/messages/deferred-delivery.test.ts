import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { ContentStore } from '../../../src/cpm/messages/content-store.js';
import { DeferredDelivery, type Addressee } from '../../../src/cpm/messages/deferred-delivery.js';
import { DeferredStore, type DeferredMessage } from '../../../src/cpm/messages/deferred-store.js';
import { DeliveryClaims } from '../../../src/cpm/messages/delivery-claims.js';
import type { RegisteredDevice } from '../../../src/reg-event/devices.js';
import { table } from '../../../src/store/store.js';
import { MemoryStore } from '../../tools/memory-store.js';

const BOB = 'sip:bob@ims.test';
const clock = new VirtualClock();

const device = (name: string): RegisteredDevice => ({
  id: name,
  aor: BOB,
  contact: `sip:bob@${name}.invalid`,
  instance: `urn:uuid:${name}`,
  instanceKey: name,
  features: new Map(),
  q: 1,
});

/** A node that delivers what waits for Bob; `answer` is what his devices say to each text. */
class Node {
  readonly sent: string[] = [];
  readonly lost: string[] = [];
  readonly trail = new MemoryTrail(() => clock.now());
  readonly deferred: DeferredStore;
  readonly delivery: DeferredDelivery;
  here: RegisteredDevice[] = [device('phone')];
  answer: (text: string, to: Addressee) => number | Promise<number> = () => 200;
  tellable = true;

  readonly store: MemoryStore;

  constructor(
    store = new MemoryStore(),
    { perDevice = false, limit = 100, claims = undefined as DeliveryClaims | undefined } = {},
  ) {
    this.store = store;
    this.deferred = new DeferredStore({
      store,
      clock,
      contents: new ContentStore(store, clock),
      limits: { messages: limit, octets: 1_000 },
      perDevice,
    });
    this.delivery = new DeferredDelivery({
      clock,
      trail: this.trail,
      log: silentLogger,
      devices: { of: async () => this.here, at: async () => undefined, onChange: () => () => {} },
      deferred: this.deferred,
      claims,
      attempts: 3,
      perDevice,
      canTake: () => true,
      isQuiet: async () => false,
      chosen: async () => undefined,
      send: async (message, to, sequence) => {
        const text = textOf(message);
        this.sent.push(`${text}${to.key === '' ? '' : `>${to.key}`} ${sequence}`);
        return this.answer(text, to);
      },
      lost: async (message) => {
        this.lost.push(textOf(message));
        return textOf(message) === 'of nobody in reach' ? new Promise(() => {}) : this.tellable;
      },
    });
  }

  add(text: string, more: Partial<DeferredMessage> = {}): Promise<DeferredMessage> {
    const now = clock.now();
    const body = Buffer.from(text);
    return this.deferred.add({
      set: BOB,
      recipient: BOB,
      sender: 'sip:alice@ims.test',
      headers: [],
      body: Uint8Array.from(body),
      receivedAt: now,
      expiresAt: now + 3_600_000,
      ...more,
    });
  }

  /** One round, to its end. @returns what was sent in it. */
  async round(occasion: 'returned' | 'more' = 'returned'): Promise<string[]> {
    const before = this.sent.length;
    this.delivery.start(BOB, occasion);
    await settled();
    return this.sent.slice(before);
  }

  async sweep(): Promise<void> {
    await this.delivery.sweep();
    await settled();
  }

  async waiting(): Promise<string[]> {
    const texts: string[] = [];
    for await (const message of this.deferred.of(BOB)) texts.push(textOf(message));
    return texts;
  }
}

const textOf = ({ body }: DeferredMessage): string => Buffer.from(body).toString();
const settled = async (): Promise<void> => {
  for (let i = 0; i < 100; i++) await new Promise<void>((resolve) => setImmediate(resolve));
};

describe('deferred messages', () => {
  it.each([408, 500])(
    'are passed by those behind them when the device has come back three times and answered %i',
    async (status) => {
      const node = new Node();
      for (const text of ['poison', 'one', 'two']) await node.add(text);
      node.answer = (text) => (text === 'poison' ? status : 200);
      expect(await node.round()).toEqual(['poison 1']);
      // a message that comes in between is no return of the device
      expect(await node.round('more')).toHaveLength(1);
      expect(await node.round()).toHaveLength(1);
      const third = await node.round();
      expect(third.slice(1)).toEqual(['one 1', 'two 1']);
      expect(await node.waiting()).toEqual(['poison']);
      expect(node.trail.counts().get('cpm.message-passed-over')).toBe(1);
      expect(await node.round('more')).toEqual([]);
      node.answer = () => 200;
      expect(await node.round()).toHaveLength(1);
      expect(await node.waiting()).toEqual([]);
    },
  );

  it('take a new CSeq after an answer and the same one after none, and count 482 as delivered', async () => {
    const node = new Node();
    await node.add('hello');
    const answers = [480, 408, 482];
    node.answer = () => answers.shift()!;
    for (let i = 0; i < 3; i++) await node.round();
    expect(node.sent).toEqual(['hello 1', 'hello 2', 'hello 2']);
    expect(await node.waiting()).toEqual([]);
    expect(node.lost).toEqual([]);
  });

  it('are tried again by themselves when a device that is there failed, each time after twice as long', async () => {
    const node = new Node();
    for (const text of ['one', 'two']) await node.add(text);
    node.answer = () => 408;
    expect(await node.round()).toHaveLength(1);
    const sentAfter = async (ms: number): Promise<number> => {
      clock.advance(ms);
      await settled();
      return node.sent.length;
    };
    expect([await sentAfter(59_999), await sentAfter(1)]).toEqual([1, 2]);
    expect([await sentAfter(119_999), await sentAfter(1)]).toEqual([2, 3]);
    node.answer = () => 200;
    await sentAfter(240_000);
    expect(await node.waiting()).toEqual([]);
    expect(node.sent).toEqual(['one 1', 'one 1', 'one 1', 'one 1', 'two 1']);
    expect(await sentAfter(3_600_000)).toBe(5);
  });

  it('go to 128 users at once, and to the next when one has answered, or has not for a second', async () => {
    const node = new Node();
    const users = Array.from({ length: 300 }, (_, index) => `user-${index}`);
    for (const set of users) await node.add('hello', { set });
    let answered: (status: number) => void = () => {};
    node.answer = () => new Promise((resolve) => (answered = resolve));
    for (const set of users) node.delivery.start(set, 'returned');
    const sent = async (): Promise<number> => {
      await settled();
      return node.sent.length;
    };
    expect(await sent()).toBe(128);
    answered(200);
    expect(await sent()).toBe(129);
    clock.advance(1_000);
    expect(await sent()).toBe(257);
  });

  it('stay in order, and are not counted as failed, while nobody is there', async () => {
    const node = new Node();
    for (const text of ['one', 'two']) await node.add(text);
    node.answer = () => {
      node.here = [];
      return 480;
    };
    for (let i = 0; i < 5; i++) {
      node.here = [device('phone')];
      expect(await node.round()).toEqual(['one 1']);
    }
    expect(node.trail.counts().size).toBe(0);
  });

  it('are not read, however many wait, while nobody is there', async () => {
    const node = new Node();
    node.here = [];
    await node.add('one');
    let read = 0;
    const of = node.deferred.of.bind(node.deferred);
    node.deferred.of = (set) => {
      read++;
      return of(set);
    };
    expect(await node.round('more')).toEqual([]);
    expect(read).toBe(0);
    node.here = [device('phone')];
    expect(await node.round()).toEqual(['one 1']);
  });

  it('for one device wait for it and hold up nobody', async () => {
    const node = new Node();
    await node.add('for the tablet', { device: 'tablet' });
    await node.add('for all');
    expect(await node.round()).toEqual(['for all 1']);
    node.here.push(device('tablet'));
    expect(await node.round()).toEqual(['for the tablet 1']);
  });

  it('that are refused are told to their sender, again while that fails', async () => {
    const node = new Node();
    await node.add('unwanted');
    node.answer = () => 403;
    node.tellable = false;
    await node.round();
    expect(await node.waiting()).toEqual(['unwanted']);
    await node.round();
    expect(node.sent).toHaveLength(1);
    node.tellable = true;
    await node.sweep();
    expect(await node.waiting()).toEqual([]);
    expect(node.lost).toEqual(['unwanted', 'unwanted']);
  });

  it('whose senders are out of reach hold up neither each other nor the claims of their node', async () => {
    const store = new MemoryStore();
    const nodes = [0, 1].map(() => new Node(store, { claims: new DeliveryClaims(store, clock) }));
    const [a, b] = nodes as [Node, Node];
    const expiresAt = clock.now() + 1_000;
    await a.add('of nobody in reach', { set: 'carol', expiresAt });
    await a.add('of alice', { set: 'carol', expiresAt });
    await a.add('one');
    a.answer = () => new Promise(() => {});
    expect(await a.round()).toEqual(['one 1']);
    for (let second = 0; second < 30; second++) {
      clock.advance(1_000);
      await a.sweep();
      await b.sweep();
      expect(await b.round()).toEqual([]);
    }
    expect(a.lost).toEqual(['of nobody in reach', 'of alice']);
    expect(b.lost).toEqual([]);
  });

  it('go to each device once where that is wanted, each in order, and are lost when none took them', async () => {
    const node = new Node(undefined, { perDevice: true });
    for (const text of ['one', 'two']) await node.add(text);
    expect(await node.round()).toEqual(['one>phone 1', 'two>phone 1']);
    node.here.push(device('tablet'));
    node.answer = (text) => (text === 'one' ? 403 : 200);
    expect(await node.round()).toEqual(['one>tablet 1', 'two>tablet 1']);
    expect(await node.round()).toEqual([]);
    await node.add('three');
    node.here = [];
    clock.advance(3_700_000);
    await node.sweep();
    expect(await node.waiting()).toEqual([]);
    expect(node.lost).toEqual(['three']);
  });

  it('that some device has make room in a full mailbox, others do not', async () => {
    const node = new Node(undefined, { perDevice: true, limit: 2 });
    for (const text of ['one', 'two']) await node.add(text);
    await expect(node.add('three')).rejects.toMatchObject({ code: 'cpm-mailbox-full' });
    await node.round();
    await node.add('three');
    expect(await node.waiting()).toEqual(['two', 'three']);
  });

  it('have a count that is corrected after a crash between counting and committing', async () => {
    const node = new Node(undefined, { limit: 2 });
    const counts = table<{ waiting: number }>('deferred-counts');
    await node.store.update(counts, BOB, () => ({ kind: 'put', value: { waiting: 2 }, result: undefined }));
    await node.add('room');
    expect(await node.deferred.waiting(BOB)).toBe(1);
    await node.add('more room');
    await expect(node.add('none')).rejects.toMatchObject({ code: 'cpm-mailbox-full' });
  });

  it('resume without being read: only for users who have some', async () => {
    const node = new Node();
    await node.add('hello');
    node.deferred.of = () => {
      throw new Error('read');
    };
    const users: string[] = [];
    for await (const user of node.deferred.users()) users.push(user);
    expect(users).toEqual([BOB]);
  });

  it('are sent once by two nodes on one store, and by the survivor when one stops in the middle', async () => {
    const store = new MemoryStore();
    const [a, b] = [0, 1].map(() => new Node(store, { claims: new DeliveryClaims(store, clock) })) as [
      Node,
      Node,
    ];
    for (const text of ['one', 'two']) await a.add(text);
    let release = (_: number): void => {};
    a.answer = () => new Promise((resolve) => (release = resolve));
    a.delivery.start(BOB, 'returned');
    await settled();
    expect([await b.round(), a.sent]).toEqual([[], ['one 1']]);
    release(200);
    a.answer = () => 200;
    await settled();
    expect([a.sent, b.sent]).toEqual([['one 1', 'two 1'], []]);
    await a.add('three');
    a.answer = () => new Promise(() => {});
    a.delivery.start(BOB, 'returned');
    await settled();
    clock.advance(11_000);
    await b.sweep();
    expect(b.sent).toEqual(['three 1']);
    expect(await b.waiting()).toEqual([]);
  });
});
