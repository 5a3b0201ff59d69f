import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inPackage } from '../../src/base/package.js';
import { spawnServer, type RunningServer } from './server.js';

export interface ParleyOptions {
  readonly digest?: boolean;
  /** With digest: so many subscribers `user1` and following are provisioned. */
  readonly subscribers?: number;
  /** Keeps the store over stop and start; by default each start has a new one. */
  readonly folder?: string;
  /** Further parts of its configuration. */
  readonly settings?: object;
  /** Name in the tables. */
  readonly name?: string;
  /** Ports of loopback for CSP over HTTP and for CIR; free ones unless given. */
  readonly imps?: { readonly csp: number; readonly cir: number };
  /** UDP port of SIP on loopback; a free one unless given. */
  readonly sip?: number;
  /** `redis://...` in place of LMDB. */
  readonly store?: string;
  /** `drachtio://...` in place of the embedded stack, and the SIP port of that server. */
  readonly drachtio?: { readonly url: string; readonly port: number };
  /** What it stands on, counted with it and stopped after it. */
  readonly beside?: readonly Beside[];
}

/** A process that a Parley needs. */
export interface Beside {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface RunningParley extends RunningServer {
  readonly folder: string;
  /** Milliseconds from starting the process to `/readyz` 200. */
  readonly readyAfter: number;
  /** URL of the admin API. */
  readonly api: string;
  /** Octets that its heap and its buffers hold after a collection. */
  heap(): Promise<number>;
  /** Milliseconds that its event loop stood still at most since this, or the heap, was asked for last. */
  standstill(): Promise<number>;
  /** Waits for a text in its log. */
  says(pattern: RegExp): Promise<unknown>;
}

/** Starts the built Parley (`dist/src/main.js`) with an LMDB store; settles when `/readyz` is 200. */
export async function startParley(options: ParleyOptions = {}): Promise<RunningParley> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'parley-bench-')));
  const config = join(folder, 'parley.yaml');
  await writeFile(config, configuration(options.digest ? (options.subscribers ?? 0) : 0, options.settings));
  const startedAt = performance.now();
  const main = inPackage('dist/src/main.js');
  const collect = inPackage('dist/bench/servers/collect.js');
  // the heap that `npm start` and the command ask for
  const parley = spawnServer(
    process.execPath,
    ['--max-semi-space-size=32', '--expose-gc', '--import', collect, main, 'serve', '--config', config],
    {
      cwd: folder,
      env: {
        ...process.env,
        PARLEY_AUTH: options.digest ? 'digest' : 'none',
        PARLEY_SIP_LISTEN: `udp:127.0.0.1:${options.sip ?? 0}`,
        PARLEY_HTTP_LISTEN: '127.0.0.1:0',
        PARLEY_IMPS_LISTEN: `127.0.0.1:${options.imps?.csp ?? 0}`,
        PARLEY_CIR_LISTEN: `127.0.0.1:${options.imps?.cir ?? 0}`,
        PARLEY_MSRP_LISTEN: '127.0.0.1:0',
        PARLEY_STORE: options.store ?? `lmdb:${join(folder, 'data')}`,
        ...(options.drachtio && { PARLEY_SIP_STACK: options.drachtio.url }),
        PARLEY_LOG_LEVEL: 'info',
      },
    },
  );
  const [line] = await parley.until(parley.says(/^\{.*"msg":"ready".*\}$/m));
  const { http, sip } = JSON.parse(line) as { readonly http: string; readonly sip: readonly string[] };
  const port = sip[0]!.slice(sip[0]!.lastIndexOf(':') + 1);
  await parley.until(ready(`${http}/readyz`));
  let collections = 0;
  let stoodStill = 0;
  const heap = async (): Promise<number> => {
    process.kill(parley.pid, 'SIGUSR2');
    const [text, octets] = await parley.until(
      parley.says(new RegExp(`stood still: [\\d.]+ ms, heap ${++collections}: (\\d+) B`)),
    );
    stoodStill = Number(/[\d.]+/.exec(text)![0]);
    return Number(octets);
  };
  return {
    name: options.name ?? 'Parley',
    port: Number(port),
    folder,
    readyAfter: performance.now() - startedAt,
    api: `${http}/api/v1`,
    says: (pattern) => parley.until(parley.says(pattern)),
    heap,
    async standstill() {
      await heap();
      return stoodStill;
    },
    processes: () => [parley.pid, ...(options.beside ?? []).map(({ pid }) => pid)],
    async stop() {
      await parley.stop();
      for (const process of options.beside ?? []) await process.stop();
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ready(url: string): Promise<void> {
  for (;;) {
    const response = await fetch(url).catch(() => undefined); // refused until it listens
    await response?.arrayBuffer();
    if (response?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function configuration(subscribers: number, settings: object = {}): string {
  // SIPp 3.6 knows MD5 only, and ends when another algorithm is offered before it
  const lines = ['domain: ims.test', 'digest: { algorithms: [MD5] }'];
  for (const [name, value] of Object.entries(settings)) lines.push(`${name}: ${JSON.stringify(value)}`);
  if (subscribers > 0) lines.push('subscribers:');
  for (let user = 1; user <= subscribers; user++) {
    lines.push(
      `  - { privateId: 'user${user}@ims.test', password: user${user}-secret, identities: ['sip:user${user}@ims.test'] }`,
    );
  }
  return `${lines.join('\n')}\n`;
}
