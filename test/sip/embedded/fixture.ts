import { VirtualClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { createEmbeddedStack, type EmbeddedOptions } from '../../../src/sip/embedded/stack.js';
import type { SipStack } from '../../../src/sip/stack.js';
import { FakeWire, type FakeTransactions } from '../../tools/fake-transactions.js';

export interface Fixture {
  readonly stack: SipStack;
  readonly wire: FakeWire;
  readonly transactions: FakeTransactions;
  readonly clock: VirtualClock;
  readonly trail: MemoryTrail;
}

/** A started stack on fake transactions and a clock that stands still. */
export async function startStack(options: Partial<EmbeddedOptions> = {}): Promise<Fixture> {
  const clock = new VirtualClock();
  const wire = new FakeWire();
  const trail = new MemoryTrail(() => clock.now());
  const stack = createEmbeddedStack({
    wire,
    clock,
    trail,
    log: silentLogger,
    domain: 'ims.test',
    recordRouteSecret: 'test',
    ...options,
  });
  await stack.start();
  return { stack, wire, transactions: wire.transactions, clock, trail };
}

/** Lets promises and microtasks settle. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A request from alice's phone at 127.0.0.1:5070; `extra` holds further header lines. */
export function message(method: string, uri: string, extra = '', to = '<sip:bob@ims.test>'): string {
  return `${method} ${uri} SIP/2.0
    Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKphone
    Max-Forwards: 70
    From: <sip:alice@ims.test>;tag=alice
    To: ${to}
    Call-ID: call-1
    CSeq: 7 ${method}
    Contact: <sip:alice@127.0.0.1:5070>
    ${extra}`;
}
