import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';
import { Devices, expectSilent, gruusOf, IMEI, UUID, withInstance } from './devices.js';

const ICSI = 'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session';
const SESSION = `;+g.3gpp.icsi-ref="${ICSI}"`;
const SERVICE = 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session';

let parley: RunningParley;
const devices = new Devices(() => parley);
beforeAll(async () => {
  parley = await startParley({ auth: 'none' });
});
afterAll(() => parley.stop());
afterEach(() => devices.close());

const markers: [string, (bob: Phone) => HeaderMap][] = [
  ['P-Preferred-Service', () => ({ 'P-Preferred-Service': SERVICE })],
  ['Accept-Contact', () => ({ 'Accept-Contact': `*${SESSION}` })],
  ['the feature tag of Contact', (bob) => ({ Contact: `<${bob.contact}>${withInstance(IMEI)}${SESSION}` })],
];

describe('a CPM Session Invitation', () => {
  it.each(markers)(
    'known by %s rings only devices that registered the session service',
    async (_, headers) => {
      const chat = await devices.register('alice', `${withInstance(UUID)}${SESSION}`);
      const plain = await devices.register('alice', withInstance('urn:gsma:imei:35824005-222222-0'));
      const bob = await devices.register('bob', `${withInstance(IMEI)}${SESSION}`);
      bob.send('INVITE', 'sip:alice@ims.test', headers(bob));
      await chat.answer('INVITE', 200);
      expect((await bob.peer.response(200)).status).toBe(200);
      expectSilent(plain);
    },
  );

  it('gets 480 when the only devices are without the session service', async () => {
    const plain = await devices.register('alice', withInstance(UUID));
    const bob = await devices.register('bob', withInstance(IMEI));
    expect((await bob.ask('INVITE', 'sip:alice@ims.test', { 'P-Preferred-Service': SERVICE })).status).toBe(
      480,
    );
    expectSilent(plain);
  });

  it('leaves with the public GRUU of the caller in Contact, and its answer with that of the callee; no IMEI is seen', async () => {
    const OTHER = 'urn:gsma:imei:35824005-333333-0';
    const alice = await devices.register('alice', `${withInstance(OTHER)}${SESSION}`);
    const bob = await devices.open('bob');
    const { pub } = gruusOf(
      await bob.register(`${withInstance(IMEI)}${SESSION}`, { Supported: 'gruu' }),
      IMEI,
    );
    bob.send('INVITE', 'sip:alice@ims.test', {
      'P-Preferred-Service': SERVICE,
      Contact: `<${bob.contact}>${withInstance(IMEI)}${SESSION}`,
    });
    const invite = await alice.answer('INVITE', 200, {
      Contact: `<${alice.contact}>${withInstance(OTHER)}${SESSION}`,
    });
    expect(invite.contacts[0]!.uriText).toBe(pub);
    const answer = await bob.peer.response(200);
    expect(answer.contacts[0]!.uriText).toMatch(/^sip:alice@ims\.test;gr=urn:uuid:/);
    expect(Buffer.concat(alice.peer.datagrams.slice(1)).toString()).not.toMatch(/35824005-?111111/);
    const seenByBob = bob.peer.datagrams.slice(1); // the first is the answer to its own REGISTER
    expect(Buffer.concat(seenByBob).toString()).not.toMatch(/35824005-?333333/);
  });

  it('of an anonymous caller leaves with a temporary GRUU', async () => {
    const alice = await devices.register('alice', `${withInstance(UUID)}${SESSION}`);
    const bob = await devices.register('bob', `${withInstance(IMEI)}${SESSION}`);
    bob.send('INVITE', 'sip:alice@ims.test', { 'P-Preferred-Service': SERVICE, Privacy: 'id' });
    const invite = await alice.answer('INVITE', 200);
    const contact = invite.contacts[0]!;
    expect(contact.uri.params.get('gr')).toBeNull();
    expect(contact.uriText).not.toContain('bob');
    expect(invite.has('P-Asserted-Identity')).toBe(false);
  });
});

describe('the Contact of a plain call', () => {
  it('shows no IMEI: the UUID URN of the public GRUU stands in its place', async () => {
    const alice = await devices.register('alice', withInstance(UUID));
    const bob = await devices.open('bob');
    const { pub } = gruusOf(await bob.register(withInstance(IMEI), { Supported: 'gruu' }), IMEI);
    bob.send('INVITE', 'sip:alice@ims.test', { Contact: `<${bob.contact}>${withInstance(IMEI)}` });
    const invite = await alice.answer('INVITE', 200);
    expect(invite.contacts[0]!.uriText).toBe(bob.contact);
    expect(invite.contacts[0]!.params.get('+sip.instance')).toBe(`"<${pub.split('gr=')[1]}>"`);
  });
});

it('without GRUUs a CPM session shows both contacts as they are, with a UUID in place of an IMEI', async () => {
  const off = await startParley({ auth: 'none', registrar: { gruu: false } });
  const theirs = new Devices(() => off);
  try {
    const alice = await theirs.register('alice', `${withInstance(UUID)}${SESSION}`);
    const bob = await theirs.register('bob', `${withInstance(IMEI)}${SESSION}`);
    bob.send('INVITE', 'sip:alice@ims.test', {
      'P-Preferred-Service': SERVICE,
      Contact: `<${bob.contact}>${withInstance(IMEI)}`,
    });
    const invite = await alice.answer('INVITE', 200, {
      Contact: `<${alice.contact}>${withInstance(UUID)}`,
    });
    const [caller, callee] = [invite.contacts[0]!, (await bob.peer.response(200)).contacts[0]!];
    expect([caller.uriText, callee.uriText]).toEqual([bob.contact, alice.contact]);
    expect(caller.params.get('+sip.instance')).toMatch(/^"<urn:uuid:[^>]+>"$/);
    expect(callee.params.get('+sip.instance')).toBe(`"<${UUID}>"`);
  } finally {
    await theirs.close();
    await off.stop();
  }
});
