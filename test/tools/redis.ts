import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './free-port.js';
import { killed } from './killed.js';

const run = promisify(execFile);

/** An argument of `redis-server` that stands for a port that is free. */
const FREE_PORT = '<free port>';
/** Another program may take a port between its being found free and its being used. */
const PORT_TRIES = 5;

/** A real `redis-server` on loopback that keeps nothing on disk, unless its arguments say so. */
export class RedisServer {
  readonly port: number;
  readonly #arguments: readonly string[];
  /** Where it keeps what it keeps. */
  readonly folder = mkdtempSync(join(tmpdir(), 'parley-redis-'));
  #process: ChildProcess | undefined;

  /** @param more arguments of `redis-server`. */
  static async start(...more: readonly string[]): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const resolved = await Promise.all(
        more.map(async (argument) => (argument === FREE_PORT ? String(await freePort()) : argument)),
      );
      const server = new RedisServer(await freePort(), resolved);
      try {
        await server.start();
        return server;
      } catch (error) {
        await server.dispose();
        if (attempt === PORT_TRIES) throw error;
      }
    }
  }

  private constructor(port: number, more: readonly string[]) {
    this.port = port;
    this.#arguments = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      ...more,
    ];
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Of the process that runs. */
  get pid(): number {
    return this.#process!.pid!;
  }

  /** Starts it, with what it has kept, and waits until it answers. */
  async start(): Promise<void> {
    this.#process = spawn('redis-server', this.#arguments, { cwd: this.folder, stdio: 'ignore' });
    const itself = new RegExp(`^process_id:${this.#process.pid}\\r?$`, 'm');
    for (;;) {
      try {
        // not another test's, which was given the same port
        if (itself.test(await this.cli('INFO', 'server'))) return;
      } catch {
        // it does not listen yet
      }
      if (this.#process.exitCode !== null)
        throw new Error(`redis-server ended with ${this.#process.exitCode}`);
      await delay(20);
    }
  }

  /** Sends a command with `redis-cli`, while other tests of this process go on. @returns what it prints. */
  async cli(...command: readonly string[]): Promise<string> {
    return (await run('redis-cli', ['-p', String(this.port), ...command])).stdout.trim();
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Ends it at once, with all it holds. */
  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    await killed(running);
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const slots = 16_384;

/** Starts a cluster of `masters` nodes, which share the slots, and waits until it works. */
export async function startCluster(masters: number, ...more: readonly string[]): Promise<RedisServer[]> {
  const nodes = await Promise.all(
    Array.from({ length: masters }, () =>
      RedisServer.start('--cluster-enabled', 'yes', '--cluster-port', FREE_PORT, ...more),
    ),
  );
  for (const [i, node] of nodes.entries()) {
    const first = Math.floor((i * slots) / masters);
    const last = Math.floor(((i + 1) * slots) / masters) - 1;
    await node.cli('CLUSTER', 'ADDSLOTSRANGE', String(first), String(last));
    await node.cli('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
  }
  for (const node of nodes.slice(1)) await meet(nodes[0]!, node);
  await clusterWorks(nodes);
  return nodes;
}

/** Adds a node to a cluster, as a replica of one of its masters. */
export async function addReplica(master: RedisServer, ...more: readonly string[]): Promise<RedisServer> {
  const replica = await RedisServer.start('--cluster-enabled', 'yes', '--cluster-port', FREE_PORT, ...more);
  await meet(master, replica);
  const id = await master.cli('CLUSTER', 'MYID');
  while (!(await replica.cli('CLUSTER', 'NODES')).includes(id)) await delay(50);
  await replica.cli('CLUSTER', 'REPLICATE', id);
  while (!(await replica.cli('INFO', 'replication')).includes('master_link_status:up')) await delay(50);
  return replica;
}

/** Waits until each node thinks that the whole cluster works. */
export async function clusterWorks(nodes: readonly RedisServer[]): Promise<void> {
  for (const node of nodes) {
    while (!(await node.cli('CLUSTER', 'INFO')).includes('cluster_state:ok')) await delay(50);
  }
}

async function meet(known: RedisServer, other: RedisServer): Promise<void> {
  const busPort = /^cluster-port\n(\d+)$/.exec(await other.cli('CONFIG', 'GET', 'cluster-port'))![1]!;
  await known.cli('CLUSTER', 'MEET', '127.0.0.1', String(other.port), busPort);
}
