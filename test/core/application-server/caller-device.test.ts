import { describe, expect, it } from 'vitest';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import { SipRequest, type SipResponse } from '../../../src/sip/message/message.js';
import { offer, SESSION } from '../../cpm/participating/session-world.js';
import { useCleanups } from '../../tools/cleanups.js';
import { ForeignCore } from '../../tools/foreign-core.js';

const cleanups = useCleanups();

const ALICE = 'sip:alice@ims.test';
const BOB = 'sip:bob@ims.test';
const TABLET = 'urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e';
const PHONE = 'urn:gsma:imei:35824005-111111-0';
/** What hides the IMEI of the phone in its GRUU. */
const HIDDEN = 'urn:uuid:6ca759e8-d1b1-5dee-95f9-e36d2aca6bcf';
const STRANGER = 'urn:uuid:7a6f1c1e-3d53-4d59-9c2c-4a7f9f8f2b11';

/** A document with a tablet and a phone of Alice, or with one device of another user. */
const document = (
  aor: string,
  ...devices: readonly (readonly [contact: string, urn: string, gr: string])[]
) =>
  '<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full" ' +
  'xmlns:gr="urn:ietf:params:xml:ns:gruuinfo">' +
  `<registration aor="${aor}" id="a" state="active">` +
  devices
    .map(
      ([contact, urn, gr], index) =>
        `<contact id="c${index}" state="active" event="registered"><uri>${contact}</uri>` +
        `<unknown-param name="+sip.instance">"&lt;${urn}&gt;"</unknown-param>` +
        `<gr:pub-gruu uri="${aor};gr=${gr}"/>` +
        `<gr:temp-gruu uri="sip:tgruu.${index}@ims.test;gr" first-cseq="1"/></contact>`,
    )
    .join('') +
  '</registration></reginfo>';

const TABLET_CONTACT = 'sip:alice@192.0.2.1:5061';
const PHONE_CONTACT = 'sip:alice@192.0.2.2';
const viaOf = (sentBy: string): string => `SIP/2.0/UDP ${sentBy};branch=z9hG4bKdevice`;

/** A core whose Alice has a tablet and a phone. */
async function aliceWithTwo(): Promise<ForeignCore> {
  const scscf = await ForeignCore.start();
  cleanups.push(() => scscf.close());
  const alice = await scscf.subscribed('alice');
  expect(
    await scscf.notify(
      alice,
      document(ALICE, [TABLET_CONTACT, TABLET, TABLET], [PHONE_CONTACT, PHONE, HIDDEN]),
    ),
  ).toBe(200);
  return scscf;
}

let sent = 0;

/** An invitation of Alice on ISC. @returns the GRUU by which her device is known, or how it was refused. */
async function invite(scscf: ForeignCore, contact: string, headers: HeaderMap = {}): Promise<string> {
  const { via, ...others } = headers;
  scscf.send(
    'INVITE',
    BOB,
    {
      ...SESSION,
      Route: `${scscf.server}, ${scscf.route}`,
      'P-Served-User': `<${ALICE}>;sescase=orig;regstate=reg`,
      'P-Asserted-Identity': `<${ALICE}>`,
      Via: [
        `SIP/2.0/UDP 127.0.0.1:${scscf.port};branch=z9hG4bKcore${++sent}`,
        String(via ?? viaOf('192.0.2.9:5060')),
      ],
      Contact: contact,
      ...others,
    },
    offer(),
  );
  const first = await firstOf(scscf);
  if (!(first instanceof SipRequest)) return `${first.status}`;
  scscf.peer.answer(first, 200, { Contact: '<sip:bob@192.0.2.3>' }, 'tag-bob');
  expect((await scscf.response()).status).toBe(200);
  const answer = await fetch(`${scscf.parley.api}/api/v1/sessions`);
  const { sessions } = (await answer.json()) as {
    sessions: { callId: string; caller: { device: string } }[];
  };
  return sessions.find(({ callId }) => callId === first.callId)!.caller.device;
}

/** What comes back: the request, or its final response. */
async function firstOf({ peer }: ForeignCore): Promise<SipRequest | SipResponse> {
  for (;;) {
    const message = (await peer.next()) as SipRequest | SipResponse;
    if (message instanceof SipRequest ? message.method === 'INVITE' : message.status >= 200) return message;
  }
}

const instance = (urn: string): string => `;+sip.instance="<${urn}>"`;
const TABLET_GRUU = `${ALICE};gr=${TABLET}`;
const PHONE_GRUU = `${ALICE};gr=${HIDDEN}`;

describe('behind another core a device is known', () => {
  it('by the address that it registered, in Contact or in its Via, and by its GRUU or Instance ID', async () => {
    const scscf = await aliceWithTwo();
    const other = '<sip:alice@192.0.2.7>';
    const cases: readonly (readonly [contact: string, headers: HeaderMap, device: string])[] = [
      [`<${TABLET_CONTACT}>`, {}, TABLET_GRUU],
      [`<${PHONE_CONTACT}>`, {}, PHONE_GRUU],
      [`<${PHONE_GRUU};transport=tcp>`, {}, PHONE_GRUU],
      ['<sip:tgruu.0@ims.test;gr>', {}, TABLET_GRUU],
      [`${other}${instance(PHONE)}`, {}, PHONE_GRUU],
      // as a core shows it outside
      [`${other}${instance(HIDDEN)}`, {}, PHONE_GRUU],
      [other, { via: viaOf('192.0.2.1:5061') }, TABLET_GRUU],
      // the standard port, behind a translation of addresses
      [other, { via: `${viaOf('10.0.0.1:40000')};received=192.0.2.2;rport=5060` }, PHONE_GRUU],
    ];
    for (const [contact, headers, device] of cases)
      expect([contact, await invite(scscf, contact, headers)]).toEqual([contact, device]);
  });

  it('not at all where nothing tells: the session is shown with its Contact, and is not refused', async () => {
    const scscf = await aliceWithTwo();
    const contact = 'sip:alice@192.0.2.7';
    expect(await invite(scscf, `<${contact}>`)).toBe(contact);
    // a device that has just registered, which no document tells yet
    expect(await invite(scscf, `<${contact}>${instance(STRANGER)}`)).toBe(contact);
    // a server of the core at the address of a device, with a device that no document tells
    expect(await invite(scscf, `<${contact}>${instance(STRANGER)}`, { via: viaOf('192.0.2.1:5061') })).toBe(
      contact,
    );
  });
});

describe('behind another core 403 is the answer to a Contact', () => {
  it('with the public GRUU of another user, registered or not', async () => {
    const scscf = await aliceWithTwo();
    const bob = await scscf.subscribed('bob');
    await scscf.notify(bob, document(BOB, ['sip:bob@192.0.2.3', STRANGER, STRANGER]));
    expect(await invite(scscf, `<${BOB};gr=${STRANGER}>`)).toBe('403');
    expect(await invite(scscf, `<sip:carol@ims.test;gr=${STRANGER}>`)).toBe('403');
    const recent = scscf.parley.app.trail.recent({ limit: 50 });
    expect(JSON.stringify(recent)).toContain('core-foreign-gruu');
    // of another network nothing is known
    expect(await invite(scscf, `<sip:alice@elsewhere.test;gr=${STRANGER}>`)).toContain('elsewhere.test');
  });

  it("with the GRUU or Instance ID of another device than the one whose address it, or the request's Via, has", async () => {
    const scscf = await aliceWithTwo();
    const via = viaOf('192.0.2.1:5061');
    expect(await invite(scscf, `<${TABLET_CONTACT}>${instance(PHONE)}`)).toBe('403');
    expect(await invite(scscf, `<${TABLET_CONTACT}>${instance(STRANGER)}`)).toBe('403');
    expect(await invite(scscf, `<${PHONE_GRUU}>`, { via })).toBe('403');
    expect(await invite(scscf, `<sip:alice@192.0.2.7>${instance(PHONE)}`, { via })).toBe('403');
  });

  it('but not where somebody else sent the request: a diversion leaves the Contact of the caller', async () => {
    const scscf = await aliceWithTwo();
    const diverted = {
      'P-Served-User': `<${ALICE}>;sescase=orig-cdiv;regstate=reg`,
      'P-Asserted-Identity': '<sip:carol@ims.test>',
    };
    const carol = `sip:carol@ims.test;gr=${STRANGER}`;
    expect(await invite(scscf, `<${carol}>`, diverted)).toBe(carol);
  });
});
