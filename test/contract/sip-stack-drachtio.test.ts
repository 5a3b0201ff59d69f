import { describe, expect, vi } from 'vitest';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { createDrachtioStack } from '../../src/sip/drachtio/stack.js';
import { afterThisTest } from '../sip/embedded/nodes.js';
import { Daemon, noDaemon } from '../tools/drachtio-daemon.js';
import { sipStackContract, type Subject } from './sip-stack.js';

/** The admin address of a running drachtio-server: `drachtio://:secret@127.0.0.1:9022`. Without it each test starts its own. */
const running = process.env['DRACHTIO_URL'];

async function open(): Promise<Subject> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const url = running ?? (await Daemon.start({ webSocket: true })).url;
  const trail = new MemoryTrail(() => clock.now());
  const stack = createDrachtioStack({ url, clock, log: silentLogger, trail, domain: 'ims.test' });
  await stack.start();
  // a server that has just begun opens its listeners one after the other
  const protocols = (): string[] => stack.listeners.map(({ protocol }) => protocol).toSorted();
  await vi.waitFor(() => expect(protocols()).toEqual(['tcp', 'udp', 'ws']), { timeout: 30_000 });
  afterThisTest(async () => {
    await stack.close();
    clock.close();
  });
  return {
    stack,
    port: (protocol = 'udp') => stack.listeners.find((listener) => listener.protocol === protocol)!.port,
  };
}

describe.skipIf(running === undefined && noDaemon)('the drachtio stack on a real drachtio-server', () => {
  sipStackContract(open);
});
