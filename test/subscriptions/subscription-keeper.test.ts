import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/base/errors.js';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import type { Dialog } from '../../src/sip/stack.js';
import '../../src/store/errors.js';
import { table } from '../../src/store/store.js';
import { LEASE, type KeptSubscription } from '../../src/subscriptions/kept-subscription.js';
import { SubscriptionKeeper } from '../../src/subscriptions/subscription-keeper.js';
import { node, type Node } from '../sip/embedded/nodes.js';
import { useCleanups } from '../tools/cleanups.js';
import { MemoryStore } from '../tools/memory-store.js';

const cleanups = useCleanups();
const rows = table('subscriptions-reg');

/** A process that notifies, with the subscriptions it has accepted or taken over. */
interface Notifier {
  readonly keeper: SubscriptionKeeper;
  readonly server: Node;
  readonly subscriptions: KeptSubscription[];
}

async function notifier(
  name: string,
  store: MemoryStore,
  isAlive: (node: string) => boolean = () => false,
): Promise<Notifier> {
  const server = await node();
  const clock = new SystemClock((error) => {
    throw error;
  });
  const keeper = new SubscriptionKeeper({
    ...{ store, clock, log: silentLogger, stack: server.stack },
    ...{ event: 'reg', node: name, isAlive },
  });
  cleanups.push(() => {
    keeper.close();
    clock.close();
  });
  const subscriptions: KeptSubscription[] = [];
  server.stack.on('SUBSCRIBE', async (request, response) => {
    const expires = request.number('Expires') ?? 600;
    const kept = await keeper.accept({ request, response, resource: 'alice', watcher: 'user', expires });
    kept.dialog.onRequest((again, answer) => kept.refresh(again, answer, 600));
    subscriptions.push(kept);
    await say(kept);
  });
  return { keeper, server, subscriptions };
}

const say = (kept: KeptSubscription): Promise<unknown> =>
  kept.notify((version) => ({ headers: { 'Content-Type': 'text/plain' }, body: String(version) }));

/** Somebody who subscribes, and the versions that it is told. */
async function watcher(to: Notifier, expires = 600): Promise<{ dialog: Dialog; versions: number[] }> {
  const { stack } = await node();
  const versions: number[] = [];
  const dialog = await stack.createUAC(to.server.uri(), {
    method: 'SUBSCRIBE',
    headers: { Event: 'reg', Expires: expires },
  });
  dialog.onRequest((request: SipRequest, response) => {
    versions.push(Number(Buffer.from(request.body).toString()));
    response.send(200);
  });
  return { dialog, versions };
}

async function orphans({ keeper }: Notifier, resource?: string): Promise<KeptSubscription[]> {
  const found: KeptSubscription[] = [];
  for await (const kept of keeper.orphans(resource)) found.push(kept);
  return found;
}

describe('a subscription that is kept', () => {
  it('costs a commit when it is accepted, and then one in hundreds of NOTIFYs', async () => {
    const store = new MemoryStore();
    const a = await notifier('a', store);
    const { versions } = await watcher(a);
    const [kept] = a.subscriptions;
    for (let i = 1; i <= LEASE; i++) await say(kept!);
    expect(versions).toEqual(Array.from({ length: LEASE + 1 }, (_, i) => i));
    expect(store.commits).toBe(2);
  });

  it('goes on in its dialog at the process that takes it over, and no longer where it was', async () => {
    const store = new MemoryStore();
    const a = await notifier('a', store);
    const b = await notifier('b', store);
    const { dialog, versions } = await watcher(a);
    expect(await orphans(b, 'bob')).toEqual([]);
    const [there] = await orphans(b, 'alice');
    expect([there!.resource, there!.watcher, there!.dialog.callId]).toEqual(['alice', 'user', dialog.callId]);
    there!.dialog.onRequest((again, answer) => there!.refresh(again, answer, 600));
    await say(there!);
    expect(versions).toEqual([0, LEASE]);
    expect((await dialog.modify('')).status).toBe(200); // it goes where the last NOTIFY came from
    expect(await orphans(b)).toEqual([]);

    const [here] = a.subscriptions;
    await here!.reserve();
    expect([here!.dialog.state, there!.dialog.state]).toEqual(['terminated', 'confirmed']);
    expect(store.size(rows)).toBe(1);
    await there!.dialog.destroy();
    await expect.poll(() => store.size(rows)).toBe(0);
  });

  it('is not taken from a process that lives', async () => {
    const store = new MemoryStore();
    const a = await notifier('a', store);
    const b = await notifier('b', store, (name) => name === 'a');
    await watcher(a);
    expect(await orphans(b)).toEqual([]);
  });

  it('is not accepted when it cannot be committed', async () => {
    const store = new MemoryStore();
    const a = await notifier('a', store);
    store.failure = new ParleyError('store-unavailable');
    await expect(watcher(a)).rejects.toMatchObject({ status: 503 });
    expect(a.subscriptions).toEqual([]);
  });

  it('that only fetches is not kept', async () => {
    const store = new MemoryStore();
    const a = await notifier('a', store);
    await watcher(a, 0);
    expect(store.commits).toBe(0);
  });
});
