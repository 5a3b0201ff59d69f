import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { answered, spawnServer } from '../../bench/servers/server.js';
import { subscribers } from '../gateway/world.js';
import { codeOf, message, Phone as ImpsPhone } from '../imps/tools/phone.js';
import { element } from '../../src/imps/codec/element.js';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { freePort } from '../tools/free-port.js';
import { KAMAILIO_REG_EVENTS, missing } from '../tools/install.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

const lacking = missing('kamailio') ?? missing(KAMAILIO_REG_EVENTS);
const template = new URL('../fixtures/kamailio/reg-events.cfg', import.meta.url);
/** Empty tables, as the package brings them. */
const TABLES = '/usr/share/kamailio/dbtext/kamailio';

const CPM = ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"';

const cpim = (text: string): string =>
  [
    'From: <sip:anonymous@anonymous.invalid>',
    'To: <sip:anonymous@anonymous.invalid>',
    'DateTime: 2026-11-26T10:00:00Z',
    'NS: imdn <urn:ietf:params:imdn>',
    `imdn.Message-ID: ${text}`,
    '',
    'Content-Type: text/plain',
    '',
    text,
  ].join('\r\n');

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Kamailio as the core of a server. @param options of Kamailio */
async function kamailioFor(server: number, port: number, ...options: readonly string[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-kamailio-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  await cp(TABLES, join(folder, 'tables'), { recursive: true });
  const text = (await readFile(template, 'utf8'))
    .replaceAll('@PORT@', String(port))
    .replaceAll('@SERVER@', String(server))
    .replaceAll('@TABLES@', join(folder, 'tables'));
  const config = join(folder, 'kamailio.cfg');
  await writeFile(config, text);
  const kamailio = spawnServer('kamailio', ['-f', config, '-DD', '-E', '-m', '64', '-M', '16', ...options]);
  cleanups.push(() => kamailio.stop());
  await kamailio.until(answered(port));
}

/** Kamailio as the core, and the Parley that it sends its third-party REGISTER to. @param options of Kamailio */
async function start(...options: readonly string[]): Promise<{ parley: RunningParley; port: number }> {
  const port = await freePort();
  const parley = await startParley({
    roles: ['participating'],
    foreignCore: { uri: `sip:127.0.0.1:${port}` },
  });
  cleanups.push(() => parley.stop());
  await kamailioFor(parley.port, port, ...options);
  return { parley, port };
}

async function contacts(parley: RunningParley): Promise<readonly string[]> {
  const { registrations } = (await (await fetch(`${parley.api}/api/v1/registrations`)).json()) as {
    registrations: { aor: string; bindings: { contact: string }[] }[];
  };
  return registrations.flatMap(({ aor, bindings }) => bindings.map(({ contact }) => `${aor} ${contact}`));
}

describe.skipIf(lacking)('Kamailio as the core', () => {
  it('tells by its documents alone of the devices that register there, and of those that leave', async () => {
    const { parley, port } = await start('-A', 'ALONE');
    const phone = await Phone.registered('alice', port);
    cleanups.push(() => phone.close());
    const first = `sip:alice@ims.test ${phone.contact}`;
    await vi.waitFor(async () => expect(await contacts(parley)).toEqual([first]), 30_000);
    const other = await Phone.registered('alice', port);
    cleanups.push(() => other.close());
    const second = `sip:alice@ims.test ${other.contact}`;
    await vi.waitFor(
      async () => expect((await contacts(parley)).toSorted()).toEqual([first, second].toSorted()),
      30_000,
    );
    await phone.register('', { Expires: '0' });
    await vi.waitFor(async () => expect(await contacts(parley)).toEqual([second]), 30_000);
  });

  it('tells the Instance ID of a device in the REGISTER that it passes on, since its documents have none', async () => {
    const { parley, port } = await start();
    const instance = 'urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e';
    const phone = await Phone.registered('alice', port, `;+sip.instance="<${instance}>"`);
    cleanups.push(() => phone.close());
    // Kamailio's documents of two devices that register at the same moment may leave one out
    const first = `sip:alice@ims.test ${phone.contact}`;
    await vi.waitFor(async () => expect(await contacts(parley)).toEqual([first]), 30_000);
    const other = await Phone.registered('alice', port);
    cleanups.push(() => other.close());
    // the second device is told by a document, which has both
    await vi.waitFor(async () => {
      const answer = await fetch(`${parley.api}/api/v1/registrations/sip:alice@ims.test`);
      const { bindings } = (await answer.json()) as { bindings: { contact: string; instance?: string }[] };
      expect(bindings.map(({ contact, instance: found }) => [contact, found]).toSorted()).toEqual(
        [
          [phone.contact, instance],
          [other.contact, undefined],
        ].toSorted(),
      );
    }, 30_000);
  });

  it('leads messages through the services of caller and callee, which keep what nobody takes', async () => {
    const { parley, port } = await start();
    const alice = await Phone.registered('alice', port, CPM);
    cleanups.push(() => alice.close());
    const bob = await Phone.registered('bob', port, CPM);
    cleanups.push(() => bob.close());
    await vi.waitFor(async () => expect(await contacts(parley)).toHaveLength(2), 30_000);
    const send = async (text: string): Promise<number> => {
      const headers = { 'P-Preferred-Service': cpmServices.message, 'Content-Type': 'message/cpim' };
      return (await alice.ask('MESSAGE', 'sip:bob@ims.test', headers, cpim(text))).status;
    };
    const [answered, got] = [send('now'), bob.answer('MESSAGE', 200)];
    expect([await answered, Buffer.from((await got).body).toString()]).toEqual([200, cpim('now')]);
    const served = parley.app.trail.recent({ code: 'core.given-back' }).map(({ subject }) => subject);
    expect(served.toSorted()).toEqual(['sip:alice@ims.test', 'sip:bob@ims.test']);

    await bob.register(CPM, { Expires: '0' });
    await vi.waitFor(async () => expect(await contacts(parley)).toHaveLength(1), 30_000);
    expect(await send('later')).toBe(202);
    await bob.register(CPM);
    expect(Buffer.from((await bob.answer('MESSAGE', 200)).body).toString()).toContain('later');
  });

  it('has the IMPS phones of the gateway as devices: by 423 and Path, over a restart, until logout', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-phones-'));
    cleanups.push(() => rm(folder, { recursive: true, force: true }));
    const [port, sip, imps] = [await freePort(), await freePort(), await freePort()];
    await kamailioFor(sip, port, '-A', 'LONG');
    const serve = (): Promise<RunningParley> =>
      startParley({
        store: `lmdb:${join(folder, 'data')}`,
        sip: { listen: [`udp:127.0.0.1:${sip}`] },
        imps: { listen: `127.0.0.1:${imps}`, cirListen: '127.0.0.1:0' },
        roles: ['participating', 'imps'],
        foreignCore: { uri: `sip:127.0.0.1:${port}` },
        subscribers,
      });
    let parley = await serve();
    cleanups.push(() => parley.stop());
    const url = `http://127.0.0.1:${imps}`;
    const alice = await new ImpsPhone({ url, user: 'wv:alice@ims.test', password: 'alice-secret' }).start();
    const bob = await Phone.open('bob', port);
    cleanups.push(() => bob.close());
    expect((await bob.register(CPM, { Expires: '7200' })).status).toBe(200);
    const isThere = (): Promise<void> =>
      vi.waitFor(async () => {
        const known = (await contacts(parley)).toSorted();
        expect(known).toEqual([
          expect.stringMatching(/^sip:alice@ims\.test sip:[^@]+@imps-gateway\.ims\.test$/),
          `sip:bob@ims.test ${bob.contact}`,
        ]);
      }, 30_000);
    const send = async (text: string): Promise<number> => {
      const headers = { 'P-Preferred-Service': cpmServices.message, 'Content-Type': 'message/cpim' };
      return (await bob.ask('MESSAGE', 'sip:alice@ims.test', headers, cpim(text))).status;
    };
    await isThere();
    expect(await send('hello')).toBe(200);
    expect(await alice.messages()).toEqual(['hello']);
    const [sent, got] = await Promise.all([
      alice.request(message('and back', ['wv:bob@ims.test'])),
      bob.answer('MESSAGE', 200),
    ]);
    expect([codeOf(sent), got.get('P-Asserted-Identity')]).toEqual([
      200,
      expect.stringContaining('sip:alice@ims.test'),
    ]);

    await parley.stop();
    parley = await serve();
    await parley.app.gateway!.phones.settled();
    expect(await send('after the restart')).toBe(200);
    expect(await alice.messages()).toEqual(['after the restart']);

    expect(codeOf(await alice.request(element('Logout-Request')))).toBe(200);
    await parley.app.gateway!.phones.settled();
    await vi.waitFor(async () => expect(await contacts(parley)).toHaveLength(1), 30_000);
    expect(await send('while away')).toBe(202);
  }, 130_000);
});
