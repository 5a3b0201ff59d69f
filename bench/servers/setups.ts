import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inPackage } from '../../src/base/package.js';
import { startParley, type ParleyOptions } from './parley.js';
import { freePort, spawnServer, type RunningServer, type Spawned } from './server.js';

/** A Redis that writes nothing to disk. */
export async function startRedis(): Promise<{ store: string; redis: Spawned }> {
  const port = await freePort();
  const redis = spawnServer('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no']);
  await redis.until(redis.says(/Ready to accept connections/));
  return { store: `redis://127.0.0.1:${port}`, redis };
}

/** Parley on a Redis of its own. */
export async function startParleyOnRedis(options: ParleyOptions = {}): Promise<RunningServer> {
  const { store, redis } = await startRedis();
  return startParley({ name: 'Parley on Redis', store, beside: [redis], ...options });
}

/** Two Parleys on one Redis, as one server. */
export async function startTwoParleys(): Promise<RunningServer> {
  const { store, redis } = await startRedis();
  const one = await startParley({ store, beside: [redis] });
  const two = await startParley({ store });
  return {
    name: 'two Parleys on Redis',
    port: one.port,
    others: [two.port],
    processes: () => [...one.processes(), ...two.processes()],
    async stop() {
      await two.stop();
      await one.stop();
    },
  };
}

/** Parley on a drachtio-server of its own; `drachtio` must be in the PATH (docs/drachtio.md). */
export async function startParleyOnDrachtio(): Promise<RunningServer> {
  const { server, admin, sip } = await startDrachtio();
  const drachtio = { url: `drachtio://:bench@127.0.0.1:${admin}`, port: sip };
  return startParley({ name: 'Parley on drachtio-server', drachtio, beside: [server] });
}

/** drachtio-srf's createB2BUA on a drachtio-server of its own, nothing else. */
export async function startDrachtioB2bua(): Promise<RunningServer> {
  const { server, admin, sip } = await startDrachtio();
  const main = inPackage('dist/bench/servers/drachtio-b2bua-app.js');
  await server.until(listens(admin));
  const app = spawnServer(process.execPath, [main, String(admin), 'bench']);
  await app.until(app.says(/connected/));
  return {
    name: 'drachtio-srf createB2BUA',
    port: sip,
    processes: () => [server.pid, app.pid],
    async stop() {
      await app.stop();
      await server.stop();
    },
  };
}

async function listens(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const connected = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (connected) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function startDrachtio(): Promise<{ server: Spawned; admin: number; sip: number }> {
  const [admin, sip] = [await freePort(), await freePort()];
  const config = join(await mkdtemp(join(tmpdir(), 'parley-bench-')), 'drachtio.conf.xml');
  await writeFile(
    config,
    `<drachtio>
  <admin port="${admin}" secret="bench">127.0.0.1</admin>
  <sip><contacts><contact>sip:127.0.0.1:${sip};transport=udp</contact></contacts></sip>
  <logging><console/><loglevel>notice</loglevel></logging>
</drachtio>
`,
  );
  return { server: spawnServer('drachtio', ['-f', config]), admin, sip };
}
