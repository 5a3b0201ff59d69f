import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scenarioFolder } from '../../src/cli/load/scenarios.js';
import { startSipp, type Sipp } from '../../src/cli/load/sipp.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import { useCleanups } from '../tools/cleanups.js';
import { missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { Program } from '../tools/program.js';
import { testKeys, Usim } from '../tools/usim.js';

const cleanups = useCleanups();
const ALICE = 'sip:alice@ims.test';
const AS = 'sip:as@ims.test';
/** Not the address that is trusted. */
const HANDSET = '127.0.0.2';

/** A server whose subscriber alice has a USIM, in a network where an application server of her filter criteria is trusted. */
async function lab(): Promise<RunningParley> {
  const { k, op, amf } = testKeys;
  const parley = await startParley({
    subscribers: [{ privateId: 'alice@ims.test', identities: [ALICE], aka: { k, op, amf } }],
    sip: { trusted: ['127.0.0.1'], overloadDelay: 60_000 },
    profiles: [
      {
        name: 'default',
        criteria: [{ priority: 10, server: AS, trigger: { groups: [[{ method: 'PUBLISH' }]] } }],
      },
    ],
  });
  cleanups.push(() => parley.stop());
  return parley;
}

async function watch(watcher: Phone, identity: string): Promise<void> {
  const { status } = await watcher.ask('SUBSCRIBE', ALICE, {
    'P-Asserted-Identity': `<${identity}>`,
    Event: 'reg',
    Expires: '600',
  });
  expect(status).toBe(200);
  await watcher.answer('NOTIFY', 200);
}

/** An application server that watches alice, and has been told how things are. */
async function applicationServer({ port }: RunningParley): Promise<Phone> {
  const server = await Phone.open('parley', port);
  cleanups.push(() => server.close());
  await watch(server, AS);
  return server;
}

/** Runs the scenario of a handset; resolves when it has subscribed. */
async function handset(parley: RunningParley): Promise<Sipp> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-sipp-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  for (const name of ['reg-events-aka.xml', 'users.csv'])
    await copyFile(join(scenarioFolder(), name), join(folder, name));
  const subscribed = new Promise<void>((resolve) => {
    parley.app.trail.onEvent(({ code, detail }) => {
      if (code === 'reg-event.subscribed' && detail === 'user') resolve();
    });
  });
  const sipp = startSipp({
    scenario: 'reg-events-aka.xml',
    label: 'handset',
    folder,
    arguments: [
      `127.0.0.1:${parley.port}`,
      ...['-inf', 'users.csv', '-i', HANDSET, '-auth_uri', 'ims.test', '-m', '1'],
    ],
  });
  await Promise.race([subscribed, sipp.finished]);
  return sipp;
}

async function command(parley: RunningParley, ...args: string[]): Promise<string> {
  const program = new Program(args, { env: { PARLEY_API: parley.api } });
  cleanups.push(() => program.dispose());
  expect([await program.exit(), program.stderr]).toEqual([0, '']);
  return program.stdout;
}

const eventsIn = (notify: SipRequest): string[] =>
  [
    ...Buffer.from(notify.body)
      .toString()
      .matchAll(/<contact [^>]*?state="(\w+)" event="(\w+)"/g),
  ].map(([, state, event]) => `${state} ${event}`);

/** What a watcher is told until a document says so. */
async function toldUntil(watcher: Phone, wanted: readonly string[]): Promise<SipRequest> {
  for (;;) {
    const notify = await watcher.answer('NOTIFY', 200);
    if (eventsIn(notify).join() === wanted.join()) return notify;
  }
}

describe.skipIf(missing('sipp'))('SIPp as a handset with a USIM', () => {
  it('finds both devices with GRUUs and capabilities in its NOTIFY, and sees that the network ends them', async () => {
    const parley = await lab();
    const server = await applicationServer(parley);
    const sipp = await handset(parley);
    expect(await command(parley, 'deregister', ALICE)).toMatch(/imei[\s\S]*urn:uuid/);
    expect(await sipp.finished).toMatchObject({
      counters: { successful: 1, failed: 0 },
      firstError: undefined,
    });
    const last = await toldUntil(server, ['terminated deactivated', 'terminated deactivated']);
    expect(last.get('Subscription-State')).toMatch(/^terminated/);
  });
});

describe('a device that the network wants to see again', () => {
  it('is told so with its application servers, and its next REGISTER is challenged', async () => {
    const parley = await lab();
    const usim = new Usim('alice@ims.test', 'ims.test');
    const device = await Phone.open('alice', parley.port);
    cleanups.push(() => device.close());
    const register = async (): Promise<void> => {
      const callId = 'registration';
      const challenge = await device.register('', { ...usim.hello(), 'Call-ID': callId });
      expect(challenge.status).toBe(401);
      expect((await device.register('', { ...usim.answer(challenge), 'Call-ID': callId })).status).toBe(200);
    };
    await register();
    const server = await applicationServer(parley);
    await watch(device, ALICE);

    expect(await command(parley, 'reauthenticate', ALICE, '--seconds', '90')).toMatch(/\b(?:90|89) s/);
    for (const watcher of [server, device]) {
      const notify = await toldUntil(watcher, ['active shortened']);
      expect(Buffer.from(notify.body).toString()).toMatch(/event="shortened" expires="(?:90|8\d)"/);
    }
    await register();
    for (const watcher of [server, device]) await toldUntil(watcher, ['active refreshed']);

    const url = `${parley.api}/api/v1/registrations/${encodeURIComponent(ALICE)}`;
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(200);
    for (const watcher of [server, device]) await toldUntil(watcher, ['terminated deactivated']);
  });
});
