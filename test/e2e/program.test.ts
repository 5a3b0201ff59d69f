import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { Phone } from '../tools/phone.js';
import { Program, type ProgramOptions } from '../tools/program.js';

const cleanups = useCleanups();

function run(args: readonly string[], options?: ProgramOptions): Program {
  const program = new Program(args, options);
  cleanups.push(() => program.dispose());
  return program;
}

async function phone(user: string, port: number): Promise<Phone> {
  const opened = await Phone.open(user, port);
  cleanups.push(() => opened.close());
  return opened;
}

const open = { PARLEY_AUTH: 'none' };

describe('the program', () => {
  it('says that it is ready in one line, is alive and ready over HTTP, and ends with 0 on SIGTERM', async () => {
    const program = run(['serve'], { env: open });
    const { api } = await program.ready();
    expect((await fetch(`${api}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${api}/readyz`)).json()).toEqual({ status: 'ready' });
    expect(await (await fetch(`${api}/metrics`)).text()).toContain('parley_ready 1');
    program.child.kill('SIGTERM');
    expect(await program.exit()).toBe(0);
    expect(program.log.filter(({ msg }) => msg === 'ready')).toMatchObject([
      { config: 'parley.yaml', domain: 'ims.test', msrp: [expect.stringMatching(/^tcp:127\.0\.0\.1:\d+$/)] },
    ]);
  });

  it('starts the demo with three lines: who was added, and that it is ready', async () => {
    const program = run(['serve'], {
      env: { PARLEY_CONFIG: join(import.meta.dirname, '../../parley.demo.yaml') },
    });
    await program.ready();
    expect(program.log.map(({ msg }) => msg)).toEqual([
      'subscribers of the configuration were added',
      'IMPS users of the configuration were added',
      'ready',
    ]);
  });

  it.each([
    ['serve', 'udp:127.0.0.1:0', ['parley.yaml:2: auht: no such setting']],
    ['check-config', 'udp:127.0.0.1:0', ['parley.yaml:2: auht: no such setting']],
    [
      'check-config',
      'sctp:127.0.0.1:0',
      [
        'PARLEY_SIP_LISTEN: sip.listen.0: must be PROTOCOL:HOST:PORT with udp, tcp, tls, ws or wss',
        'parley.yaml:2: auht: no such setting',
      ],
    ],
  ])(
    '%s with a bad configuration (%s) names every line and its reason and exits 2',
    async (command, sip, said) => {
      const program = run([command], {
        config: 'domain: ims.test\nauht: none\n',
        env: { PARLEY_SIP_LISTEN: sip },
      });
      expect(await program.exit()).toBe(2);
      expect(program.stderr.trim().split('\n').sort()).toEqual(said);
    },
  );

  it('with a certificate that is not there names the variable and exits 2', async () => {
    const program = run(['serve'], {
      env: { PARLEY_SIP_LISTEN: 'tls:127.0.0.1:0', PARLEY_TLS_CERT: 'no.pem', PARLEY_TLS_KEY: 'no.key' },
    });
    expect(await program.exit()).toBe(2);
    expect(program.stderr).toMatch(/^PARLEY_TLS_CERT: sip\.tls\.cert: .*ENOENT.*no\.pem/);
  });

  it('names the UDP port that somebody else has, and exits 3', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    cleanups.push(() => socket.close());
    const taken = `udp:127.0.0.1:${socket.address().port}`;
    const program = run(['serve'], { env: { ...open, PARLEY_SIP_LISTEN: taken } });
    expect(await program.exit()).toBe(3);
    expect(program.stderr).toContain(taken);
  });

  it.each(['HTTP', 'IMPS', 'CIR', 'MSRP'])(
    'names the %s address that somebody else has, and exits 3',
    async (what) => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      cleanups.push(() => server.close());
      const taken = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      const program = run(['serve'], { env: { ...open, [`PARLEY_${what}_LISTEN`]: taken } });
      expect(await program.exit()).toBe(3);
      expect(program.stderr).toContain(taken);
    },
  );

  it('names the data folder that it cannot use, and exits 1', async () => {
    const program = run(['serve'], { env: { ...open, PARLEY_STORE: 'lmdb:parley.yaml' } });
    expect(await program.exit()).toBe(1);
    expect(program.stderr).toMatch(/store-broken: .*parley\.yaml/);
  });

  it('while draining refuses what is new with 503 and Retry-After, lets a call end that rings, and then exits 0', async () => {
    const program = run(['serve'], { env: open });
    const { port, api } = await program.ready();
    const [alice, bob] = [await phone('alice', port), await phone('bob', port)];
    for (const each of [alice, bob]) expect((await each.register()).status).toBe(200);
    alice.send('INVITE', bob.aor);
    const invite = await bob.peer.request('INVITE');
    bob.peer.answer(invite, 180, { Contact: `<${bob.contact}>` });
    expect((await alice.peer.response()).status).toBe(180);

    program.child.kill('SIGTERM');
    await program.logged(({ msg }) => msg === 'draining');
    const refused = await (await phone('carol', port)).register();
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(0);
    const readiness = await fetch(`${api}/readyz`);
    expect(readiness.status).toBe(503);
    expect(await readiness.json()).toEqual({ status: 'not ready', reasons: ['draining'] });

    bob.peer.answer(invite, 486);
    expect((await alice.peer.response(200)).status).toBe(486);
    const end = await program.exit();
    expect(end).toBe(0);
  });
});

/** Registers users until one is refused. @returns the AORs that were acknowledged, and the refusal. */
async function registerUntilRefused(
  port: number,
): Promise<{ stored: string[]; status: number; reason: string }> {
  const stored: string[] = [];
  for (let i = 0; i < 20_000; i++) {
    const user = await Phone.open(`u${i}`, port);
    const { status, reason } = await user.register(`;x="${'x'.repeat(30_000)}"`);
    user.close();
    if (status !== 200) return { stored, status, reason };
    stored.push(user.aor);
  }
  throw new Error('no REGISTER was refused');
}

async function registered(api: string): Promise<string[]> {
  const response = await fetch(`${api}/api/v1/registrations?limit=1000`);
  const { registrations } = (await response.json()) as { registrations: { aor: string }[] };
  return registrations.map(({ aor }) => aor).sort();
}

async function readyAgain(api: string): Promise<void> {
  const ready = async (): Promise<void> => expect((await fetch(`${api}/readyz`)).status).toBe(200);
  await vi.waitFor(ready, { timeout: 30_000 });
}

async function expectRefusing(
  program: Program,
  api: string,
  refusal: { status: number },
  reason: RegExp,
): Promise<void> {
  expect(refusal.status).toBe(503);
  const readiness = await fetch(`${api}/readyz`);
  expect(readiness.status).toBe(503);
  expect(await readiness.json()).toMatchObject({ reasons: [expect.stringMatching(reason)] });
  const line = await program.logged(({ level, msg }) => level === 50 && msg === 'the store cannot commit');
  expect(JSON.stringify(line)).toMatch(reason);
}

describe.runIf(process.getuid?.() === 0)('a full disk', () => {
  it('means 503 to REGISTER and /readyz with the reason in the log; what was acknowledged is there, and room heals it', async () => {
    const disk = mkdtempSync(join(tmpdir(), 'parley-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
    cleanups.push(() => {
      execFileSync('umount', [disk]);
      rmSync(disk, { recursive: true });
    });
    const ballast = join(disk, 'ballast');
    writeFileSync(ballast, Buffer.alloc(5_000_000));
    const env = { ...open, PARLEY_STORE: `lmdb:${join(disk, 'data')}` };
    const first = run(['serve'], { env });
    const { port, api } = await first.ready();
    const refusal = await registerUntilRefused(port);
    await expectRefusing(first, api, refusal, /ENOSPC|no space/i);
    expect(await registered(api)).toEqual([...refusal.stored].sort());

    unlinkSync(ballast);
    await readyAgain(api);
    const late = await phone('late', port);
    expect((await late.register()).status).toBe(200);
    first.child.kill('SIGKILL');
    await first.exit();

    const again = run(['serve'], { env });
    expect(await registered((await again.ready()).api)).toEqual([late.aor, ...refusal.stored].sort());
  });
});

describe.skipIf(missing('prlimit'))('a data folder that takes no more writes', () => {
  it('means 503 to REGISTER, and the program lives on and answers what needs no store', async () => {
    const program = run(['serve'], { env: open, wrapper: ['prlimit', '--fsize=1000000'] });
    const { port, api } = await program.ready();
    const refusal = await registerUntilRefused(port);
    await expectRefusing(program, api, refusal, /EFBIG/);
    const other = await phone('other', port);
    expect((await other.ask('OPTIONS', 'sip:ims.test')).status).toBe(200);
    expect(
      (
        await other.ask('REGISTER', 'sip:ims.test', {
          To: `<${refusal.stored[0]!}>`,
          From: `<${refusal.stored[0]!}>;tag=q`,
          Contact: undefined,
        })
      ).status,
    ).toBe(200);
  });
});
