import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { ParleyError } from '../../base/errors.js';
import { scenarioFolder, scenarios, type Scenario, type ScenarioName } from './scenarios.js';
import { startSipp, type Sipp } from './sipp.js';
import type { Counters, ResponseTimes } from './statistics.js';
import type { LoadSummary } from './summary.js';
import { blocks, deviceLines, userLines } from './users.js';

export interface LoadOptions {
  readonly scenario: ScenarioName;
  /** Address and port of the server: `127.0.0.1:5060`, `[::1]:5060`. */
  readonly target: string;
  /** How many calls are made in all. */
  readonly calls: number;
  /** Calls started a second; 0 keeps `concurrency` calls going, as fast as the server lets them end. */
  readonly rate: number;
  /** `demo` takes alice, bob, carol and dave; a number makes up `user1` and following. */
  readonly users: 'demo' | number;
  /** Number of the first made-up user (1 by default): several loads at once have users of their own. */
  readonly firstUser?: number;
  /** Calls at a time, at most. Default: 64 with rate 0, else as many as start in two seconds. */
  readonly concurrency?: number;
  /** Milliseconds (1 by default) where a scenario pauses: between refreshes, or from ACK to BYE. */
  readonly pause?: number;
  /** Home domain, `ims.test` by default. */
  readonly domain?: string;
  /** Address that SIPp sends from, `127.0.0.1` by default. */
  readonly localAddress?: string;
  readonly transport?: 'udp' | 'tcp';
  readonly onProgress?: (counters: Counters) => void;
  /** Ends the run early: no more calls are started. */
  readonly signal?: AbortSignal;
}

/** A scenario whose devices have registered and, where it needs them, wait for calls. */
export interface PreparedLoad {
  /** Runs the scenario; may be called again when it has settled. */
  run(): Promise<LoadSummary>;
  /** Ends the devices that wait and removes all files. */
  close(): Promise<void>;
}

const DOMAIN = 'ims.test';

/** The files of one run in a folder of their own, and the SIPp processes that use them. */
export class Load implements PreparedLoad {
  readonly #options: LoadOptions;
  readonly #folder: string;
  readonly #scenario: Scenario;
  #answering: Sipp | undefined;
  #port = 0;
  #runs = 0;

  constructor(options: LoadOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.#scenario = scenarios[options.scenario];
  }

  async prepare(): Promise<void> {
    const { users, firstUser = 1 } = this.#options;
    const write = (name: string, lines: Iterable<string>): Promise<void> =>
      writeFile(join(this.#folder, name), blocks(lines));
    const copy = (name: string): Promise<void> =>
      copyFile(join(scenarioFolder(), name), join(this.#folder, name));
    await this.#copyScenario(this.#options.scenario);
    if (users === 'demo') {
      await Promise.all(['devices.csv', 'users.csv', 'callers.csv'].map(copy));
    } else if (this.#scenario.injection === 'users') {
      await write('users.csv', userLines(firstUser, users));
    } else {
      await write('devices.csv', deviceLines(firstUser, users));
      if (this.#scenario.injection === 'calls')
        await write('callers.csv', deviceLines(firstUser + users, users));
    }
    if (this.#scenario.answeredBy !== undefined) await this.#prepareSides(this.#scenario.answeredBy);
  }

  async run(): Promise<LoadSummary> {
    const { rate, calls, concurrency, scenario } = this.#options;
    const files = { devices: ['devices'], users: ['users'], calls: ['callers', 'callees'] };
    const pace =
      rate === 0
        ? ['-users', String(concurrency ?? 64)]
        : ['-r', String(rate), '-l', String(concurrency ?? 2 * rate)];
    const port = this.#port === 0 ? [] : ['-p', String(this.#port)];
    const { counters, responseTimes, firstError } = await this.#sipp(
      scenario,
      `run${++this.#runs}`,
      [
        ...files[this.#scenario.injection].flatMap((name) => ['-inf', `${name}.csv`]),
        ...['-m', String(calls), ...pace, ...port],
      ],
      this.#options.onProgress,
    ).finished;
    const times: Record<string, ResponseTimes> = {};
    this.#scenario.responseTimes.forEach((name, index) => {
      const taken = responseTimes.of(index + 1);
      if (taken) times[name] = taken;
    });
    const rateReached = counters.seconds > 0 ? counters.successful / counters.seconds : 0;
    return { ...counters, scenario, rate: rateReached, responseTimes: times, firstError };
  }

  async close(): Promise<void> {
    const answering = this.#answering;
    this.#answering = undefined;
    if (answering) {
      answering.stop();
      answering.stop(); // it waits for calls for ever: the first only asks
      await answering.finished.catch(() => undefined); // killed on purpose
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #prepareSides(answeredBy: string): Promise<void> {
    await this.#copyScenario('register');
    await this.#copyScenario(answeredBy);
    const calleePort = await freePort(this.#localAddress);
    this.#port = await freePort(this.#localAddress);
    const log = ['-trace_logs', '-log_file', 'gruus.log'];
    await this.#register('callees', 'devices.csv', calleePort, log);
    const gruus = await readFile(join(this.#folder, 'gruus.log'), 'utf8');
    await writeFile(join(this.#folder, 'callees.csv'), `SEQUENTIAL\n${gruus}`);
    // the demo's callers are its callees in another order, and registered by now
    if (this.#options.users !== 'demo') await this.#register('callers', 'callers.csv', this.#port, []);
    this.#answering = this.#sipp(answeredBy, 'answering', ['-p', String(calleePort)], undefined);
    await this.#answering.started;
  }

  async #register(label: string, file: string, port: number, more: string[]): Promise<void> {
    const lines = (await readFile(join(this.#folder, file), 'utf8')).trimEnd().split('\n').length - 1;
    const { counters, firstError } = await this.#sipp(
      'register',
      label,
      ['-inf', file, '-m', String(lines), '-users', String(Math.min(lines, 32)), '-p', String(port), ...more],
      undefined,
    ).finished;
    if (counters.failed > 0 || counters.successful < lines) {
      throw new ParleyError(
        'load-not-prepared',
        `${counters.successful} of ${lines} ${label} registered; ${firstError ?? 'stopped'}`,
      );
    }
  }

  #sipp(
    scenario: string,
    label: string,
    more: readonly string[],
    onReport: ((counters: Counters) => void) | undefined,
  ): Sipp {
    const { target, transport = 'udp', signal, domain = DOMAIN } = this.#options;
    const answers = label === 'answering';
    const sipp = startSipp({
      scenario: `${scenario}.xml`,
      label,
      folder: this.#folder,
      onReport,
      arguments: [
        ...(answers ? [] : [target, '-auth_uri', domain]),
        ...['-i', this.#localAddress, '-t', transport === 'tcp' ? 't1' : 'u1'],
        ...more,
      ],
    });
    const stop = (): void => sipp.stop();
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    const forget = (): void => signal?.removeEventListener('abort', stop);
    sipp.finished.then(forget, forget);
    return sipp;
  }

  get #localAddress(): string {
    return this.#options.localAddress ?? '127.0.0.1';
  }

  async #copyScenario(name: string): Promise<void> {
    const text = await readFile(join(scenarioFolder(), `${name}.xml`), 'utf8');
    const { domain = DOMAIN, pause = 1 } = this.#options;
    await writeFile(
      join(this.#folder, `${name}.xml`),
      text
        .replaceAll(DOMAIN, domain)
        .replace('<pause milliseconds="1" />', `<pause milliseconds="${pause}" />`),
    );
  }
}

/** A port that is free now; both sides of a scenario must know theirs before SIPp opens it. */
async function freePort(address: string): Promise<number> {
  const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}
