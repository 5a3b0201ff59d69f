import { readdirSync, readFileSync } from 'node:fs';
import { inPackage } from '../../src/base/package.js';
import { answered, freePort, spawnServer, type RunningServer } from './server.js';

/** Bytes, as Parley asks for: Kamailio's own limit of 256 kB overflows when the machine pauses it. */
const SOCKET_BUFFER = 4 << 20;

export interface KamailioOptions {
  readonly digest?: boolean;
  /** Megabytes of shared memory, where the bindings live. */
  readonly sharedMemory?: number;
}

/** Starts Debian's Kamailio with `bench/kamailio/kamailio.cfg` on a free port; settles when it answers. */
export async function startKamailio(options: KamailioOptions = {}): Promise<RunningServer> {
  const port = await freePort();
  const config = inPackage('bench/kamailio/kamailio.cfg');
  const kamailio = spawnServer('kamailio', [
    ...['-f', config, '-DD', '-E', '-l', `udp:127.0.0.1:${port}`],
    ...['-m', String(options.sharedMemory ?? 256), '-M', '64', '-b', String(SOCKET_BUFFER)],
    ...(options.digest ? ['-A', 'WITH_DIGEST'] : []),
  ]);
  await kamailio.until(answered(port));
  return {
    name: 'Kamailio',
    port,
    processes: () => [kamailio.pid, ...childrenOf(kamailio.pid)],
    stop: () => kamailio.stop(),
  };
}

export function childrenOf(parent: number): number[] {
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
