import { readFileSync } from 'node:fs';

/** A process, told apart from a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in clock ticks since the boot `boot`; undefined where the system does not say. */
  readonly start: string | undefined;
  readonly boot: string | undefined;
}

export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, start: startOf(process.pid), boot: read('/proc/sys/kernel/random/boot_id') };
}

export function isAlive({ pid, start, boot }: ProcessIdentity): boolean {
  if (boot !== read('/proc/sys/kernel/random/boot_id') || start !== startOf(pid)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // it is there, but belongs to another user
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Field 22 of proc(5)'s stat; the name before it is in parentheses and may hold anything. */
function startOf(pid: number): string | undefined {
  return read(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ')[19];
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
