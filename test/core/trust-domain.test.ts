import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Next, ServiceCall, ServiceSubject } from '../../src/core/service.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Devices } from './devices.js';

const subscribers = [
  {
    privateId: 'alice@ims.test',
    password: 'x',
    identities: ['sip:alice@ims.test', 'tel:+15550100001', 'sip:secret@ims.test'],
    barred: ['sip:secret@ims.test'],
  },
  { privateId: 'bob@ims.test', password: 'x', identities: ['sip:bob@ims.test', 'tel:+15550100002'] },
];

const FORGED = {
  'P-Asserted-Identity': '<sip:carol@ims.test>',
  'P-Served-User': '<sip:carol@ims.test>;sescase=orig',
  'P-Charging-Vector': 'icid-value=1',
  'P-Asserted-Service': 'urn:urn-7:3gpp-service.ims.icsi.mmtel',
};

const ANONYMOUS = { From: '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1', Privacy: 'id' };

/** Sees what the services of a caller see. */
const watch = {
  name: 'watch',
  sees: (_call: ServiceCall): unknown => undefined,
  matches: ({ sessionCase }: ServiceSubject) => sessionCase === 'originating',
  handle: async (call: ServiceCall, next: Next): Promise<void> => {
    watch.sees(call);
    await next();
  },
};

describe('the edge of the trust domain', () => {
  let parley: RunningParley;
  const devices = new Devices(() => parley);
  beforeAll(async () => {
    parley = await startParley({ auth: 'none', subscribers });
    parley.app.core.use(watch);
  });
  afterAll(() => parley.stop());
  afterEach(() => devices.close());

  it('asserts the identities of a registered flow in place of what its user says', async () => {
    const [alice, bob] = [await devices.register('alice'), await devices.register('bob')];
    bob.send('MESSAGE', 'sip:alice@ims.test', { ...FORGED, 'P-Preferred-Identity': '<tel:+15550100002>' });
    const request = await alice.answer('MESSAGE', 200);
    expect(request.headers.list('P-Asserted-Identity')).toEqual(['<tel:+15550100002>', '<sip:bob@ims.test>']);
    for (const name of ['P-Preferred-Identity', 'P-Served-User', 'P-Charging-Vector', 'P-Asserted-Service'])
      expect([name, request.get(name)]).toEqual([name, undefined]);
  });

  it.each([
    ['what a device says of its access reaches', '3GPP-E-UTRAN-FDD', '3GPP-E-UTRAN-FDD'],
    ['what only the network provides does not reach', '3GPP-E-UTRAN-FDD;network-provided', undefined],
    ['of both, only its own reaches', 'IEEE-802.11, 3GPP-GERAN; network-provided', 'IEEE-802.11'],
  ])('%s the services of the user, and never the callee (RFC 7315 §5.4)', async (_, said, heard) => {
    const [alice, bob] = [await devices.register('alice'), await devices.register('bob')];
    let seen: string | undefined;
    watch.sees = ({ request }) => (seen = request.get('P-Access-Network-Info'));
    bob.send('MESSAGE', 'sip:alice@ims.test', { 'P-Access-Network-Info': said });
    const request = await alice.answer('MESSAGE', 200);
    expect((await bob.peer.response(200)).status).toBe(200);
    expect([seen, request.get('P-Access-Network-Info')]).toEqual([heard, undefined]);
  });

  it('a barred identity neither calls nor is called (3GPP TS 23.228 §4.3.3.4)', async () => {
    const [alice, bob] = [await devices.register('alice'), await devices.register('bob')];
    expect((await bob.ask('MESSAGE', 'sip:secret@ims.test')).status).toBe(404);
    const From = '<sip:secret@ims.test>;tag=1';
    expect((await alice.ask('MESSAGE', 'sip:bob@ims.test', { From })).status).toBe(403);
    expect(bob.peer.unread).toEqual([]);
  });

  it('keeps the asserted identity from the callee when the caller wants privacy', async () => {
    const [alice, bob] = [await devices.register('alice'), await devices.register('bob')];
    bob.send('MESSAGE', 'sip:alice@ims.test', { Privacy: 'id' });
    expect((await alice.answer('MESSAGE', 200)).has('P-Asserted-Identity')).toBe(false);
  });

  it('knows an anonymous caller by its flow and by nothing else (RFC 3323 §4.1)', async () => {
    const [alice, bob, stranger] = [
      await devices.register('alice'),
      await devices.register('bob'),
      await devices.open('stranger'),
    ];
    let served: string | undefined;
    watch.sees = ({ servedUser }) => (served = servedUser);
    bob.send('MESSAGE', 'sip:alice@ims.test', ANONYMOUS);
    const request = await alice.answer('MESSAGE', 200);
    expect((await bob.peer.response(200)).status).toBe(200);
    expect([served, request.from.uriText]).toEqual(['sip:bob@ims.test', 'sip:anonymous@anonymous.invalid']);
    expect(request.has('P-Asserted-Identity')).toBe(false);
    expect((await stranger.ask('MESSAGE', 'sip:alice@ims.test', ANONYMOUS)).status).toBe(403);
  });

  it('takes what only the network may say off responses to users', async () => {
    const [alice, bob] = [await devices.register('alice'), await devices.register('bob')];
    bob.send('MESSAGE', 'sip:alice@ims.test');
    await alice.answer('MESSAGE', 200, { 'P-Charging-Vector': 'icid-value=1' });
    expect((await bob.peer.response(200)).has('P-Charging-Vector')).toBe(false);
  });

  it('takes it off responses of other domains as well', async () => {
    const [foreign, bob] = [await devices.open('foreign'), await devices.register('bob')];
    bob.send('MESSAGE', `sip:x@localhost:${foreign.peer.port}`);
    await foreign.answer('MESSAGE', 200, { 'P-Charging-Vector': 'icid-value=1' });
    expect((await bob.peer.response(200)).has('P-Charging-Vector')).toBe(false);
  });

  it('refuses a GRUU of somebody else in Contact with 403', async () => {
    const alice = await devices.register('alice');
    await alice.register(';+sip.instance="<urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>"', {
      Supported: 'gruu',
    });
    const bob = await devices.register('bob');
    const Contact = '<sip:alice@ims.test;gr=urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>';
    expect((await bob.ask('INVITE', 'sip:alice@ims.test', { Contact })).status).toBe(403);
  });
});

describe('a trusted peer', () => {
  let parley: RunningParley;
  const devices = new Devices(() => parley);
  beforeAll(async () => {
    parley = await startParley({ auth: 'digest', subscribers, sip: { trusted: ['127.0.0.1'] } });
  });
  afterAll(() => parley.stop());
  afterEach(() => devices.close());

  it('is not challenged, and a user without device gets 480 as from everybody', async () => {
    const peer = await devices.open('peer');
    expect((await peer.ask('MESSAGE', 'sip:alice@ims.test', FORGED)).status).toBe(480);
  });

  it.each([
    ['127.0.0.1', 'is passed on whole to a peer that is trusted too', 'icid-value=1', '<sip:carol@ims.test>'],
    ['localhost', 'loses what is internal on its way to anybody else', undefined, '<sip:carol@ims.test>'],
  ])('%s: its request %s', async (host, _, vector, identity) => {
    const [peer, foreign] = [await devices.open('peer'), await devices.open('foreign')];
    peer.send('MESSAGE', `sip:x@${host}:${foreign.peer.port}`, FORGED);
    const request = await foreign.answer('MESSAGE', 200);
    expect(request.get('P-Charging-Vector')).toBe(vector);
    expect(request.has('P-Served-User')).toBe(vector !== undefined);
    expect(request.get('P-Asserted-Identity')).toBe(identity);
  });

  it('has an identity that wants privacy kept from a peer that is not trusted (RFC 3325 §7)', async () => {
    const [peer, foreign] = [await devices.open('peer'), await devices.open('foreign')];
    peer.send('MESSAGE', `sip:x@localhost:${foreign.peer.port}`, { ...FORGED, Privacy: 'id' });
    expect((await foreign.answer('MESSAGE', 200)).has('P-Asserted-Identity')).toBe(false);
  });
});

describe('anybody else', () => {
  let parley: RunningParley;
  const devices = new Devices(() => parley);
  beforeAll(async () => {
    parley = await startParley({ auth: 'digest', subscribers });
  });
  afterAll(() => parley.stop());
  afterEach(() => devices.close());

  it.each(['MESSAGE', 'INVITE', 'SUBSCRIBE'])('is challenged before a %s goes anywhere', async (method) => {
    const stranger = await devices.open('stranger');
    const response = await stranger.ask(method, 'sip:alice@ims.test', { Event: 'reg' });
    expect(response.status).toBe(407);
    expect(response.get('Proxy-Authenticate')).toMatch(/^Digest /);
  });
});
