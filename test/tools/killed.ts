import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Ends a process at once, if it runs. */
export async function killed(running: ChildProcess | undefined): Promise<void> {
  if (!running || running.exitCode !== null) return;
  const ended = once(running, 'exit');
  running.kill('SIGKILL');
  await ended;
}
