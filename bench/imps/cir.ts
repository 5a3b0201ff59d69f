import type { ChildProcess } from 'node:child_process';
import { memory } from '../measure.js';
import { lineOf, openFiles, startImpsServer, startScript, type ImpsServerProcess } from './server.js';

/** Files of a process besides the connections of the bench. */
const OTHER_FILES = 300;

interface Pair {
  readonly sessions: number;
  readonly server: ImpsServerProcess;
  readonly clients: ChildProcess;
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MB`;

/**
 * Memory of sessions with a CIR connection over TCP, and how long CIR to many of them at once takes. A process may have
 * only so many files open, so that many sessions are shared between several servers, each with a process of phones.
 * @returns tables in markdown
 */
export async function measureCir(
  sessions: number,
  atOnce: number,
  told: (line: string) => unknown,
): Promise<string> {
  const most = openFiles() - OTHER_FILES;
  const servers = Math.ceil(sessions / most);
  const pairs: Pair[] = [];
  const all = async (step: string): Promise<string[]> =>
    Promise.all(
      pairs.map(({ clients }) => {
        clients.stdin!.write(`${step}\n`);
        return lineOf(clients);
      }),
    );
  const used = (): number => memory(pairs.map(({ server }) => server.pid)).total;
  for (let index = 0; index < servers; index++) {
    const share = Math.floor(sessions / servers) + (index < sessions % servers ? 1 : 0);
    const server = await startImpsServer(share + 1);
    const clients = startScript(
      './cir-clients.js',
      server.url,
      String(server.cirPort),
      String(share),
      String(index + 1),
    );
    pairs.push({ sessions: share, server, clients });
  }
  told(`${sessions} sessions with CIR over TCP on ${servers} server(s): logins`);
  const empty = used();
  await all('login');
  const loggedIn = used();
  told('connections');
  await all('connect');
  const connected = used();
  const [first] = pairs;
  const many = Math.min(atOnce, first!.sessions);
  told(`CIR to ${many} at once`);
  first!.clients.stdin!.write(`send ${many}\n`);
  const times = (await lineOf(first!.clients)).split(' ').map(Number);
  const missing = times.filter((time) => Number.isNaN(time)).length;
  const sorted = times.filter((time) => !Number.isNaN(time)).sort((a, b) => a - b);
  const at = (part: number): string =>
    `${(sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? NaN).toFixed(0)} ms`;
  for (const { clients, server } of pairs) {
    clients.stdin!.end();
    await server.stop();
  }
  const each = (bytes: number): string => `${(bytes / sessions / 1024).toFixed(1)} KB`;
  return [
    `| ${sessions} sessions on ${servers} server(s), at most ${most} connections each | memory | a session |`,
    '| --- | ---: | ---: |',
    `| users alone | ${megabytes(empty)} | |`,
    `| logged in | ${megabytes(loggedIn)} | ${each(loggedIn - empty)} |`,
    `| with a CIR connection over TCP | ${megabytes(connected)} | ${each(connected - loggedIn)} more |`,
    '',
    `| CIR to ${many} sessions of one server at once, ${missing} missing | p50 | p99 | last |`,
    '| --- | ---: | ---: | ---: |',
    `| from the sender's requests to the line at the phone, messages committed before | ${at(0.5)} | ${at(0.99)} | ${at(1)} |`,
  ].join('\n');
}
