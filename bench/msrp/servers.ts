import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inPackage } from '../../src/base/package.js';
import { childrenOf } from '../servers/kamailio.js';
import { freePort, spawnServer, type RunningServer } from '../servers/server.js';

/** A relay on loopback without TLS; `port` is its MSRP port. */
export type RunningRelay = RunningServer & {
  /** Whether it wants AUTH, as `user1` with `user1-secret`. */
  readonly auth: boolean;
};

export async function startParleyRelay(): Promise<RunningRelay> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'));
  const port = await freePort();
  const config = join(folder, 'parley.yaml');
  await writeFile(
    config,
    [
      'msrp:',
      `  listen: 127.0.0.1:${port}`,
      '  relay: { enabled: true, plain: true }',
      "subscribers: [{ privateId: 'user1@ims.test', password: user1-secret, identities: ['sip:user1@ims.test'] }]",
      '',
    ].join('\n'),
  );
  const parley = spawnServer(
    process.execPath,
    ['--max-semi-space-size=32', inPackage('dist/src/main.js'), 'serve', '--config', config],
    {
      cwd: folder,
      env: {
        ...process.env,
        PARLEY_SIP_LISTEN: 'udp:127.0.0.1:0',
        PARLEY_HTTP_LISTEN: '127.0.0.1:0',
        PARLEY_IMPS_LISTEN: '127.0.0.1:0',
        PARLEY_CIR_LISTEN: '127.0.0.1:0',
        PARLEY_STORE: `lmdb:${join(folder, 'data')}`,
        PARLEY_LOG_LEVEL: 'info',
      },
    },
  );
  await parley.until(parley.says(/"msg":"ready"/));
  return {
    name: 'Parley',
    port,
    auth: true,
    processes: () => [parley.pid],
    async stop() {
      await parley.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function startKamailioRelay(): Promise<RunningRelay> {
  const port = await freePort();
  const config = inPackage('bench/kamailio/msrp.cfg');
  const kamailio = spawnServer('kamailio', [
    ...['-f', config, '-DD', '-E', '-l', `tcp:127.0.0.1:${port}`, '-m', '256', '-M', '64'],
  ]);
  await kamailio.until(accepts(port));
  return {
    name: 'Kamailio',
    port,
    auth: false,
    processes: () => [kamailio.pid, ...childrenOf(kamailio.pid)],
    stop: () => kamailio.stop(),
  };
}

async function accepts(port: number): Promise<void> {
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
