import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Devices, expectSilent, gruusOf, IMEI, UUID, withInstance } from '../core/devices.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import type { Phone } from '../tools/phone.js';

const GRUU_SUPPORT = { Supported: 'path, gruu' };
/** The digits of the IMEI as they might stand anywhere. */
const IMEI_DIGITS = /35824005-?111111/;

let parley: RunningParley;
const devices = new Devices(() => parley);
beforeAll(async () => {
  parley = await startParley({ auth: 'none' });
});
afterAll(() => parley.stop());
afterEach(() => devices.close());

/** A whole call: ringing, answer, hang-up by the device that was called, each with the device's own Instance ID. */
async function call(
  caller: Phone,
  uri: string,
  called: Phone,
  headers: Record<string, string> = {},
): Promise<void> {
  const Contact = `<${called.contact}>${withInstance(called === mobile ? IMEI : UUID)}`;
  caller.send('INVITE', uri, headers);
  const invite = await called.peer.request('INVITE');
  called.peer.answer(invite, 180, { Contact });
  expect((await caller.peer.response()).status).toBe(180);
  called.peer.answer(invite, 200, { Contact });
  expect((await caller.peer.response(200)).status).toBe(200);
}

let mobile: Phone;

describe('two devices of alice, one with an IMEI and one with a UUID', () => {
  it('are both listed with GRUUs of their own, ring alone when named, and show no IMEI to bob', async () => {
    mobile = await devices.register('alice', withInstance(IMEI));
    const tablet = await devices.open('alice');
    const listed = await tablet.register(withInstance(UUID), GRUU_SUPPORT);
    const [ofMobile, ofTablet] = [gruusOf(listed, IMEI), gruusOf(listed, UUID)];
    const all = [ofMobile.pub, ofMobile.temp, ofTablet.pub, ofTablet.temp];
    expect(new Set(all).size).toBe(4);
    expect(all.every((gruu) => /^sip:.+@ims\.test;gr/.test(gruu))).toBe(true);
    expect(all.join()).not.toMatch(IMEI_DIGITS);

    const bob = await devices.register('bob');
    for (const [gruu, called, other] of [
      [ofMobile.pub, mobile, tablet],
      [ofMobile.temp, mobile, tablet],
      [ofTablet.pub, tablet, mobile],
      [ofTablet.temp, tablet, mobile],
    ] as const) {
      await call(bob, gruu, called);
      expectSilent(other);
    }

    const before = bob.peer.datagrams.length;
    await call(bob, 'sip:alice@ims.test', mobile, {
      'Accept-Contact': `*;+sip.instance="<${IMEI}>";require;explicit`,
    });
    expectSilent(tablet);
    expect(bob.peer.datagrams.length).toBeGreaterThan(before);
    // the raw octets of everything that bob's phone received
    expect(Buffer.concat(bob.peer.datagrams).toString('latin1')).not.toMatch(IMEI_DIGITS);
    expect(Buffer.concat(tablet.peer.datagrams.slice(1)).toString('latin1')).not.toMatch(IMEI_DIGITS);
  });

  it('show no IMEI to bob either when alice is the one who calls, re-INVITEs and hangs up', async () => {
    mobile = await devices.register('alice', withInstance(IMEI));
    const bob = await devices.register('bob');
    const Contact = `<${mobile.contact}>${withInstance(IMEI)}`;
    const callId = mobile.send('INVITE', 'sip:bob@ims.test', { Contact });
    const invite = await bob.answer('INVITE', 200);
    const answer = await mobile.peer.response(200);
    const inDialog = {
      Contact,
      'Call-ID': callId,
      From: answer.get('From')!,
      To: answer.get('To')!,
      Route: answer.headers.list('Record-Route').reverse(),
    };
    const target = answer.contacts[0]!.uriText;
    for (const method of ['UPDATE', 'INVITE', 'BYE']) {
      mobile.send(method, target, inDialog);
      await bob.answer(method, 200);
      expect((await mobile.peer.response(200)).status).toBe(200);
    }
    expect(invite.callId).toBe(callId);
    expect(Buffer.concat(bob.peer.datagrams).toString('latin1')).not.toMatch(IMEI_DIGITS);
  });
});
