import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { wbxmlCoding, xmlCoding } from '../../src/imps/codec/coding.js';
import { element } from '../../src/imps/codec/element.js';
import { useCleanups } from '../tools/cleanups.js';
import { CirLine } from '../imps/tools/cir-line.js';
import { codeOf, message, Phone, type PhoneOptions } from '../imps/tools/phone.js';
import { Program, type ProgramOptions } from '../tools/program.js';

const cleanups = useCleanups();

function run(args: readonly string[], options?: ProgramOptions): Program {
  const program = new Program(args, options);
  cleanups.push(() => program.dispose());
  return program;
}

const config = `
subscribers:
  - { privateId: alice@ims.test, password: alice-secret, identities: ['sip:alice@ims.test'], imps: 'wv:alice@ims.test' }
  - { privateId: bob@ims.test, password: bob-secret, identities: ['sip:bob@ims.test', 'tel:+15550100002'], imps: 'wv:bob@ims.test' }
`;

interface Addresses {
  readonly csp: string;
  readonly cir: string;
}

async function started(
  options: ProgramOptions = { config },
): Promise<Addresses & { program: Program; api: string }> {
  const program = run(['serve'], options);
  const { imps } = await program.logged(({ msg }) => msg === 'ready');
  return { program, api: (await program.ready()).api, ...(imps as Addresses) };
}

const phoneAt = (csp: string, name: string, options: Partial<PhoneOptions> = {}): Phone =>
  new Phone({
    url: csp.replace(/\/csp$/, ''),
    user: `wv:${name}@ims.test`,
    password: `${name}-secret`,
    ...options,
  });

/** The versions of CSP with the syntax in which phones show them. */
const spoken = [
  ['1.3', wbxmlCoding],
  ['1.1', xmlCoding],
  ['1.2', xmlCoding],
] as const;

describe('IMPS phones at the whole program', () => {
  it.each(spoken)(
    'log in 4-way in CSP %s, get a CIR over TCP, poll, and receive what was sent while they were away',
    async (version, coding) => {
      const { csp, cir } = await started();
      const alice = phoneAt(csp, 'alice', { version, coding });
      expect(codeOf(await alice.login4())).toBe(200);
      await alice.negotiate();
      expect(codeOf(await alice.request(message('while you were out', ['wv:bob@ims.test'])))).toBe(200);

      const bob = phoneAt(csp, 'bob', { version, coding });
      bob.cookie = 'cookie-of-bob';
      expect(codeOf(await bob.login4())).toBe(200);
      await bob.negotiate(element('SupportedCIRMethod', 'STCP'));
      const line = new CirLine(Number(cir.split(':').at(-1)));
      cleanups.push(() => line.socket.destroy());
      line.socket.write(`HELO ${bob.sessionId}\r\n`);
      expect((await line.until(2)).join('\n')).toContain('cookie-of-bob');
      expect(await bob.messages()).toEqual(['while you were out']);
    },
  );

  it.each(spoken)(
    'log in a second application beside the first in CSP %s, and are refused a Client-ID that is in use',
    async (version, coding) => {
      const { csp } = await started();
      const as = (clientId: string): Phone => phoneAt(csp, 'alice', { version, coding, clientId });
      const first = as('wv:phone$lab@maker.m1.1');
      expect(codeOf(await first.login4())).toBe(200);
      const second = as('wv:tablet$lab@maker.m2.2');
      expect(codeOf(await second.login4())).toBe(200);
      expect(codeOf(await as('wv:phone$lab@maker.m1.1').login4())).toBe(603);
      for (const phone of [first, second])
        expect(codeOf(await phone.request(element('KeepAlive-Request')))).toBe(200);
    },
  );

  it('are shown and disconnected by the API and the command, which show no Session-ID', async () => {
    const { csp, api } = await started();
    const alice = phoneAt(csp, 'alice', { clientId: 'wv:phone$lab@maker.m1.1' });
    await alice.start();
    const shown = await (await fetch(`${api}/api/v1/imps/sessions`)).text();
    expect(JSON.parse(shown)).toMatchObject({
      sessions: [{ user: 'wv:alice@ims.test', clientId: 'wv:phone$lab@maker.m1.1', version: '1.3' }],
    });
    expect(shown).not.toContain(alice.sessionId);
    const listed = run(['--api', api, 'imps', 'sessions', 'wv:alice@ims.test']);
    expect(await listed.exit()).toBe(0);
    expect(listed.stdout).toMatch(/wv:alice@ims\.test +wv:phone\$lab@maker\.m1\.1/);
    const status = run(['--api', api, 'imps', 'status']);
    expect(await status.exit()).toBe(0);
    expect(status.stdout).toBe('CIR   0 over TCP, 0 over UDP\nSMSC  none\n');
    const ended = run(['--api', api, 'imps', 'disconnect', 'wv:alice@ims.test']);
    expect(await ended.exit()).toBe(0);
    expect(await (await fetch(`${api}/api/v1/imps/sessions`)).json()).toEqual({ sessions: [] });
    const twice = await fetch(`${api}/api/v1/imps/sessions/wv%3Aalice%40ims.test`, { method: 'DELETE' });
    expect([twice.status, await twice.json()]).toMatchObject([404, { error: 'imps-session-unknown' }]);
  });

  it('are of users that the API adds and removes, passwords never coming out', async () => {
    const { csp, api } = await started();
    const users = `${api}/api/v1/imps/users`;
    const post = (body: object): Promise<Response> =>
      fetch(users, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const erin = { user: 'wv:erin@ims.test', password: 'erin-secret', msisdn: '+15550100009' };
    expect((await post(erin)).status).toBe(201);
    expect((await post(erin)).status).toBe(409);
    expect((await post({ user: 'wv:erin/list@ims.test', password: 'x' })).status).toBe(400);
    const phone = phoneAt(csp, 'erin');
    expect(codeOf(await phone.login4())).toBe(200);
    const listed = await (await fetch(users)).text();
    expect(listed).toContain('+15550100009');
    expect(listed).not.toContain('-secret');
    expect((await fetch(`${users}/wv%3Aerin%40ims.test`, { method: 'DELETE' })).status).toBe(200);
    expect(codeOf(await phoneAt(csp, 'erin').login4())).not.toBe(200);
    expect((await fetch(`${users}/wv%3Aerin%40ims.test`, { method: 'DELETE' })).status).toBe(404);
  });

  it('are not listened for without the role', async () => {
    const { csp } = await started({ config, env: { PARLEY_ROLES: 'core' } });
    expect(csp).toBeUndefined();
  });

  it.each(['PARLEY_IMPS_LISTEN', 'PARLEY_CIR_LISTEN'])(
    'name the address of %s that is taken, exit 3',
    async (variable) => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      cleanups.push(() => server.close());
      const taken = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      const program = run(['serve'], { env: { [variable]: taken } });
      expect(await program.exit()).toBe(3);
      expect(program.stderr).toContain(
        `imps-port-taken: another program listens on the IMPS address: ${taken}`,
      );
    },
  );
});
