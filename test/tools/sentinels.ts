import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './free-port.js';
import { killed } from './killed.js';
import { RedisServer } from './redis.js';

const run = promisify(execFile);

/** A real Redis Sentinel on loopback that watches `mymaster`, and votes with others of its kind. */
export class Sentinel {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'parley-sentinel-'));
  #process: ChildProcess | undefined;

  /** `quorum`: how many of them must take the master for dead; `epoch` of the election that it knows of. */
  static async start(
    master: RedisServer,
    { quorum, epoch = 0 }: { readonly quorum: number; readonly epoch?: number },
  ): Promise<Sentinel> {
    const sentinel = new Sentinel(await freePort());
    writeFileSync(
      sentinel.#file,
      `port ${sentinel.port}
bind 127.0.0.1
sentinel monitor mymaster 127.0.0.1 ${master.port} ${quorum}
sentinel config-epoch mymaster ${epoch}
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 3000
`,
    );
    await sentinel.start();
    return sentinel;
  }

  private constructor(port: number) {
    this.port = port;
  }

  get #file(): string {
    return join(this.#folder, 'sentinel.conf');
  }

  /** Starts it with what it knew before. */
  async start(): Promise<void> {
    this.#process = spawn('redis-server', [this.#file, '--sentinel'], {
      cwd: this.#folder,
      stdio: 'ignore',
    });
    while ((await this.cli('PING')) !== 'PONG') {
      if (this.#process.exitCode !== null)
        throw new Error(`the sentinel ended with ${this.#process.exitCode}`);
      await delay(20);
    }
  }

  /** @returns what `redis-cli` prints; nothing while it does not listen. */
  async cli(...command: readonly string[]): Promise<string> {
    try {
      return (await run('redis-cli', ['-p', String(this.port), ...command])).stdout.trim();
    } catch {
      return '';
    }
  }

  /** A field of what it knows of the master. */
  async knows(field: string): Promise<string> {
    const lines = (await this.cli('SENTINEL', 'MASTER', 'mymaster')).split('\n');
    return lines[lines.indexOf(field) + 1] ?? '';
  }

  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    await killed(running);
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A master, its replica and three sentinels that know each other and both. */
export interface Watched {
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly Sentinel[];
  /** The store's URL of it. */
  readonly url: string;
  dispose(): Promise<void>;
}

/** The store's URL of the master that they know. */
export const urlOf = (sentinels: readonly Sentinel[]): string =>
  `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/mymaster`;

export async function startWatched(): Promise<Watched> {
  const master = await RedisServer.start();
  const replica = await RedisServer.start('--replicaof', `127.0.0.1 ${master.port}`);
  const sentinels = await Promise.all([1, 2, 3].map(() => Sentinel.start(master, { quorum: 2 })));
  for (const sentinel of sentinels)
    while (
      (await sentinel.knows('num-slaves')) !== '1' ||
      (await sentinel.knows('num-other-sentinels')) !== '2'
    )
      await delay(50);
  while (!(await replica.cli('INFO', 'replication')).includes('master_link_status:up')) await delay(50);
  return {
    master,
    replica,
    sentinels,
    url: urlOf(sentinels),
    async dispose() {
      await Promise.all([...sentinels, replica, master].map((server) => server.dispose()));
    },
  };
}
