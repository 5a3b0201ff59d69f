import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compiled } from './compiled.js';

const main = compiled('src/main.ts');

/** One line of the log. */
export interface LogLine {
  readonly level: number;
  readonly msg?: string;
  readonly [field: string]: unknown;
}

export interface ProgramOptions {
  /** Settings of the environment, beside addresses on free ports and a store of its own. */
  readonly env?: Readonly<Record<string, string>>;
  /** A program before node in the command line, such as `prlimit`. */
  readonly wrapper?: readonly string[];
  /** Text of `parley.yaml` in its folder; empty unless given. */
  readonly config?: string;
}

/** The whole program in a process of its own, in a folder of its own. */
export class Program {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly log: LogLine[] = [];
  stdout = '';
  stderr = '';
  readonly #ended: Promise<[number | null, NodeJS.Signals | null]>;
  #wake: (() => void)[] = [];

  readonly #args: readonly string[];
  readonly #options: ProgramOptions;

  constructor(args: readonly string[], options: ProgramOptions = {}) {
    this.#args = args;
    this.#options = options;
    const { env = {}, wrapper = [], config = '{}' } = options;
    this.folder = mkdtempSync(join(tmpdir(), 'parley-program-'));
    writeFileSync(join(this.folder, 'parley.yaml'), config);
    const [command, ...rest] = [...wrapper, process.execPath, main, ...args];
    this.child = spawn(command!, rest, {
      cwd: this.folder,
      env: {
        PATH: process.env['PATH'],
        PARLEY_SIP_LISTEN: 'udp:127.0.0.1:0',
        PARLEY_HTTP_LISTEN: '127.0.0.1:0',
        PARLEY_IMPS_LISTEN: '127.0.0.1:0',
        PARLEY_CIR_LISTEN: '127.0.0.1:0',
        PARLEY_MSRP_LISTEN: '127.0.0.1:0',
        PARLEY_STORE: `lmdb:${join(this.folder, 'data')}`,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#ended = once(this.child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    let partial = '';
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      const lines = (partial + text).split('\n');
      partial = lines.pop()!;
      for (const line of lines) if (line.startsWith('{')) this.log.push(JSON.parse(line) as LogLine);
      for (const wake of this.#wake.splice(0)) wake();
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    void this.#ended.then(() => this.#wake.splice(0).forEach((wake) => wake()));
  }

  /** The first log line that fits, also one that has been written already. @throws when the process ends before. */
  async logged(fits: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const found = this.log.find(fits);
      if (found) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`ended with ${this.child.exitCode}: ${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** Waits until it is ready. @returns the UDP port and the URL of the admin API. */
  async ready(): Promise<{ port: number; api: string }> {
    const { sip, http } = await this.logged(({ msg }) => msg === 'ready');
    const udp = (sip as string[]).find((listener) => listener.startsWith('udp:'));
    return { port: Number(udp?.split(':').at(-1) ?? 0), api: String(http) };
  }

  /** The same configuration and the same data, at the same UDP port, in another process: this one has ended. */
  async again(): Promise<Program> {
    const { port } = await this.ready();
    const env = {
      ...this.#options.env,
      PARLEY_SIP_LISTEN: `udp:127.0.0.1:${port}`,
      PARLEY_STORE: `lmdb:${join(this.folder, 'data')}`,
    };
    return new Program(this.#args, { ...this.#options, env });
  }

  /** @returns the exit code, once it has ended and all its output has come. */
  async exit(): Promise<number | null> {
    return (await this.#ended)[0];
  }

  /** Ends it, if it has not, and removes its folder. */
  async dispose(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.#ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
