import { describe, expect, vi } from 'vitest';
import { SystemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { MemoryTrail } from '../../src/base/trail.js';
import { createDrachtioStack } from '../../src/sip/drachtio/stack.js';
import { afterThisTest } from '../sip/embedded/nodes.js';
import { Daemon, noDaemon } from '../tools/drachtio-daemon.js';
import { freePort } from '../tools/free-port.js';
import { sipStackContract, type Subject } from './sip-stack.js';

/** The admin address of a running drachtio-server: `drachtio://:secret@127.0.0.1:9022`. Without it each test starts its own. */
const running = process.env['DRACHTIO_URL'];

/** @param options what follows the address of the server. */
async function open(server: { readonly url: string }, options = ''): Promise<Subject> {
  const clock = new SystemClock((error) => {
    throw error;
  });
  const url = `${server.url}${options}`;
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
  sipStackContract(async () =>
    open(running === undefined ? await Daemon.start({ webSocket: true }) : { url: running }),
  );
});

describe.skipIf(noDaemon)(
  'the drachtio stack to which a real drachtio-server connects with each request',
  () => {
    sipStackContract(async () => {
      const port = await freePort();
      const handlers = `<request-handlers><request-handler sip-method="*">tcp://127.0.0.1:${port}</request-handler></request-handlers>`;
      return open(await Daemon.start({ webSocket: true, handlers }), `?listen=127.0.0.1:${port}`);
    });
  },
);
