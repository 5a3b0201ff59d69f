import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createReadStream, existsSync, rmSync, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { ParleyError } from '../../base/errors.js';
import './errors.js';
import { firstError, parseStatistics, ResponseTimeTable, type Counters } from './statistics.js';

export interface SippOptions {
  /** SIPp's scenario file. */
  readonly scenario: string;
  /** What distinguishes this run's files from those of others in the same folder. */
  readonly label: string;
  /** Where SIPp runs and writes its files; injection files are named relative to it. */
  readonly folder: string;
  /** Everything else of SIPp's command line: target, injection files, rate. */
  readonly arguments: readonly string[];
  /** Once a second while it runs. */
  readonly onReport?: ((counters: Counters) => void) | undefined;
}

export interface SippResult {
  readonly counters: Counters;
  readonly responseTimes: ResponseTimeTable;
  /** The first thing that SIPp complained of, in one line; undefined when all went well. */
  readonly firstError: string | undefined;
}

export interface Sipp {
  /** Settles when SIPp has opened its sockets. */
  readonly started: Promise<void>;
  /**
   * Settles when SIPp has ended, whether or not calls failed.
   * @throws ParleyError `load-sipp-missing`, `load-sipp-failed`
   */
  readonly finished: Promise<SippResult>;
  /** Asks it to start no more calls and to end when the running ones have; a second time ends it at once. */
  stop(): void;
}

/** SIPp leaves with these when calls were made: all successful, some failed, ended by a signal, none made. */
const RAN = new Set([0, 1, 97, 99]);
const STDERR_KEPT = 4096;
/** Bytes: a burst of answers must not be lost at SIPp's own socket and be taken for a fault of the server. */
const SOCKET_BUFFER = 4 << 20;
/** SIPp 3.6.1 now and then cannot read a scenario that it reads when it is started again. */
const MISREAD = /Syntax error or invalid \[keyword\] in scenario while parsing ''/;
const STARTS = 5;

export function startSipp(options: SippOptions): Sipp {
  const { folder, label } = options;
  const statistics = `${label}.stat.csv`;
  const errors = `${label}.errors.log`;
  const statisticsFile = join(folder, statistics);
  const start = (): ChildProcessByStdio<null, null, Readable> =>
    spawn(
      'sipp',
      [
        ...['-sf', options.scenario, '-nostdin', '-trace_rtt', '-rtt_freq', '1'],
        ...['-trace_stat', '-stf', statistics, '-fd', '1'],
        ...['-trace_err', '-error_file', errors, '-max_log_size', '65536'],
        // no watchdog: that the machine is busy is no fault of a call, and nothing to give up for
        ...['-buff_size', String(SOCKET_BUFFER), '-watchdog_interval', '0'],
        ...options.arguments,
      ],
      { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
    );
  let child = start();
  let stopped = false;
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill); // SIPp that waits for calls would outlive us

  const exited = new Promise<number>((resolve, reject) => {
    const follow = (startsLeft: number): void => {
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr = (stderr + text).slice(-STDERR_KEPT);
      });
      child.once('error', (error: NodeJS.ErrnoException) => {
        reject(
          error.code === 'ENOENT'
            ? new ParleyError('load-sipp-missing')
            : new ParleyError('load-sipp-failed', error.message, { cause: error }),
        );
      });
      child.once('close', (code, signal) => {
        const ran = code !== null && RAN.has(code) && existsSync(statisticsFile);
        if (ran) resolve(code);
        else if (MISREAD.test(stderr) && startsLeft > 0 && !stopped) {
          rmSync(join(folder, errors), { force: true });
          child = start();
          follow(startsLeft - 1);
        } else reject(new ParleyError('load-sipp-failed', stderr.trim() || `ended by ${signal ?? code}`));
      });
    };
    follow(STARTS - 1);
  });

  let watcher = watch(folder);
  const started = new Promise<void>((resolve, reject) => {
    // SIPp opens its statistics file after its sockets
    const look = (): void => {
      if (!existsSync(statisticsFile)) return;
      watcher.close(); // the file of response times, in the same folder, changes all the time
      watcher = watch(statisticsFile);
      if (options.onReport) watcher.on('change', () => report(statisticsFile, options.onReport!));
      resolve();
    };
    watcher.on('change', look);
    exited.then(() => resolve(), reject);
  });

  const finished = exited
    .finally(() => {
      process.off('exit', kill);
      watcher.close();
    })
    .then(async (): Promise<SippResult> => {
      const counters = parseStatistics(await readFile(statisticsFile, 'utf8'));
      if (!counters) throw new ParleyError('load-sipp-failed', 'it wrote no statistics');
      const scenario = /([^/]+)\.xml$/.exec(options.scenario)?.[1] ?? label;
      const responseTimes = await readResponseTimes(join(folder, `${scenario}_${child.pid}_rtt.csv`));
      return { counters, responseTimes, firstError: await readErrors(join(folder, errors)) };
    });
  // whoever awaits only one of the two must not be met by an unhandled rejection of the other
  started.catch(() => undefined);
  finished.catch(() => undefined);

  return {
    started,
    finished,
    stop() {
      child.kill(stopped ? 'SIGKILL' : 'SIGUSR1');
      stopped = true;
    },
  };
}

function report(file: string, onReport: (counters: Counters) => void): void {
  readFile(file, 'utf8').then(
    (text) => {
      const counters = parseStatistics(text);
      if (counters && counters.created > 0) onReport(counters);
    },
    () => undefined, // the run is over and its folder gone
  );
}

async function readResponseTimes(file: string): Promise<ResponseTimeTable> {
  const table = new ResponseTimeTable();
  if (!existsSync(file)) return table; // no call came so far
  for await (const line of createInterface({ input: createReadStream(file) })) table.add(line);
  return table;
}

async function readErrors(file: string): Promise<string | undefined> {
  return existsSync(file) ? firstError(await readFile(file, 'utf8')) : undefined;
}
