import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterThisTest } from '../sip/embedded/nodes.js';
import { freePort } from './free-port.js';

/** Whether this machine has a drachtio-server. Debian has no package of it: `docs/drachtio.md` says how to build it. */
export const noDaemon = spawnSync('drachtio', ['-v']).error !== undefined;

export interface DaemonOptions {
  /** `<request-handlers>` of its configuration. */
  readonly handlers?: string;
  /** Also SIP over WebSocket, on a port of its own. */
  readonly webSocket?: boolean;
  /** Applications connect over TLS alone. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly dh: string };
}

/** A real drachtio-server of a test's own. */
export class Daemon {
  readonly folder = mkdtempSync(join(tmpdir(), 'parley-drachtio-'));
  /** Port of the admin connections, and of SIP over UDP and TCP. */
  readonly admin: number;
  readonly sip: number;
  #process: ChildProcess | undefined;

  /** Started, and ended after the test. */
  static async start(options: DaemonOptions = {}): Promise<Daemon> {
    const webSocket = options.webSocket ? await freePort() : undefined;
    const started = new Daemon(await freePort(), await freePort(), webSocket, options);
    afterThisTest(async () => {
      await started.kill();
      rmSync(started.folder, { recursive: true, force: true });
    });
    started.start();
    return started;
  }

  private constructor(
    admin: number,
    sip: number,
    webSocket: number | undefined,
    { handlers = '', tls }: DaemonOptions,
  ) {
    this.admin = admin;
    this.sip = sip;
    const ports = tls ? `port="0" tls-port="${admin}"` : `port="${admin}"`;
    const files = tls
      ? `<tls><key-file>${tls.key}</key-file><cert-file>${tls.cert}</cert-file><dh-param>${tls.dh}</dh-param></tls>`
      : '';
    const ws = webSocket === undefined ? '' : `<contact>sip:127.0.0.1:${webSocket};transport=ws</contact>`;
    writeFileSync(
      join(this.folder, 'conf.xml'),
      `<drachtio>
  <admin ${ports} secret="cymru">127.0.0.1</admin>${handlers}
  <sip><contacts><contact>sip:127.0.0.1:${sip};transport=udp,tcp</contact>${ws}</contacts>${files}</sip>
  <logging><console/><loglevel>error</loglevel></logging>
</drachtio>
`,
    );
  }

  get url(): string {
    return `drachtio://:cymru@127.0.0.1:${this.admin}`;
  }

  start(): void {
    this.#process = spawn('drachtio', ['-f', join(this.folder, 'conf.xml')], { stdio: 'ignore' });
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}
