import { onTestFinished } from 'vitest';
import { SystemClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { MemoryTrail } from '../../../src/base/trail.js';
import { createNetwork } from '../../../src/sip/embedded/network.js';
import { createEmbeddedStack } from '../../../src/sip/embedded/stack.js';
import type { Protocol, SipStack } from '../../../src/sip/stack.js';

/** Does something after the test that runs, last given first. */
export function afterThisTest(cleanup: () => Promise<void> | void): void {
  onTestFinished(cleanup);
}

export interface Node {
  readonly stack: SipStack;
  readonly port: (protocol?: Protocol) => number;
  /** URI of a user here. */
  readonly uri: (protocol?: Protocol) => string;
}

/** A stack of its own on real sockets, closed after the test. */
export async function node(
  listen: readonly string[] = ['udp:127.0.0.1:0', 'tcp:127.0.0.1:0'],
  t1 = 500,
): Promise<Node> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const common = {
    clock,
    log: silentLogger,
    trail: new MemoryTrail(() => clock.now()),
    timers: { t1, t2: 8 * t1, t4: 10 * t1 },
    // a slow machine is no overload
    overload: { delayMs: 60_000 },
  };
  const stack = createEmbeddedStack({
    ...common,
    wire: createNetwork({ ...common, listen }),
    domain: 'ims.test',
  });
  await stack.start();
  afterThisTest(async () => {
    await stack.close();
    clock.close();
  });
  const listener = (protocol: Protocol): { address: string; port: number } =>
    stack.listeners.find((candidate) => candidate.protocol === protocol)!;
  return {
    stack,
    port: (protocol = 'udp') => listener(protocol).port,
    uri: (protocol = 'udp') => {
      const { address, port } = listener(protocol);
      const host = address.includes(':') ? `[${address}]` : address;
      return `sip:user@${host}:${port}${protocol === 'udp' ? '' : `;transport=${protocol}`}`;
    },
  };
}
