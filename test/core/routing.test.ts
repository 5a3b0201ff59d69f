import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../src/sip/message/message.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';
import { Devices, expectSilent, gruusOf, IMEI, UUID, withInstance } from './devices.js';

let parley: RunningParley;
const devices = new Devices(() => parley);

beforeAll(async () => {
  parley = await startParley({
    auth: 'none',
    subscribers: [
      { privateId: 'alice@ims.test', password: 'x', identities: ['sip:alice@ims.test', 'tel:+15550100001'] },
    ],
  });
});
afterAll(() => parley.stop());
afterEach(() => devices.close());

const device = (user: string, params = '', headers: HeaderMap = {}): Promise<Phone> =>
  devices.register(user, params, headers);

async function gruus(phone: Phone, urn: string): Promise<{ pub: string; temp: string }> {
  return gruusOf(await phone.register(withInstance(urn), { Supported: 'path, gruu' }), urn);
}

/** Calls; the device that is to ring answers. */
async function ring(
  caller: Phone,
  uri: string,
  ringing: Phone,
  headers?: HeaderMap,
): Promise<{ response: SipResponse; invite: SipRequest }> {
  caller.send('INVITE', uri, headers);
  const invite = await ringing.answer('INVITE', 200);
  return { response: await caller.peer.response(200), invite };
}

describe('a request to an address of record', () => {
  it.each(['sip:alice@ims.test', 'tel:+1-555-0100-001', 'sip:%61lice@ims.test'])(
    '%s rings all devices, and when one answers the others are told that it was answered elsewhere',
    async (uri) => {
      const [mobile, tablet, bob] = [
        await device('alice', withInstance(IMEI)),
        await device('alice', withInstance(UUID)),
        await device('bob'),
      ];
      bob.send('INVITE', uri);
      const missed = await tablet.peer.request('INVITE');
      await mobile.answer('INVITE', 200);
      expect((await bob.peer.response(200)).status).toBe(200);
      // no CANCEL before a provisional response (RFC 3261 §9.1)
      tablet.peer.answer(missed, 180, { Contact: `<${tablet.contact}>` });
      const cancel = await tablet.peer.request('CANCEL');
      expect(cancel.get('Reason')).toMatch(/^SIP\s*;\s*cause=200\s*;\s*text="Call completed elsewhere"$/);
    },
  );

  it('that nobody has is answered 404, and one without a device 480', async () => {
    const bob = await device('bob');
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test')).status).toBe(480);
    expect((await bob.ask('MESSAGE', 'tel:+15550199999')).status).toBe(404);
  });

  it('goes to the devices of the highest q first, and to the next only when those have not answered', async () => {
    const [second, first, bob] = [
      await device('alice', `;q=0.2${withInstance(UUID)}`),
      await device('alice', `;q=0.9${withInstance(IMEI)}`),
      await device('bob'),
    ];
    bob.send('INVITE', 'sip:alice@ims.test');
    const invite = await first.peer.request('INVITE');
    expectSilent(second);
    first.peer.answer(invite, 480);
    await second.answer('INVITE', 200);
    expect((await bob.peer.response(200)).status).toBe(200);
  });

  it('is answered 486 when one device is busy and the others do not answer', async () => {
    const [mobile, tablet, bob] = [
      await device('alice', withInstance(IMEI)),
      await device('alice', withInstance(UUID)),
      await device('bob'),
    ];
    bob.send('INVITE', 'sip:alice@ims.test');
    await tablet.answer('INVITE', 480);
    await mobile.answer('INVITE', 486);
    expect((await bob.peer.response(200)).status).toBe(486);
  });

  it('is answered 600 at once when one device declines for all, and the others stop ringing', async () => {
    const [mobile, tablet, bob] = [
      await device('alice', withInstance(IMEI)),
      await device('alice', withInstance(UUID)),
      await device('bob'),
    ];
    bob.send('INVITE', 'sip:alice@ims.test');
    const ringing = await tablet.peer.request('INVITE');
    tablet.peer.answer(ringing, 180, { Contact: `<${tablet.contact}>` });
    await mobile.answer('INVITE', 600);
    const cancel = await tablet.peer.request('CANCEL');
    tablet.peer.answer(cancel, 200);
    tablet.peer.answer(ringing, 487);
    expect((await bob.peer.response(200)).status).toBe(600);
  });

  it('goes along the Path with which the device registered', async () => {
    const edge = await devices.open('edge');
    const path = `<sip:edge@127.0.0.1:${edge.peer.port};lr>`;
    const [, bob] = [await device('alice', '', { Path: path }), await device('bob')];
    bob.send('MESSAGE', 'sip:alice@ims.test');
    const request = await edge.answer('MESSAGE', 200);
    expect(request.headers.lines('Route')).toEqual([path]);
    expect((await bob.peer.response(200)).status).toBe(200);
  });
});

describe('a request to a GRUU', () => {
  it.each(['pub', 'temp'] as const)(
    '(%s) rings that device alone, and says which identity was called',
    async (kind) => {
      const [mobile, tablet, bob] = [
        await device('alice', withInstance(IMEI)),
        await device('alice', withInstance(UUID)),
        await device('bob'),
      ];
      const gruu = (await gruus(tablet, UUID))[kind];
      const { response, invite } = await ring(bob, gruu, tablet);
      expect(response.status).toBe(200);
      expect(invite.uri).toBe(tablet.contact);
      expect(invite.get('P-Called-Party-ID')).toBe(`<${gruu}>`);
      expectSilent(mobile);
    },
  );

  it('says which identity was called where that may be said, and not within the dialog', async () => {
    const [tablet, bob] = [await device('alice', withInstance(UUID)), await device('bob')];
    const { pub } = await gruus(tablet, UUID);
    const { response } = await ring(bob, pub, tablet);
    const inDialog = {
      Route: response.headers.list('Record-Route').reverse(),
      From: response.get('From'),
      To: response.get('To'),
      'Call-ID': response.callId,
    };
    bob.send('BYE', pub, inDialog);
    expect((await tablet.answer('BYE', 200)).has('P-Called-Party-ID')).toBe(false);
    bob.send('NOTIFY', pub);
    expect((await tablet.answer('NOTIFY', 200)).has('P-Called-Party-ID')).toBe(false);
    bob.send('MESSAGE', pub);
    expect((await tablet.answer('MESSAGE', 200)).get('P-Called-Party-ID')).toBe(`<${pub}>`);
  });

  it('whose device is not registered is answered 480 although another device is', async () => {
    const [, tablet, bob] = [
      await device('alice', withInstance(IMEI)),
      await device('alice', withInstance(UUID)),
      await device('bob'),
    ];
    const { pub, temp } = await gruus(tablet, UUID);
    expect((await tablet.register(`;expires=0${withInstance(UUID)}`)).status).toBe(200);
    expect((await bob.ask('MESSAGE', pub)).status).toBe(480);
    expect((await bob.ask('MESSAGE', temp)).status).toBe(404);
  });

  it.each([
    'sip:alice@ims.test;gr=urn:uuid:11111111-2222-4333-8444-555555555555',
    'sip:tgruu.AAAA@ims.test;gr',
  ])('that nobody issued (%s) is answered 404', async (uri) => {
    const [, bob] = [await device('alice'), await device('bob')];
    expect((await bob.ask('MESSAGE', uri)).status).toBe(404);
  });
});

describe('caller preferences (RFC 3841)', () => {
  it.each([
    ['Accept-Contact', `*;+sip.instance="<${IMEI}>";require;explicit`],
    ['Reject-Contact', `*;+sip.instance="<${UUID}>"`],
    ['Accept-Contact', '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";require;explicit'],
    ['Reject-Contact', '*;mobility="fixed"'],
  ])('%s: %s rings the one device that fits', async (field, value) => {
    const [mobile, tablet, bob] = [
      await device(
        'alice',
        `${withInstance(IMEI)};mobility="mobile";+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"`,
      ),
      await device('alice', `${withInstance(UUID)};mobility="fixed"`),
      await device('bob'),
    ];
    expect((await ring(bob, 'sip:alice@ims.test', mobile, { [field]: value })).response.status).toBe(200);
    expectSilent(tablet);
  });

  it('that no device meets get 480, and the trail says why', async () => {
    const [mobile, bob] = [await device('alice', withInstance(UUID)), await device('bob')];
    const callId = bob.send('INVITE', 'sip:alice@ims.test', {
      'Accept-Contact': `*;+sip.instance="<${IMEI}>";require;explicit`,
    });
    expect((await bob.peer.response(200)).status).toBe(480);
    expectSilent(mobile);
    const events = parley.app.trail.recent({ trace: callId });
    expect(events.map(({ outcome, code }) => [outcome, code])).toContainEqual([
      'refused',
      'core-no-device-matches',
    ]);
  });
});
