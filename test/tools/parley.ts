import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApp, type App } from '../../src/app.js';
import { silentLogger } from '../../src/base/log.js';
import { configSchema } from '../../src/config/schema.js';

/** A whole server on free ports of loopback, with a store of its own. */
export interface RunningParley {
  readonly app: App;
  /** Its UDP port. */
  readonly port: number;
  /** Base URL of the admin API. */
  readonly api: string;
  stop(): Promise<void>;
}

/** @param settings the configuration, beside addresses and store. */
export async function startParley(settings: Record<string, unknown> = {}): Promise<RunningParley> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-test-'));
  const { sip, ...others } = settings;
  const config = configSchema.parse({
    store: `lmdb:${join(folder, 'data')}`,
    http: { listen: '127.0.0.1:0' },
    imps: { listen: '127.0.0.1:0', cirListen: '127.0.0.1:0' },
    msrp: { listen: '127.0.0.1:0' },
    drainSeconds: 0.1,
    ...others,
    sip: {
      listen: ['udp:127.0.0.1:0', 'tcp:127.0.0.1:0'],
      // a busy machine must not make the server refuse work, or send again at once what has arrived
      overloadDelay: 60_000,
      timers: { t1: 2_000, t2: 4_000 },
      ...(sip as object | undefined),
    },
  });
  const app = await startApp(config, silentLogger);
  return {
    app,
    port: app.stack.listeners.find(({ protocol }) => protocol === 'udp')!.port,
    api: app.http.url,
    async stop() {
      await app.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
