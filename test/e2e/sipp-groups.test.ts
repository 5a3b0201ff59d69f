import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { beforeEach, describe, expect, it } from 'vitest';
import { scenarioFolder } from '../../src/cli/load/scenarios.js';
import { startSipp, type Sipp, type SippResult } from '../../src/cli/load/sipp.js';
import { sessionsOf } from '../cpm/participating/session-world.js';
import { useCleanups } from '../tools/cleanups.js';
import { freePort } from '../tools/free-port.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Program } from '../tools/program.js';

const lacking = missing('sipp') ?? missing('curl');
const cleanups = useCleanups();

describe.skipIf(lacking)(`the SIPp scenarios of groups ${lacking ?? ''}`, () => {
  let parley: RunningParley;
  let folder: string;
  beforeEach(async () => {
    parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000 } });
    cleanups.push(() => parley.stop());
    folder = mkdtempSync(join(tmpdir(), 'parley-sipp-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  });

  function sipp(scenario: string, label: string, args: readonly string[]): Sipp {
    const path = join(scenarioFolder(), `${scenario}.xml`);
    return startSipp({ scenario: path, label, folder, arguments: [...args, '-i', '127.0.0.1'] });
  }

  /** Devices of one party, registered from its port. @returns the port. */
  async function party(label: string, ...lines: readonly string[]): Promise<number> {
    const port = await freePort();
    writeFileSync(join(folder, `${label}.csv`), ['SEQUENTIAL', ...lines, ''].join('\n'));
    const { counters, firstError } = await sipp('register', `register-${label}`, [
      ...[`127.0.0.1:${parley.port}`, '-inf', `${label}.csv`, '-m', String(lines.length), '-p', String(port)],
    ]).finished;
    expect([counters.successful, firstError]).toEqual([lines.length, undefined]);
    return port;
  }

  /** Devices that wait. @returns what ends them, with what they had. */
  async function waits(scenario: string, label: string, port: number): Promise<() => Promise<SippResult>> {
    const waiting = sipp(scenario, label, ['-p', String(port)]);
    await waiting.started;
    cleanups.push(() => waiting.stop());
    return () => {
      waiting.stop();
      return waiting.finished;
    };
  }

  async function runs(scenario: string, port: number, calls = 1, file = 'groups'): Promise<void> {
    writeFileSync(join(folder, 'groups.csv'), 'SEQUENTIAL\nalice;bob;carol\n');
    const target = `127.0.0.1:${parley.port}`;
    const { counters, firstError } = await sipp(scenario, scenario, [
      ...[target, '-inf', `${file}.csv`, '-m', String(calls), '-l', '1', '-p', String(port)],
    ]).finished;
    expect(firstError).toBeUndefined();
    expect([counters.successful, counters.failed]).toEqual([calls, 0]);
  }

  const uuid = (n: number): string => `urn:uuid:7c9e6679-7425-40de-944b-e07fc1f90a0${n}`;

  it.each(['group-create', 'group-add'])(
    '%s: every group comes about, and is gone when it is closed',
    async (scenario) => {
      const invited = await party('invited', `bob;-;phone;${uuid(1)}`, `carol;-;phone;${uuid(2)}`);
      const creator = await party('creator', `alice;-;phone;${uuid(3)}`);
      const stop = await waits('invite-uas', 'invited-waiting', invited);
      await runs(scenario, creator, 5);
      const { counters, firstError } = await stop();
      expect([counters.successful, counters.failed, firstError]).toEqual([10, 0, undefined]);
      await expect.poll(() => [...parley.app.controlling!.controlling.running]).toEqual([]);
    },
  );

  it('group-join: users join an open group, watch it and leave', async () => {
    const made = await fetch(`${parley.api}/api/v1/groups`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        name: 'sipp',
        kind: 'long-lived',
        access: 'open',
        chairman: 'sip:dave@ims.test',
        members: [],
      }),
    });
    expect(made.status).toBe(201);
    const port = await party(
      'devices',
      ...['alice', 'bob', 'carol'].map((user, i) => `${user};-;phone;${uuid(i)}`),
    );
    await runs('group-join', port, 3, 'devices');
  });

  it('group-extend: only the device of the session is invited in its place, and only that session ends', async () => {
    const alice = await party('alice', `alice;-;phone;${uuid(1)}`);
    const bob = await party('bob', `bob;-;phone;${uuid(2)}`);
    const bobsOther = await party('bob-other', `bob;-;tablet;${uuid(3)}`);
    const carol = await party('carol', `carol;-;phone;${uuid(4)}`);
    const stops = [
      await waits('group-extend-replaced', 'bob-waiting', bob),
      await waits('group-extend-other', 'other-waiting', bobsOther),
      await waits('invite-uas', 'carol-waiting', carol),
    ];
    await runs('group-extend', alice, 3);
    const results = await Promise.all(stops.map((stop) => stop()));
    expect(
      results.map(({ counters, firstError }) => [counters.successful, counters.failed, firstError]),
    ).toEqual([
      [6, 0, undefined],
      [3, 0, undefined],
      [3, 0, undefined],
    ]);
    await expect.poll(() => sessionsOf(parley)).toEqual([]);
  });

  it.each(['replaced', 'carol-first', 'refuses', 'gone'])(
    'group-extend.sh %s, at what `npm start` starts: everybody gets what Figure 9 says',
    async (variant) => {
      const { digest, subscribers } = parse(readFileSync('parley.demo.yaml', 'utf8')) as Record<
        string,
        unknown
      >;
      const demo = await startParley({ auth: 'digest', digest, subscribers, sip: { overloadDelay: 60_000 } });
      cleanups.push(() => demo.stop());
      const script = await figure9(variant, `127.0.0.1:${demo.port}`, demo.api);
      expect(await script.ended).toEqual([0, `${variant}: as in Figure 9\n`]);
      await expect.poll(() => sessionsOf(demo)).toEqual([]);
    },
  );

  it('group-extend.sh restart: the session ends, and the group goes on, at the next process', async () => {
    const config = JSON.stringify({ sip: { overloadDelay: 60_000 } });
    const first = new Program(['serve'], { config, env: { PARLEY_AUTH: 'none' } });
    cleanups.push(() => first.dispose());
    const { port, api } = await first.ready();
    const script = await figure9('restart', `127.0.0.1:${port}`, api);
    await script.asks;
    first.child.kill('SIGKILL');
    await first.exit();
    const second = await first.again();
    cleanups.push(() => second.dispose());
    const restarted = await second.ready();
    expect(await script.ended).toEqual([
      0,
      expect.stringMatching(/^kill the server[^\n]*\nrestart: as in Figure 9\n$/),
    ]);
    const left = async (): Promise<unknown[]> =>
      (await sessionsOf({ api: restarted.api } as RunningParley)).filter(({ contributionId }) =>
        String(contributionId).endsWith('-one'),
      );
    // the record goes a moment after the BYE that the script has seen answered
    await expect.poll(left).toEqual([]);
  });
});

/** The first of four ports in a row. */
async function fourPorts(): Promise<number> {
  for (;;) {
    const ports = [await freePort(), await freePort(), await freePort(), await freePort()];
    if (ports[3] === ports[0]! + 3) return ports[0]!;
  }
}

/** Runs the script of Figure 9 in a variant. @returns when it asks for a restart, and how it ended: its status and all that it printed. */
async function figure9(variant: string, server: string, api: string) {
  const child = spawn(join(scenarioFolder(), 'group-extend.sh'), [variant], {
    env: { ...process.env, SERVER: server, API: api, PORT: String(await fourPorts()), WAIT: '8000' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  cleanups.push(() => child.kill());
  let printed = '';
  const asks = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      if (printed.includes('kill the server')) resolve();
    });
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const ended = new Promise<[number | null, string]>((resolve) => {
    child.once('close', (status) => resolve([status, printed]));
  });
  return { asks, ended };
}
