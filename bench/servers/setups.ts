import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, spawnServer, type RunningServer } from './server.js';
import { startParley } from './parley.js';

/** Parley on a Redis of its own that writes nothing to disk. */
export async function startParleyOnRedis(): Promise<RunningServer> {
  const port = await freePort();
  const redis = spawnServer('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no']);
  await redis.until(redis.says(/Ready to accept connections/));
  return startParley({ name: 'Parley on Redis', store: `redis://127.0.0.1:${port}`, beside: [redis] });
}

/** Two Parleys on one Redis, as one server. */
export async function startTwoParleys(): Promise<RunningServer> {
  const port = await freePort();
  const redis = spawnServer('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no']);
  await redis.until(redis.says(/Ready to accept connections/));
  const store = `redis://127.0.0.1:${port}`;
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
  const server = spawnServer('drachtio', ['-f', config]);
  const drachtio = { url: `drachtio://:bench@127.0.0.1:${admin}`, port: sip };
  return startParley({ name: 'Parley on drachtio-server', drachtio, beside: [server] });
}
