import { mkdtemp } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ParleyError } from '../base/errors.js';
import './load/errors.js';
import { Load, type LoadOptions, type PreparedLoad } from './load/run.js';
import { isScenario, scenarios } from './load/scenarios.js';
import type { Counters } from './load/statistics.js';
import { formatProgress, formatSummary, type LoadSummary } from './load/summary.js';

export type { LoadOptions, PreparedLoad } from './load/run.js';
export type { LoadSummary } from './load/summary.js';
export { scenarios } from './load/scenarios.js';

/**
 * Makes the files for a run in a folder of its own and, for scenarios with two sides, registers the callees
 * and callers (each side from the port it later uses) and starts the callees.
 * @throws ParleyError `load-bad-option`, `load-sipp-missing`, `load-sipp-failed`, `load-not-prepared`
 */
export async function prepareLoad(options: LoadOptions): Promise<PreparedLoad> {
  check(options);
  const folder = await mkdtemp(join(tmpdir(), 'parley-load-'));
  const load = new Load(options, folder);
  try {
    await load.prepare();
  } catch (error) {
    await load.close();
    throw error;
  }
  return load;
}

/** Prepares, runs once and cleans up. */
export async function runLoad(options: LoadOptions): Promise<LoadSummary> {
  const load = await prepareLoad(options);
  try {
    return await load.run();
  } finally {
    await load.close();
  }
}

/**
 * What `parley load` does: a progress line a second, and one summary.
 * @param out gets the text; `isTTY` decides whether the progress line is rewritten in place.
 * @returns the exit code: 0 when no call failed, else 1.
 */
export async function load(
  options: LoadOptions,
  out: { write(text: string): unknown; isTTY?: boolean | undefined },
): Promise<number> {
  const [before, after] = out.isTTY ? ['\r\x1b[K', ''] : ['', '\n'];
  const onProgress = (counters: Counters): void => {
    out.write(`${before}${formatProgress(counters, options.calls)}${after}`);
  };
  const summary = await runLoad({ ...options, onProgress });
  out.write(`${before}${formatSummary(summary)}`);
  return summary.failed === 0 && summary.successful > 0 ? 0 : 1;
}

function check(options: LoadOptions): void {
  const wrong = (detail: string): never => {
    throw new ParleyError('load-bad-option', detail);
  };
  const {
    users,
    firstUser = 1,
    calls,
    rate,
    concurrency = 1,
    pause = 1,
    localAddress = '127.0.0.1',
  } = options;
  if (!isScenario(options.scenario)) {
    wrong(`no scenario ${String(options.scenario)}: ${Object.keys(scenarios).join(', ')}`);
  }
  if (!/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/.test(options.target)) wrong('the target is not host:port');
  if (users !== 'demo' && !(Number.isInteger(users) && users > 0))
    wrong('users is not a whole number above 0');
  if (!(Number.isInteger(firstUser) && firstUser > 0)) wrong('the first user is not a whole number above 0');
  if (!(Number.isInteger(calls) && calls > 0)) wrong('calls is not a whole number above 0');
  if (!(Number.isInteger(rate) && rate >= 0)) wrong('rate is not a whole number');
  if (!(Number.isInteger(concurrency) && concurrency > 0)) wrong('concurrency is not a whole number above 0');
  // SIPp 3.6 can stand still for ever in a pause of 0
  if (!(Number.isInteger(pause) && pause > 0)) wrong('pause is not a whole number above 0');
  if (isIP(localAddress) === 0) wrong('the local address is not an IP address');
}
