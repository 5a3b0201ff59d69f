import { describe } from 'vitest';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { createDrachtioStack } from '../../src/sip/drachtio/stack.js';
import { afterThisTest } from '../sip/embedded/nodes.js';
import { sipStackContract, type Subject } from './sip-stack.js';

/** The admin address of a running drachtio-server: `drachtio://:secret@127.0.0.1:9022`. */
const url = process.env['DRACHTIO_URL'];

async function open(): Promise<Subject> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const trail = new MemoryTrail(() => clock.now());
  const stack = createDrachtioStack({ url: url!, clock, log: silentLogger, trail, domain: 'ims.test' });
  await stack.start();
  afterThisTest(async () => {
    await stack.close();
    clock.close();
  });
  return {
    stack,
    port: (protocol = 'udp') => stack.listeners.find((listener) => listener.protocol === protocol)!.port,
  };
}

describe.skipIf(url === undefined)('the drachtio stack on a real drachtio-server', () => {
  sipStackContract(open);
});
