import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scenarioFolder } from '../../src/cli/load/scenarios.js';
import { startSipp, type Sipp } from '../../src/cli/load/sipp.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';

/** What SIPp 3.6.1 says now and then of a scenario that it can read: nobody can make it say so. */
const MISREAD = "Syntax error or invalid [keyword] in scenario while parsing ''";
const path = process.env['PATH']!;
let folder: string;
let parley: RunningParley;

beforeEach(async () => {
  parley = await startParley({ auth: 'none' });
  folder = mkdtempSync(join(tmpdir(), 'parley-sipp-'));
  writeFileSync(
    join(folder, 'devices.csv'),
    'SEQUENTIAL\nalice;-;phone;urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90a01\n',
  );
});
afterEach(async () => {
  process.env['PATH'] = path;
  rmSync(folder, { recursive: true, force: true });
  await parley.stop();
});

/** Puts a program before the real SIPp that fails so often. */
function failing(times: number, why: string): void {
  const script = `#!/bin/sh
cd "$(dirname "$0")"
n=$(cat starts 2>/dev/null || echo 0)
echo $((n + 1)) >starts
if [ $n -lt ${times} ]; then echo "${why}" | tee register.errors.log >&2; exit 1; fi
PATH='${path}' exec sipp "$@"
`;
  writeFileSync(join(folder, 'sipp'), script);
  chmodSync(join(folder, 'sipp'), 0o755);
  process.env['PATH'] = `${folder}${delimiter}${path}`;
}

const register = (): Sipp =>
  startSipp({
    scenario: join(scenarioFolder(), 'register.xml'),
    label: 'register',
    folder,
    arguments: [`127.0.0.1:${parley.port}`, '-inf', 'devices.csv', '-m', '1', '-i', '127.0.0.1'],
  });

describe.skipIf(missing('sipp'))('SIPp', () => {
  it('is started again when it does not read its scenario, and nothing of that is told', async () => {
    failing(2, MISREAD);
    const sipp = register();
    await sipp.started;
    expect(await sipp.finished).toMatchObject({ counters: { successful: 1 }, firstError: undefined });
  });

  it('is given up after five starts, with what it says', async () => {
    failing(5, MISREAD);
    await expect(register().finished).rejects.toMatchObject({
      code: 'load-sipp-failed',
      message: expect.stringContaining(MISREAD) as string,
    });
  });

  it('is not started again for anything else', async () => {
    failing(1, 'Unable to bind main socket');
    await expect(register().finished).rejects.toThrow('Unable to bind main socket');
    expect(existsSync(join(folder, 'register.stat.csv'))).toBe(false);
  });
});
