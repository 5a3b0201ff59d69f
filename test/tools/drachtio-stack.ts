import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { createDrachtioStack } from '../../src/sip/drachtio/stack.js';
import type { SipStack } from '../../src/sip/stack.js';
import { afterThisTest } from '../sip/embedded/nodes.js';

export interface DrachtioStack {
  readonly stack: SipStack;
  readonly trail: MemoryTrail;
  readonly started: Promise<void>;
}

/** A stack on the drachtio-servers of that URL, closed after the test. */
export function drachtioStack(url: string): DrachtioStack {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const trail = new MemoryTrail(() => clock.now());
  const stack = createDrachtioStack({ url, clock, log: silentLogger, trail, domain: 'ims.test' });
  const started = stack.start();
  started.catch(() => {});
  afterThisTest(async () => {
    await stack.close();
    clock.close();
  });
  return { stack, trail, started };
}

/** The same, once it has started. */
export async function startedDrachtioStack(url: string): Promise<SipStack> {
  const { stack, started } = drachtioStack(url);
  await started;
  return stack;
}
