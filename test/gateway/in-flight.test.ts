import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { InFlight, pendingMessages, type Outgoing } from '../../src/gateway/messages/in-flight.js';
import type { Aor } from '../../src/identity/aor.js';
import type { MessageRecord, StatusCode, UserId } from '../../src/imps/index.js';
import { MemoryStore } from '../tools/memory-store.js';

const bob = 'wv:bob@ims.test' as UserId;
const outgoing = (id: string, recipient = bob): Outgoing => ({
  recipient,
  aor: 'sip:bob@ims.test' as Aor,
  message: { id, sender: { user: 'wv:alice@ims.test' as UserId }, content: 'hello' } as MessageRecord,
});

interface Attempt {
  readonly id: string;
  answer(status: StatusCode): void;
}

/** A process with its own memory, on a store that may be another's too. */
class Process {
  readonly attempts: Attempt[] = [];
  readonly failures: string[] = [];
  readonly inFlight: InFlight;

  constructor(store: MemoryStore, clock: VirtualClock) {
    this.inFlight = new InFlight({
      store,
      clock,
      log: silentLogger,
      patienceMs: 2_000,
      limit: 10,
      attempt: ({ message }) =>
        new Promise((resolve) => this.attempts.push({ id: message.id, answer: resolve })),
      failed: async ({ message }, status) => void this.failures.push(`${message.id} ${status}`),
    });
  }
}

/** What was asked for until now is done: everything here takes a few turns of the loop. */
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

let store: MemoryStore;
let clock: VirtualClock;
let one: Process;
beforeEach(() => {
  store = new MemoryStore();
  clock = new VirtualClock();
  one = new Process(store, clock);
});
afterEach(() => expect(one.failures).toHaveLength(new Set(one.failures).size));

const pending = async (): Promise<string[]> => {
  const left: string[] = [];
  for await (const { value } of store.scan(pendingMessages))
    left.push(`${value.message.id} ${value.status ?? 'open'}`);
  return left;
};

/** Accepts a message whose answer takes too long. */
async function accepted(process: Process, message: Outgoing): Promise<void> {
  const sent = process.inFlight.send(message);
  await turns();
  clock.advance(2_000);
  expect(await sent).toBeUndefined();
}

describe('a message of a phone on its way', () => {
  it.each([200, 531] as const)(
    'whose answer comes in time gets it: %d, and nothing is kept',
    async (status) => {
      const sent = one.inFlight.send(outgoing('m1'));
      await turns();
      one.attempts[0]!.answer(status);
      expect(await sent).toBe(status);
      expect(await pending()).toEqual([]);
      expect(one.failures).toEqual([]);
    },
  );

  it('is accepted when the answer takes longer, and its failure told once', async () => {
    await accepted(one, outgoing('m1'));
    expect(await pending()).toEqual(['m1 open']);
    one.attempts[0]!.answer(538);
    await turns();
    expect(one.failures).toEqual(['m1 538']);
    expect(await pending()).toEqual(['m1 538']);
  });

  it('that the phone repeats is not sent again, as long as the IMPS server would know it again', async () => {
    await accepted(one, outgoing('m1'));
    one.attempts[0]!.answer(200);
    await turns();
    expect(await one.inFlight.send(outgoing('m1'))).toBeUndefined();
    expect(one.attempts).toHaveLength(1);
    clock.advance(601_000);
    await one.inFlight.resume(100);
    expect(await pending()).toEqual([]);
  });

  it('arrives after what was sent to the same user before it', async () => {
    await accepted(one, outgoing('m1'));
    await accepted(one, outgoing('m2'));
    expect(one.attempts.map(({ id }) => id)).toEqual(['m1']);
    one.attempts[0]!.answer(200);
    await turns();
    expect(one.attempts.map(({ id }) => id)).toEqual(['m1', 'm2']);
  });

  it('to several recipients is waited for once', async () => {
    await accepted(one, outgoing('m1'));
    const other = { ...outgoing('m1', 'wv:carol@ims.test' as UserId), aor: 'sip:carol@ims.test' as Aor };
    const sent = one.inFlight.send(other);
    await turns();
    clock.advance(10);
    expect(await sent).toBeUndefined();
  });

  it('of a process that was killed is sent by the next one, which alone works on the store, at once', async () => {
    await accepted(one, outgoing('m1'));
    const two = new Process(store, clock);
    await two.inFlight.resume(100, true);
    await turns();
    expect(two.attempts.map(({ id }) => id)).toEqual(['m1']);
    two.attempts[0]!.answer(410);
    await turns();
    expect(two.failures).toEqual(['m1 410']);
  });

  it('belongs to the process that has it as long as that lives, and to one alone of the others then', async () => {
    await accepted(one, outgoing('m1'));
    const two = new Process(store, clock);
    const three = new Process(store, clock);
    for (let round = 0; round < 20; round++) {
      clock.advance(10_000);
      await one.inFlight.resume(100);
      await two.inFlight.resume(100);
    }
    await turns();
    expect(two.attempts).toEqual([]);
    clock.advance(61_000);
    await Promise.all([two.inFlight.resume(100), three.inFlight.resume(100)]);
    await turns();
    expect([...two.attempts, ...three.attempts]).toHaveLength(1);
  });

  it('that the end of the process cuts short stays for the next one', async () => {
    await accepted(one, outgoing('m1'));
    one.inFlight.close();
    one.attempts[0]!.answer(503);
    await turns();
    expect(one.failures).toEqual([]);
    expect(await pending()).toEqual(['m1 open']);
  });

  it('is refused when too much waits', async () => {
    for (let n = 0; n < 10; n++) await accepted(one, outgoing(`m${n}`));
    expect(await one.inFlight.send(outgoing('m10'))).toBe(503);
  });
});
