import { describe, expect, it } from 'vitest';
import { MsrpNegotiation, wholeMessages, type MsrpSession } from '../../../src/msrp/session/index.js';
import type { HeaderMap } from '../../../src/sip/message/headers.js';
import type { SipRequest, SipResponse } from '../../../src/sip/message/message.js';
import { anything, eventually, startEndpoint } from '../../msrp/tools/endpoints.js';
import { useCleanups } from '../../tools/cleanups.js';
import type { RunningParley } from '../../tools/parley.js';
import { Phone } from '../../tools/phone.js';
import { WebSocketPeer } from '../../tools/websocket-peer.js';
import { patientServer } from '../patient-server.js';
import { ALICE, BOB, BOB2, device, SDP, SESSION, setPolicy } from './session-world.js';

const cleanups = useCleanups();
const BROWSER = 'urn:uuid:0d9a2c7e-61a4-4c0e-8d16-5b1f6e0f3a44';
const hello = { contentType: 'text/plain', content: Buffer.from('hello') };
const text = (octets: Uint8Array): string => Buffer.from(octets).toString();

/** An MSRP client that writes down what it hears. */
interface Client {
  readonly negotiation: MsrpNegotiation;
  readonly session: MsrpSession;
  readonly heard: string[];
}

async function client(transport: 'tcp' | 'ws'): Promise<Client> {
  const { endpoint } = await startEndpoint();
  // of a page only the path says so: nobody can connect to it
  if (transport === 'ws') await endpoint.listen({ transport, secure: false, host: '127.0.0.1', port: 0 });
  const heard: string[] = [];
  const receiver = wholeMessages(1000, ({ octets }) => {
    heard.push(octets.toString());
    return 200;
  });
  const session = endpoint.createSession({ receiver }, { transport });
  const profile = { ...anything, behindNat: transport === 'ws' };
  return { negotiation: new MsrpNegotiation(session, profile), session, heard };
}

/** Bob's devices: two phones with TCP, and a browser, which registered over its WebSocket. */
async function bobsDevices(parley: RunningParley) {
  const phone = await Phone.registered('bob', parley.port, device(BOB));
  const other = await Phone.registered('bob', parley.port, device(BOB2));
  const browser = await WebSocketPeer.open(Number(new URL(parley.api).port));
  cleanups.push(() => [phone, other].forEach((one) => one.close()));
  cleanups.push(() => browser.close());
  browser.send(`
    REGISTER sip:ims.test SIP/2.0
    Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bKreg1
    Max-Forwards: 70
    From: <sip:bob@ims.test>;tag=r
    To: <sip:bob@ims.test>
    Call-ID: reg-browser
    CSeq: 1 REGISTER
    Supported: path, gruu, outbound
    Contact: <sip:bob@df7jal23ls0d.invalid;transport=ws>;reg-id=1${device(BROWSER)}
    Content-Length: 0`);
  expect((await browser.final()).status).toBe(200);
  return { phone, other, browser };
}

const PAGE = { ...SDP, Contact: '<sip:bob@df7jal23ls0d.invalid;transport=ws>' };
const contactOf = ({ contact }: Phone): HeaderMap => ({ ...SDP, Contact: `<${contact}>` });
const pathOf = ({ body }: SipRequest | SipResponse): string => /^a=path:(\S+)/m.exec(text(body))![1]!;

/** A caller and the devices of bob, all of whom ring. @param who has the media pass the server. */
async function ringing(who: 'alice' | 'bob', headers: HeaderMap = {}) {
  const parley = await patientServer(cleanups, {
    msrp: { listen: '127.0.0.1:0', alsoListen: ['ws:127.0.0.1:0'] },
  });
  await setPolicy(parley, `sip:${who}@ims.test`, { mediaPath: true });
  const alice = await Phone.registered('alice', parley.port, device(ALICE));
  cleanups.push(() => alice.close());
  const bob = await bobsDevices(parley);
  const near = await client('tcp');
  alice.send('INVITE', bob.phone.aor, { ...SESSION, ...headers }, near.negotiation.offer());
  const invites = {
    phone: await bob.phone.peer.request('INVITE'),
    other: await bob.other.peer.request('INVITE'),
    browser: await bob.browser.request('INVITE'),
  };
  expect(pathOf(invites.phone)).toMatch(/^msrp:.*;tcp$/);
  expect(pathOf(invites.other)).toBe(pathOf(invites.phone));
  expect(pathOf(invites.browser)).toMatch(/^msrp:.*;ws$/);
  return { parley, alice, ...bob, near, invites };
}

/** What the caller puts into a request inside the dialog of that answer. */
function dialogOf(answer: SipResponse): { uri: string; headers: HeaderMap } {
  const Route = answer.headers.list('Record-Route').reverse();
  return {
    uri: answer.contacts[0]!.uriText,
    headers: {
      To: answer.get('To'),
      From: answer.get('From'),
      'Call-ID': answer.callId,
      ...(Route.length > 0 ? { Route } : {}),
    },
  };
}

async function bothHear(near: Client, far: Client): Promise<void> {
  expect(await near.session.send(hello).sent).toBe(200);
  expect(await far.session.send(hello).sent).toBe(200);
  expect([near.heard.at(-1), far.heard.at(-1)]).toEqual(['hello', 'hello']);
}

describe('an invitation in the media path that rings a browser and phones together', () => {
  it.each(['alice', 'bob'] as const)(
    'offers each of them its own transport, and lets the browser answer, for the sake of %s',
    async (who) => {
      const { parley, alice, phone, other, browser, near, invites } = await ringing(who);
      // they differ in what belongs to the transport alone
      const rest = (invite: SipRequest): string =>
        text(invite.body).replaceAll(/^(?:a=path|m=message).*\r\n/gm, '');
      expect(rest(invites.browser)).toBe(rest(invites.phone));
      const page = await client('ws');
      phone.peer.answer(invites.phone, 180, {}, 'ringing');
      other.peer.answer(invites.other, 180, {}, 'ringing');
      for (let rings = 0; rings < 2; rings++) await alice.peer.response(180);
      browser.answer(invites.browser, 200, PAGE, 'tab', page.negotiation.answer(invites.browser.body));
      const ok = await alice.peer.response(200);
      near.negotiation.accept(ok.body);
      const { uri, headers } = dialogOf(ok);
      alice.send('ACK', uri, { ...headers, CSeq: `${ok.cseq.number} ACK` });
      await browser.request('ACK');
      for (const device of [phone, other])
        expect((await device.peer.request('CANCEL')).get('Reason')).toContain('Call completed elsewhere');
      await bothHear(near, page);
      const remote = page.negotiation.session.uri.text;
      expect(parley.app.msrp.figures.sessions).toBe(2);

      // a later offer of the caller is still for a browser
      alice.send('INVITE', uri, { ...headers, ...SDP }, near.negotiation.offer());
      const again = await browser.request('INVITE');
      expect(pathOf(again)).toBe(pathOf(invites.browser));
      browser.answer(again, 200, PAGE, 'tab', page.negotiation.answer(again.body));
      near.negotiation.accept((await alice.peer.response(200)).body);
      await bothHear(near, page);
      expect(page.session.uri.text).toBe(remote);
      alice.send('BYE', uri, headers);
      browser.answer(await browser.request('BYE'), 200, {}, 'tab');
      expect((await alice.peer.response(200)).cseq.method).toBe('BYE');
      await eventually(() => parley.app.msrp.figures.sessions === 0);
    },
  );

  it('goes to the browser after a phone had answered early, and the other way round', async () => {
    for (const last of ['browser', 'phone'] as const) {
      const { alice, phone, browser, near, invites } = await ringing('bob');
      const [mobile, page] = [await client('tcp'), await client('ws')];
      const answers = {
        phone: (status: number): void =>
          phone.peer.answer(
            invites.phone,
            status,
            contactOf(phone),
            'mobile',
            mobile.negotiation.answer(invites.phone.body),
          ),
        browser: (status: number): void =>
          browser.answer(invites.browser, status, PAGE, 'tab', page.negotiation.answer(invites.browser.body)),
      };
      answers[last === 'browser' ? 'phone' : 'browser'](183);
      expect((await alice.peer.response(183)).status).toBe(183);
      answers[last](200);
      const ok = await alice.peer.response(200);
      near.negotiation.accept(ok.body);
      const { uri, headers } = dialogOf(ok);
      alice.send('ACK', uri, { ...headers, CSeq: `${ok.cseq.number} ACK` });
      await bothHear(near, last === 'browser' ? page : mobile);
    }
  });

  it('takes an answer in a reliable provisional response of the browser, with its PRACK', async () => {
    const { alice, browser, near, invites } = await ringing('bob', { Supported: 'timer, gruu, 100rel' });
    const page = await client('ws');
    const reliable = { ...PAGE, Require: '100rel', RSeq: '77' };
    browser.answer(invites.browser, 183, reliable, 'tab', page.negotiation.answer(invites.browser.body));
    const early = await alice.peer.response(183);
    expect(early.get('Require')).toBe('100rel');
    near.negotiation.accept(early.body);
    const { uri, headers } = dialogOf(early);
    alice.send('PRACK', uri, { ...headers, RAck: `${early.get('RSeq')} ${early.cseq.number} INVITE` });
    const prack = await browser.request('PRACK');
    expect(prack.get('RAck')).toMatch(/^77 /);
    browser.answer(prack, 200, {}, 'tab');
    expect((await alice.peer.response(200)).cseq.method).toBe('PRACK');
    // before anybody has lifted the receiver
    await bothHear(near, page);
    browser.answer(invites.browser, 200, PAGE, 'tab');
    const ok = await alice.peer.response(200);
    expect(ok.cseq.method).toBe('INVITE');
    alice.send('ACK', uri, { ...headers, CSeq: `${ok.cseq.number} ACK` });
    await browser.request('ACK');
    await bothHear(near, page);
  });

  it('is cancelled at all of them', async () => {
    const { parley, alice, phone, other, browser, invites } = await ringing('alice');
    for (const [peer, invite] of [
      [phone.peer, invites.phone],
      [other.peer, invites.other],
    ] as const)
      peer.answer(invite, 180, {}, 'ringing');
    browser.answer(invites.browser, 180, PAGE, 'tab');
    const ring = await alice.peer.response(180);
    alice.send('CANCEL', phone.aor, {
      Via: ring.get('Via'),
      From: ring.get('From'),
      To: `<${phone.aor}>`,
      'Call-ID': ring.callId,
      CSeq: `${ring.cseq.number} CANCEL`,
      Contact: undefined,
    });
    for (const [peer, invite] of [
      [phone.peer, invites.phone],
      [other.peer, invites.other],
    ] as const) {
      peer.answer(await peer.request('CANCEL'), 200);
      peer.answer(invite, 487, {}, 'ringing');
    }
    browser.answer(await browser.request('CANCEL'), 200);
    browser.answer(invites.browser, 487, {}, 'tab');
    for (;;) {
      const final = await alice.peer.response(200);
      if (final.cseq.method === 'INVITE') {
        expect(final.status).toBe(487);
        break;
      }
    }
    await eventually(() => parley.app.msrp.figures.sessions === 0);
  });
});
