import { beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/base/log.js';
import { RegEventSubscriber } from '../../src/reg-event/subscriber.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import { settle, startStack, type Fixture } from '../sip/embedded/fixture.js';
import { useCleanups } from '../tools/cleanups.js';
import type { FakeClientTransaction } from '../tools/fake-transactions.js';
import { reginfoOf } from '../tools/foreign-core.js';
import { MemoryStore } from '../tools/memory-store.js';

const cleanups = useCleanups();
const ALICE = 'sip:alice@ims.test';
const CORE = 'sip:scscf@127.0.0.1:6001';

let fixture: Fixture;
let subscriber: RegEventSubscriber;
let notified: number;
/** SUBSCRIBEs that a test knows of. */
let known: number;

beforeEach(async () => {
  fixture = await startStack();
  notified = known = 0;
  subscriber = await RegEventSubscriber.open({
    stack: fixture.stack,
    clock: fixture.clock,
    trail: fixture.trail,
    log: silentLogger,
    store: new MemoryStore(),
    self: 'sip:parley@ims.test',
    route: [`<${CORE};lr>`],
    expires: 3_600,
    total: 10,
  });
  subscriber.start();
  cleanups.push(() => subscriber.close());
});

/** SUBSCRIBEs so far. */
const subscribes = (): readonly FakeClientTransaction[] =>
  fixture.transactions.sent.filter(({ request }) => request.method === 'SUBSCRIBE');

/** Lets time pass. @returns SUBSCRIBEs that were sent since the last look. */
async function passed(ms: number): Promise<number> {
  for (let left = ms; left > 0; left -= 100) {
    fixture.clock.advance(Math.min(left, 100));
    await settle();
  }
  const before = known;
  known = subscribes().length;
  return known - before;
}

async function registered(): Promise<void> {
  const before = subscribes().length;
  await subscriber.registered(ALICE, 7_200);
  await settle();
  known += subscribes().length - before;
}

/** Answers the newest SUBSCRIBE. */
async function answer(status: number, headers: HeaderMap = {}): Promise<void> {
  const { request } = subscribes().at(-1)!;
  const granted = status < 300 ? { Contact: `<${CORE}>`, Expires: request.get('Expires') } : {};
  subscribes()
    .at(-1)!
    .respond(status, { ...granted, ...headers }, `core-${request.callId}`);
  await settle();
}

/** NOTIFY in the newest subscription. @returns its status. */
async function notify(body: string, state = 'active;expires=3600'): Promise<number | undefined> {
  const { request } = subscribes().at(-1)!;
  const sent = fixture.transactions.receive(
    `NOTIFY ${request.contacts[0]!.uriText} SIP/2.0
      Via: SIP/2.0/UDP 127.0.0.1:6001;branch=z9hG4bKn${++notified}
      From: <${ALICE}>;tag=core-${request.callId}
      To: <sip:parley@ims.test>;tag=${request.fromTag}
      Call-ID: ${request.callId}
      CSeq: ${notified} NOTIFY
      Contact: <${CORE}>
      Event: reg
      Subscription-State: ${state}
      ${body === '' ? '' : 'Content-Type: application/reginfo+xml'}`,
    {},
    body,
  );
  fixture.clock.advance(10);
  await settle();
  await settle();
  return sent.finalStatus;
}

const contacts = async (): Promise<readonly string[]> =>
  (await subscriber.of(ALICE)).map(({ contact }) => contact);

describe('a core that is subscribed to', () => {
  it('and restarts without a word is asked when no document follows its REGISTER', async () => {
    await registered();
    await answer(200);
    expect(await notify(reginfoOf(7, 'full', 1))).toBe(200);
    expect(await passed(60_000)).toBe(0);
    await registered();
    expect(await passed(4_900)).toBe(0);
    expect(await passed(200)).toBe(1);
    const first = subscribes().at(-1)!.request;
    await answer(481);
    expect(await passed(100)).toBe(1);
    const again = subscribes().at(-1)!.request;
    expect([again.callId === first.callId, again.toTag]).toEqual([false, undefined]);
    await answer(200);
    await notify(reginfoOf(0, 'full', 2));
    expect(await contacts()).toEqual(['sip:alice@127.0.0.1:2']);
  });

  it('and tells what its REGISTER did, just before it or soon after it, is asked nothing', async () => {
    await registered();
    await answer(200);
    await notify(reginfoOf(0, 'full', 1));
    await registered();
    expect(await passed(10_000)).toBe(0);
    await registered();
    await passed(3_000);
    await notify(reginfoOf(1, 'full', 1));
    expect(await passed(60_000)).toBe(0);
  });

  it('that has partial documents only is asked twice for everything, and then believed', async () => {
    await registered();
    await answer(200);
    await notify(reginfoOf(0, 'partial', 1));
    expect(await passed(100)).toBe(1);
    // another one that was on its way makes no further refresh
    await notify(reginfoOf(1, 'partial', 1));
    expect(await passed(900)).toBe(0);
    await answer(200);
    await notify(reginfoOf(2, 'partial', 1));
    expect(await passed(900)).toBe(0);
    expect(await passed(200)).toBe(1);
    await answer(200);
    await notify(reginfoOf(3, 'partial', 1));
    expect(await contacts()).toEqual(['sip:alice@127.0.0.1:1']);
    await notify(reginfoOf(4, 'partial', 2));
    expect(await contacts()).toEqual(['sip:alice@127.0.0.1:1', 'sip:alice@127.0.0.1:2']);
    expect(await passed(60_000)).toBe(0);
  });

  it('that refuses to tell everything has not told that it has partial documents only', async () => {
    await registered();
    await answer(200);
    await notify(reginfoOf(0, 'partial', 1));
    expect(await passed(100)).toBe(1);
    await answer(500);
    expect(await passed(1_000)).toBe(1);
    await answer(500);
    expect(await passed(2_000)).toBe(1);
    await notify(reginfoOf(1, 'partial', 2));
    expect(await contacts()).toEqual([]);
    await answer(200);
    await notify(reginfoOf(2, 'full', 1, 2));
    expect(await contacts()).toHaveLength(2);
  });

  it('that ends each subscription at once is asked less and less often', async () => {
    await registered();
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      await answer(200);
      await notify(reginfoOf(0, 'full', 1), 'terminated;reason=timeout');
      const from = fixture.clock.now();
      for (let looks = 0; looks < 1_000 && (await passed(100)) === 0; looks++);
      times.push(Math.round((fixture.clock.now() - from) / 1_000));
    }
    expect(times).toEqual([0, 1, 2, 4, 8]);
  });

  it('that says when it takes the subscription again is asked then', async () => {
    await registered();
    await answer(200);
    await notify(reginfoOf(0, 'full', 1), 'terminated;reason=probation;retry-after=300');
    expect(await passed(299_000)).toBe(0);
    expect(await passed(2_000)).toBe(1);
  });

  it('that wants longer subscriptions gets them from then on, and one that wants endless ones none', async () => {
    await registered();
    await answer(423, { 'Min-Expires': '7200' });
    expect(await passed(100)).toBe(1);
    expect(subscribes().at(-1)!.request.get('Expires')).toBe('7200');
    await answer(200);
    await notify(reginfoOf(0, 'full', 1));
    await subscriber.registered('sip:bob@ims.test', 7_200);
    await settle();
    expect(subscribes().at(-1)!.request.get('Expires')).toBe('7200');
    await answer(423, { 'Min-Expires': '4000000000' });
    await passed(0);
    expect(await passed(120_000)).toBe(0);
  });

  it('and refuses a SUBSCRIBE for a while is asked again when it said', async () => {
    await registered();
    await answer(503, { 'Retry-After': '120' });
    expect(await passed(119_000)).toBe(0);
    expect(await passed(2_000)).toBe(1);
  });
});
