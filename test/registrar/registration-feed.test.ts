import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { RegistrationFeed } from '../../src/registrar/registration-feed.js';
import type { BindingChange, RegistrationEvent } from '../../src/registrar/registration.js';
import { table } from '../../src/store/store.js';
import { MemoryStore } from '../tools/memory-store.js';

const watches = table('registration-watches');
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class CountingStore extends MemoryStore {
  /** Registration events that were published. */
  published = 0;

  override publish(channel: string, payload: string): Promise<void> {
    if (/^registrations-/.test(channel)) this.published++;
    return super.publish(channel, payload);
  }
}

let store: CountingStore;
let clock: VirtualClock;
beforeEach(() => {
  store = new CountingStore();
  clock = new VirtualClock();
});

interface Node {
  readonly feed: RegistrationFeed;
  register(set: string): void;
}

/** @param time another clock than that of all: one that stands still is that of a dead node. */
async function node(time = clock): Promise<Node> {
  let tell: (event: RegistrationEvent) => void = () => undefined;
  const registrar = {
    onChange: (listener: typeof tell) => {
      tell = listener;
      return () => true;
    },
  };
  const feed = new RegistrationFeed({ store, registrar, clock: time, log: silentLogger });
  await settled();
  const changes = [{ event: 'registered', binding: { id: 'b1' } }] as unknown as BindingChange[];
  return {
    feed,
    register: (set) => tell({ set, changes, registration: { bindings: [], instances: [] } }),
  };
}

/** Counts what the node hears of a set. */
function watch({ feed }: Node, set: string): { readonly heard: number; end(): void } {
  let heard = 0;
  const end = feed.watch(set, () => heard++);
  return {
    end,
    get heard() {
      return heard;
    },
  };
}

describe('the registration feed', () => {
  it('tells the node that watches, and publishes nothing while nobody does', async () => {
    const [a, b] = [await node(), await node()];
    b.register('sip:alice@ims.test');
    await settled();
    expect(store.published).toBe(0);
    clock.advance(60_000);
    const watching = watch(a, 'sip:alice@ims.test');
    await settled();
    b.register('sip:alice@ims.test');
    await settled();
    expect(watching.heard).toBe(1);
    expect(store.published).toBe(1);
  });

  it('does not tell a node what it did itself', async () => {
    const [a, b] = [await node(), await node()];
    const watching = watch(a, 'sip:alice@ims.test');
    watch(b, 'sip:alice@ims.test');
    await settled();
    a.register('sip:alice@ims.test');
    await settled();
    expect(watching.heard).toBe(0);
  });

  it('tells of a change that was made just before it was known that somebody watches', async () => {
    const [a, b] = [await node(), await node()];
    b.register('sip:alice@ims.test');
    b.register('sip:bob@ims.test');
    clock.advance(150);
    const watching = watch(a, 'sip:alice@ims.test');
    await settled();
    expect(watching.heard).toBe(1);
    expect(store.published).toBe(1);
  });

  it('does not tell of one that was made long before', async () => {
    const [a, b] = [await node(), await node()];
    b.register('sip:alice@ims.test');
    clock.advance(1_000);
    const watching = watch(a, 'sip:alice@ims.test');
    await settled();
    expect(watching.heard).toBe(0);
  });

  it('learns from the store what was watched before it began', async () => {
    const a = await node();
    const watching = watch(a, 'sip:alice@ims.test');
    await settled();
    const b = await node();
    b.register('sip:alice@ims.test');
    b.register('sip:bob@ims.test');
    await settled();
    expect(watching.heard).toBe(1);
    expect(store.published).toBe(1);
  });

  it('tells no more when the watch has ended, or its node has died', async () => {
    const [a, b, c] = [await node(), await node(), await node(new VirtualClock())];
    const watching = watch(a, 'sip:alice@ims.test');
    watch(c, 'sip:bob@ims.test');
    await settled();
    watching.end();
    for (let i = 0; i < 8; i++) {
      clock.advance(30_000);
      await settled();
    }
    b.register('sip:alice@ims.test');
    b.register('sip:bob@ims.test');
    await settled();
    expect(store.published).toBe(0);
  });

  it('goes on telling a node whose record was lost', async () => {
    const [a, b] = [await node(), await node()];
    const watching = watch(a, 'sip:alice@ims.test');
    await settled();
    for await (const { key } of store.scan(watches))
      await store.update(watches, key, () => ({ kind: 'remove', result: undefined }));
    clock.advance(35_000);
    await settled();
    b.register('sip:alice@ims.test');
    await settled();
    expect(watching.heard).toBe(1);
  });
});
