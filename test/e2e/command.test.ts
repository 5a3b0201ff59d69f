import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Devices, UUID, withInstance } from '../core/devices.js';
import { ALICE, BOB, device, establish } from '../cpm/participating/session-world.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Program } from '../tools/program.js';

let parley: RunningParley;
const devices = new Devices(() => parley);
beforeAll(async () => {
  parley = await startParley({ auth: 'none' });
});
afterAll(async () => {
  await devices.close();
  await parley.stop();
});

/** Runs the command against the server of the test. */
function parleyCommand(...args: string[]): ReturnType<typeof runWith> {
  return runWith({ PARLEY_SUBSCRIBER_PASSWORD: 'erin-secret' }, args);
}

async function runWith(
  env: Record<string, string>,
  args: readonly string[],
): Promise<{ code: number | null; out: string; err: string }> {
  const program = new Program([...args], { env: { PARLEY_API: parley.api, ...env } });
  const code = await program.exit();
  await program.dispose();
  return { code, out: program.stdout, err: program.stderr };
}

describe('the parley command', () => {
  it('shows registrations and de-registers one device', async () => {
    await devices.register('alice', withInstance(UUID));
    expect((await parleyCommand('registrations', 'sip:alice@ims.test')).out).toContain(
      `sip:alice@ims.test;gr=${UUID}`,
    );
    expect(await parleyCommand('deregister', 'sip:alice@ims.test', '--instance', UUID)).toMatchObject({
      code: 0,
    });
    expect((await parleyCommand('registrations')).out).toContain('no device is registered');
  });

  it('adds, lists and removes a subscriber', async () => {
    expect(await parleyCommand('subscriber', 'add', 'erin@ims.test', 'sip:erin@ims.test')).toMatchObject({
      code: 0,
      out: 'added erin@ims.test\n',
    });
    expect((await parleyCommand('subscriber', 'list')).out).toMatch(/erin@ims\.test\s+sip:erin@ims\.test/);
    expect(await parleyCommand('subscriber', 'remove', 'erin@ims.test')).toMatchObject({ code: 0 });
  });

  it('adds a subscriber with a USIM, whose keys come from the environment and are shown nowhere', async () => {
    const keys = {
      PARLEY_SUBSCRIBER_K: '465b5ce8b199b49faa5f0a2ee238a6bc',
      PARLEY_SUBSCRIBER_OP: 'cdc202d5123e20f62b6d676ac72cb318',
    };
    const add = ['subscriber', 'add', '--aka', '--amf', 'b9b9', 'frank@ims.test', 'sip:frank@ims.test'];
    expect(await runWith(keys, add)).toMatchObject({ code: 0, out: 'added frank@ims.test\n' });
    const { out } = await parleyCommand('subscriber', 'list');
    expect(out).toMatch(/frank@ims\.test .* aka$/m);
    expect(out).not.toContain(keys.PARLEY_SUBSCRIBER_K);
    expect(await runWith({}, add)).toMatchObject({ code: 1 });
  });

  it('says why a request was refused', async () => {
    const bob = await devices.register('bob');
    const callId = bob.send('MESSAGE', 'sip:nobody@ims.test');
    expect((await bob.peer.response(200)).status).toBe(480);
    const { out } = await parleyCommand('trail', '--call', callId);
    expect(out).toMatch(/refused\s+core-not-registered\s+RFC 3261 §16\.5\s+sip:bob@ims\.test/);
  });

  it('takes the name of a user of the home domain alone, and the number of one', async () => {
    await devices.register('alice', withInstance(UUID));
    expect((await parleyCommand('registrations', 'alice')).out).toContain(`sip:alice@ims.test;gr=${UUID}`);
    expect((await parleyCommand('registrations', '+15550100099')).err).toContain('registration-unknown');
    expect((await parleyCommand('trail', '--subject', 'alice')).out).toMatch(
      /accepted\s+register\.\w+\s+.*sip:alice@ims\.test/,
    );
  });

  it('shows the newest decision last, and those of one outcome alone', async () => {
    const bob = await devices.register('bob');
    const callId = bob.send('MESSAGE', 'sip:nobody@ims.test');
    await bob.peer.response(200);
    const all = (await parleyCommand('trail', '--subject', 'bob')).out.trim().split('\n');
    expect(all.at(-1)).toContain(callId);
    const accepted = (await parleyCommand('trail', '--subject', 'bob', '--outcome', 'accepted')).out;
    expect(accepted).toContain(' accepted ');
    expect(accepted).not.toContain(' refused ');
  });

  it('follows the trail, and shows each decision once', async () => {
    const program = new Program(['trail', '--follow', '--code', 'core-not-registered'], {
      env: { PARLEY_API: parley.api },
    });
    const shown = (callId: string): number => program.stdout.split(callId).length - 1;
    const bob = await devices.register('bob');
    for (let call = 0; call < 2; call++) {
      const callId = bob.send('MESSAGE', 'sip:nobody@ims.test');
      await bob.peer.response(200);
      await expect.poll(() => shown(callId), { timeout: 20_000 }).toBe(1);
    }
    await program.dispose();
    expect(program.stdout.match(/^TIME/gm)).toHaveLength(1);
  });

  it('tells its version, and what help there is when it does not know a command', async () => {
    expect((await parleyCommand('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    const unknown = await parleyCommand('registration');
    expect(unknown).toMatchObject({ code: 1 });
    expect(unknown.err).toBe(
      "error: unknown command 'registration'\n(Did you mean registrations?)\n(--help says what there is)\n",
    );
    expect((await parleyCommand('policy')).err).toContain('--help');
  });

  it('finds in its package what it needs', () => {
    const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [{ files }] = JSON.parse(packed) as [{ files: { path: string }[] }];
    expect(files.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        'parley.demo.yaml',
        'console/index.html',
        'sipp-scenarios/register.xml',
        'dist/src/main.js',
      ]),
    );
  });

  it('without a server says how to start one, and exits 1', async () => {
    const answer = await parleyCommand('--api', 'http://127.0.0.1:9', 'registrations');
    expect(answer).toMatchObject({ code: 1 });
    expect(answer.err).toContain('parley serve');
  });

  it.each(['serve', 'check-config', 'subscriber', 'registrations', 'deregister', 'trail', 'load'])(
    'has help for %s',
    async (command) => {
      const { code, out } = await parleyCommand(command, '--help');
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`^Usage: parley ${command} `));
    },
  );

  it.skipIf(missing('sipp'))('runs a SIPp scenario and ends with one summary', async () => {
    const target = `127.0.0.1:${parley.port}`;
    const { code, out } = await parleyCommand(
      'load',
      'register',
      '-t',
      target,
      '-n',
      '20',
      '-r',
      '0',
      '-u',
      '5',
    );
    expect(code).toBe(0);
    expect(out).toMatch(/scenario\s+register\ncalls\s+20 successful/);
    expect(out).toMatch(/failed\s+0\nretransmissions\s+\d+\nREGISTER to 200\s+p50/);
  });

  it.skipIf(missing('sipp'))('load names the scenarios that there are when asked for another', async () => {
    const closed = '127.0.0.1:9';
    expect((await parleyCommand('load', 'nonsense', '-t', closed)).err).toContain('no scenario nonsense');
  });

  it('shows CPM sessions, and changes the policy of a user', async () => {
    const alice = await devices.register('alice', device(ALICE));
    const bob = await devices.register('bob', device(BOB));
    expect((await parleyCommand('sessions')).out).toContain('no sessions');
    await establish(alice, bob, { 'Contribution-ID': 'contribution-1' });
    await expect
      .poll(async () => (await parleyCommand('sessions', 'sip:bob@ims.test')).out, { timeout: 20_000 })
      .toMatch(/sip:alice@ims\.test .*contribution-1 +direct/);
    const set = await parleyCommand(
      'policy',
      'set',
      'sip:bob@ims.test',
      'maxSessions=5',
      'doNotDisturb=true',
    );
    expect(set.out).toMatch(/maxSessions +5 +user/);
    expect((await parleyCommand('policy', 'sip:bob@ims.test')).out).toMatch(/doNotDisturb +true +user/);
    expect(await parleyCommand('policy', 'set', 'sip:bob@ims.test', 'maxSessions=x')).toMatchObject({
      code: 1,
    });
    expect(await parleyCommand('policy', 'reset', 'sip:bob@ims.test')).toMatchObject({ code: 0 });
    expect((await parleyCommand('policy', 'sip:bob@ims.test')).out).not.toMatch(/ user$/m);
  });
});
