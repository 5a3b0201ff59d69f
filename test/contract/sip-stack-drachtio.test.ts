import { describe, expect, vi } from 'vitest';
import { Daemon, noDaemon } from '../tools/drachtio-daemon.js';
import { startedDrachtioStack } from '../tools/drachtio-stack.js';
import { freePort } from '../tools/free-port.js';
import { sipStackContract, type Subject } from './sip-stack.js';

/** The admin address of a running drachtio-server: `drachtio://:secret@127.0.0.1:9022`. Without it each test starts its own. */
const running = process.env['DRACHTIO_URL'];

async function open(url: string): Promise<Subject> {
  const stack = await startedDrachtioStack(url);
  // a server that has just begun opens its listeners one after the other
  const protocols = (): string[] => stack.listeners.map(({ protocol }) => protocol).toSorted();
  await vi.waitFor(() => expect(protocols()).toEqual(['tcp', 'udp', 'ws']), { timeout: 30_000 });
  return {
    stack,
    port: (protocol = 'udp') => stack.listeners.find((listener) => listener.protocol === protocol)!.port,
  };
}

describe.skipIf(running === undefined && noDaemon)('the drachtio stack on a real drachtio-server', () => {
  sipStackContract(async () => open(running ?? (await Daemon.start({ webSocket: true })).url));
});

describe.skipIf(noDaemon)(
  'the drachtio stack to which a real drachtio-server connects with each request',
  () => {
    sipStackContract(async () => {
      const port = await freePort();
      const handlers = `<request-handlers><request-handler sip-method="*">tcp://127.0.0.1:${port}</request-handler></request-handlers>`;
      const { url } = await Daemon.start({ webSocket: true, handlers });
      return open(`${url}?listen=127.0.0.1:${port}`);
    });
  },
);
