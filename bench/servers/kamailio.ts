import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { answered, freePort, packageFolder, type RunningServer } from './server.js';

export interface KamailioOptions {
  readonly digest?: boolean;
  /** Megabytes of shared memory, where the bindings live. */
  readonly sharedMemory?: number;
}

/** Starts Debian's Kamailio with `bench/kamailio/kamailio.cfg` on a free port; settles when it answers. */
export async function startKamailio(options: KamailioOptions = {}): Promise<RunningServer> {
  const port = await freePort();
  const config = join(packageFolder(), 'bench/kamailio/kamailio.cfg');
  const child = spawn(
    'kamailio',
    [
      ...['-f', config, '-DD', '-E', '-l', `udp:127.0.0.1:${port}`],
      ...['-m', String(options.sharedMemory ?? 256), '-M', '64'],
      ...(options.digest ? ['-A', 'WITH_DIGEST'] : []),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4096)));
  const ended = once(child, 'close');
  const failed = ended.then(() => Promise.reject(new Error(`Kamailio ended: ${said}`)));
  await Promise.race([answered(port), failed]);
  failed.catch(() => undefined); // from now on an end is told by stop()
  return {
    name: 'Kamailio',
    port,
    processes: () => [child.pid!, ...childrenOf(child.pid!)],
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false; // it ended meanwhile
      }
    });
}
