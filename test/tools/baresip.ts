import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';

interface Event {
  readonly event: true;
  readonly type: string;
  readonly param?: string;
}

const MODULES = ['account', 'menu', 'uuid', 'g711', 'aubridge', 'ctrl_tcp'];

/** A baresip with an account at a server on loopback, steered over its control port (netstrings with JSON). */
export class Baresip {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #control: Socket;
  readonly #events: Event[] = [];
  #wake: (() => void)[] = [];
  #received = Buffer.alloc(0);

  /**
   * Starts it; it registers by itself.
   * @param server UDP port of the server. @param uuid its Instance ID.
   */
  static async start(user: string, server: number, uuid: string): Promise<Baresip> {
    const folder = mkdtempSync(join(tmpdir(), 'parley-baresip-'));
    const port = await freePort();
    const lines = [
      'sip_listen 127.0.0.1:0',
      'audio_player aubridge,nil',
      'audio_source aubridge,nil',
      'audio_alert aubridge,nil',
      `ctrl_tcp_listen 127.0.0.1:${port}`,
      'module_path /usr/lib/baresip/modules',
      ...MODULES.map(
        (name) => `${name === 'account' || name === 'menu' ? 'module_app' : 'module'} ${name}.so`,
      ),
    ];
    writeFileSync(join(folder, 'config'), `${lines.join('\n')}\n`);
    writeFileSync(join(folder, 'uuid'), uuid);
    writeFileSync(
      join(folder, 'accounts'),
      `<sip:${user}@ims.test>;auth_user=${user};auth_pass=${user}-secret;answermode=auto;regint=600;outbound="sip:127.0.0.1:${server};transport=udp"\n`,
    );
    const child = spawn('baresip', ['-4', '-n', '127.0.0.1', '-f', folder], { stdio: 'ignore' });
    const control = await connected(port, child);
    return new Baresip(child, folder, control);
  }

  private constructor(child: ChildProcess, folder: string, control: Socket) {
    this.#process = child;
    this.#folder = folder;
    this.#control = control;
    control.on('data', (data: Buffer) => this.#read(data));
  }

  command(name: string, params?: string): void {
    const text = JSON.stringify({ command: name, ...(params === undefined ? {} : { params }) });
    this.#control.write(`${Buffer.byteLength(text)}:${text},`);
  }

  /** The next event of a type, or one that has come. @throws when a call or registration fails meanwhile. */
  async event(type: string): Promise<Event> {
    for (;;) {
      const index = this.#events.findIndex((event) => event.type === type);
      if (index >= 0) return this.#events.splice(index, 1)[0]!;
      const failed = this.#events.find((event) => /_FAIL$|^CALL_CLOSED$/.test(event.type));
      if (failed) throw new Error(`${failed.type}: ${failed.param ?? ''}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Whether an event of a type has come that nobody asked for. */
  has(type: string): boolean {
    return this.#events.some((event) => event.type === type);
  }

  async close(): Promise<void> {
    this.#control.destroy();
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGKILL');
      await once(this.#process, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Netstrings with JSON: events, and answers to commands. */
  #read(data: Buffer): void {
    this.#received = Buffer.concat([this.#received, data]);
    for (;;) {
      const colon = this.#received.indexOf(':');
      if (colon < 0) break;
      const end = colon + 1 + Number(this.#received.toString('latin1', 0, colon));
      if (this.#received.length <= end) break;
      const message = JSON.parse(this.#received.toString('utf8', colon + 1, end)) as Partial<Event>;
      this.#received = this.#received.subarray(end + 1);
      if (message.event === true) this.#events.push(message as Event);
    }
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** Connects as soon as the process listens. */
async function connected(port: number, child: ChildProcess): Promise<Socket> {
  const since = performance.now();
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (child.exitCode !== null || performance.now() - since > 30_000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
