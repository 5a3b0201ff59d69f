import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface ImpsServerProcess {
  readonly pid: number;
  /** `http://host:port` */
  readonly url: string;
  readonly cirPort: number;
  stop(): Promise<void>;
}

/** An IMPS server on LMDB in a process of its own, with users `wv:user0@ims.test`, `user1` and so on. */
export async function startImpsServer(users: number): Promise<ImpsServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-imps-bench-'));
  const server = startScript('../servers/imps.js', folder, String(users));
  const [, url = '', cirPort = ''] = (await lineOf(server)).split(' ');
  return {
    pid: server.pid!,
    url,
    cirPort: Number(cirPort),
    async stop() {
      const gone = once(server, 'exit');
      server.kill('SIGKILL');
      await gone;
      rmSync(folder, { recursive: true });
    },
  };
}

/** Another compiled script of the bench; its standard output is read by {@link lineOf}. */
export function startScript(path: string, ...args: readonly string[]): ChildProcess {
  const script = fileURLToPath(new URL(path, import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8');
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

/** The next line that a script prints; scripts here print one when they are asked for it. */
export async function lineOf({ stdout }: ChildProcess): Promise<string> {
  let text = '';
  while (!text.endsWith('\n')) text += ((await once(stdout!, 'data')) as [string])[0];
  return text.trim();
}

/** Files that a process may have open. */
export const openFiles = (): number =>
  Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);
