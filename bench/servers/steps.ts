import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inPackage } from '../../src/base/package.js';
import { startCluster } from '../../test/tools/redis.js';
import { childrenOf } from './kamailio.js';
import { startParley, type Beside, type ParleyOptions, type RunningParley } from './parley.js';
import { answered, freePort, spawnServer, type RunningServer } from './server.js';
import { startRedis } from './setups.js';

/*
 * From one process to many, a step at a time (docs/scaling.md).
 */

/** Parley on a Redis Cluster of three masters that write nothing to disk. */
export async function startParleyOnCluster(options: ParleyOptions = {}): Promise<RunningServer> {
  const masters = await startCluster(3);
  const beside = masters.map((master): Beside => ({ pid: master.pid, stop: () => master.dispose() }));
  return startParley({
    name: 'Parley on a Redis Cluster',
    store: masters.map(({ url }) => url).join(','),
    beside,
    ...options,
  });
}

/** Kamailio with `bench/kamailio/dispatcher.cfg` in front of so many Parleys on one Redis. */
export async function startDispatched(count: number): Promise<RunningServer> {
  const { store, redis } = await startRedis();
  const nodes: RunningParley[] = [];
  for (let i = 0; i < count; i++) nodes.push(await startParley({ store }));
  const kamailio = await startDispatcher(nodes.map(({ port }) => port));
  return {
    name: 'Kamailio',
    port: kamailio.port,
    processes: () => [...kamailio.processes(), redis.pid, ...nodes.flatMap((node) => node.processes())],
    async stop() {
      await kamailio.stop();
      for (const node of nodes) await node.stop();
      await redis.stop();
    },
  };
}

/** Kamailio that shares out what comes. @param ports of the Parleys, UDP on loopback. @param megabytes of shared memory, for transactions. */
export async function startDispatcher(ports: readonly number[], megabytes = 2048): Promise<RunningServer> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'parley-dispatcher-'));
  const list = join(folder, 'parleys.list');
  await writeFile(list, ports.map((node) => `1 sip:127.0.0.1:${node}\n`).join(''));
  const kamailio = spawnServer('kamailio', [
    ...['-f', inPackage('bench/kamailio/dispatcher.cfg'), '-DD', '-E'],
    ...['-l', `udp:127.0.0.1:${port}`, '-m', String(megabytes), '-M', '64', '-b', String(4 << 20)],
    ...['-A', `NODES="${list}"`],
  ]);
  await kamailio.until(answered(port));
  return {
    name: 'Kamailio',
    port,
    processes: () => [kamailio.pid, ...childrenOf(kamailio.pid)],
    async stop() {
      await kamailio.stop();
      await rm(folder, { recursive: true });
    },
  };
}
