import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { buildMultipart, type NewPart } from '../../src/sip/message/multipart.js';
import { reginfoLimits } from '../../src/reg-event/reginfo-reader.js';
import { useCleanups } from '../tools/cleanups.js';
import { ForeignCore, reginfoFixture, reginfoOf } from '../tools/foreign-core.js';

const cleanups = useCleanups();

async function core(settings: Record<string, unknown> = {}): Promise<ForeignCore> {
  const started = await ForeignCore.start(settings);
  cleanups.push(() => started.close());
  return started;
}

const one = 'sip:alice@127.0.0.1:1';
const two = 'sip:alice@127.0.0.1:2';
const PHONE = 'urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e';

/** A message as the bodies of a third-party REGISTER have it. */
const bodyOf = (startLine: string, ...contacts: string[]): string =>
  [
    startLine,
    'Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1',
    'Max-Forwards: 70',
    'From: <sip:alice@ims.test>;tag=1',
    'To: <sip:alice@ims.test>',
    'Call-ID: phone',
    'CSeq: 7 REGISTER',
    ...contacts.map((contact) => `Contact: ${contact}`),
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
const asPart = (body: string): NewPart => ({ headers: { 'Content-Type': 'message/sip' }, body });

describe('a third-party REGISTER', () => {
  it('of a user that is new makes one SUBSCRIBE for its registration events', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    expect(subscribe.uri).toBe('sip:alice@ims.test');
    expect(subscribe.get('Event')).toBe('reg');
    expect(subscribe.get('Accept')).toBe('application/reginfo+xml');
    expect(subscribe.addresses('P-Asserted-Identity')[0]!.uriText).toBe('sip:parley@ims.test');
    expect(await scscf.notify(subscribe, reginfoOf(0, 'full', 1))).toBe(200);
    expect(await scscf.register('alice', 600)).toBe(200);
    expect(await scscf.notify(subscribe, reginfoOf(1, 'full', 1, 2))).toBe(200);
    expect(scscf.unread).toEqual([]);
    expect(await scscf.contacts()).toEqual([one, two]);
  });

  it('of another identity of the same set makes no further subscription', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoFixture('opensips'));
    expect(await scscf.register('x', 600, { To: '<tel:+15550100001>' })).toBe(200);
    await scscf.notify(subscribe, reginfoFixture('opensips').replace('00000000017', '00000000018'));
    expect(scscf.unread).toEqual([]);
    expect(await scscf.contacts()).toHaveLength(1);
  });

  it('with Expires 0 ends the subscription, whose last NOTIFY says why', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoOf(0, 'full', 1));
    const events: string[] = [];
    scscf.parley.app.devices.onChange(({ event, device }) => events.push(`${event} ${device.contact}`));
    expect(await scscf.register('alice', 0)).toBe(200);
    const end = await scscf.answer('SUBSCRIBE');
    expect([end.get('Expires'), end.callId]).toEqual(['0', subscribe.callId]);
    await scscf.notify(subscribe, reginfoOf(1, 'full', -1), 'terminated;reason=timeout');
    expect(events).toEqual([`expired ${one}`]);
    expect(await scscf.contacts()).toEqual([]);
  });

  it('that is not repeated in time ends the subscription too', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed('alice', 1);
    await scscf.notify(subscribe, reginfoOf(0, 'full', 1));
    expect((await scscf.answer('SUBSCRIBE')).get('Expires')).toBe('0');
  });

  it('with the REGISTER and its 200 gives Instance IDs and GRUUs to devices whose documents have none', async () => {
    const scscf = await core();
    const phone = bodyOf(
      'REGISTER sip:ims.test SIP/2.0',
      `<${one}>;+sip.instance="<${PHONE}>";+g.oma.sip-im`,
    );
    const answer = bodyOf(
      'SIP/2.0 200 OK',
      `<${one}>;expires=600;+sip.instance="<${PHONE}>";pub-gruu="sip:alice@ims.test;gr=${PHONE}"`,
    );
    const { contentType, body } = buildMultipart([phone, answer].map(asPart));
    const known = { contact: one, instance: PHONE, publicGruu: `sip:alice@ims.test;gr=${PHONE}` };
    const events: string[] = [];
    scscf.parley.app.devices.onChange(({ event, device }) => events.push(`${event} ${device.contact}`));
    expect(await scscf.register('alice', 600, { 'Content-Type': contentType }, body.toString())).toBe(200);
    // there before any document, which may never come
    const subscribe = await scscf.answer('SUBSCRIBE', 200, { Expires: '600' });
    expect(await scscf.devices()).toMatchObject([known]);
    await scscf.notify(subscribe, reginfoOf(0, 'full', 1, 2));
    expect(await scscf.devices()).toMatchObject([
      { ...known, capabilities: { '+g.oma.sip-im': true } },
      { contact: two },
    ]);
    expect(events.filter((text) => !text.startsWith('refreshed'))).toEqual([
      `registered ${one}`,
      `registered ${two}`,
    ]);
  });

  it('whose bodies come behind the document completes the devices that are known', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoOf(0, 'full', 1));
    const phone = bodyOf('REGISTER sip:ims.test SIP/2.0', `<${one}>;+sip.instance="<${PHONE}>"`);
    await scscf.register('alice', 600, { 'Content-Type': 'message/sip' }, phone);
    expect(await scscf.devices()).toMatchObject([{ contact: one, instance: PHONE }]);
  });

  it('is enough where the core has no registration events: its bodies say who comes and goes', async () => {
    const scscf = await core();
    const told = async (...contacts: string[]): Promise<void> => {
      const body = bodyOf('SIP/2.0 200 OK', ...contacts);
      expect(await scscf.register('alice', 600, { 'Content-Type': 'message/sip' }, body)).toBe(200);
      await scscf.answer('SUBSCRIBE', 489);
    };
    await told(`<${one}>;expires=600`, `<${two}>;expires=600`);
    expect(await scscf.contacts()).toEqual([one, two]);
    await told(`<${two}>;expires=600`);
    expect(await scscf.contacts()).toEqual([two]);
    const leaving = bodyOf('REGISTER sip:ims.test SIP/2.0', `<${two}>;expires=0`);
    await scscf.register('alice', 600, { 'Content-Type': 'message/sip' }, leaving);
    expect(await scscf.contacts()).toEqual([]);
  });

  it('of anybody but the core is refused', async () => {
    const scscf = await core({ foreignCore: { uri: 'sip:127.0.0.2:5060' } });
    expect(await scscf.register('alice', 600)).toBe(403);
  });
});

describe('the devices of another core', () => {
  it.each([
    ['kamailio', { contact: 'sip:alice@127.0.0.1:5062;transport=udp', q: 0.5 }],
    [
      'opensips',
      {
        capabilities: {
          '+g.3gpp.icsi-ref': 'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session',
          audio: true,
        },
      },
    ],
    [
      'flexisip',
      {
        deviceName: "Alice's tablet",
        instance: 'urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e',
        publicGruu: 'sip:alice@ims.test;gr=urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e',
      },
    ],
    [
      'sprout',
      {
        instance: 'urn:uuid:00000000-0000-0000-0000-b665231f1213',
        publicGruu: 'sip:alice@ims.test;gr=urn:uuid:00000000-0000-0000-0000-b665231f1213',
        regId: 1,
      },
    ],
  ])('are read as %s tells them', async (style, expected) => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    expect(await scscf.notify(subscribe, reginfoFixture(style))).toBe(200);
    const response = await fetch(`${scscf.parley.api}/api/v1/registrations/sip:alice@ims.test`);
    const { aor, bindings } = (await response.json()) as { aor: string; bindings: object[] };
    expect(aor).toBe('sip:alice@ims.test');
    expect(bindings).toHaveLength(1);
    expect(bindings[0]).toMatchObject(expected);
  });

  it('are those of all identities that a wildcarded one of the set stands for, when it can be read at little cost', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    const withWildcard = (version: number, expression: string): string =>
      reginfoOf(version, 'full', 1).replace(
        '</reginfo>',
        '<registration aor="sip:ext1@ims.test" id="w" state="active">' +
          `<contact id="w1" state="active" event="created"><uri>${one}</uri></contact>` +
          `<ere:wildcardedIdentity xmlns:ere="urn:3gpp:ns:extRegExp:1.0">sip:ext!${expression}!@ims.test</ere:wildcardedIdentity>` +
          '</registration></reginfo>',
      );
    const { devices } = scscf.parley.app;
    await scscf.notify(subscribe, withWildcard(0, '.*'));
    expect(await devices.of('sip:ext17@ims.test')).toMatchObject([
      { contact: one, aor: 'sip:alice@ims.test' },
    ]);
    expect(await devices.of('sip:other@ims.test')).toEqual([]);
    for (const [version, expression] of ['(', '(.)\\1', '[z-a]', '(?:.?){1000}'].entries()) {
      expect(await scscf.notify(subscribe, withWildcard(version + 1, expression))).toBe(200);
      expect(await devices.of('sip:ext17@ims.test')).toEqual([]);
    }
  });

  it('follow partial documents', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoOf(0, 'full', 1));
    await scscf.notify(subscribe, reginfoOf(1, 'partial', 2));
    expect(await scscf.contacts()).toEqual([one, two]);
    await scscf.notify(subscribe, reginfoOf(2, 'partial', -1));
    expect(await scscf.contacts()).toEqual([two]);
  });

  it('are asked for again when a document was lost', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoOf(0, 'full', 1));
    expect(await scscf.notify(subscribe, reginfoOf(5, 'partial', 2))).toBe(200);
    expect((await scscf.answer('SUBSCRIBE')).callId).toBe(subscribe.callId);
    expect(await scscf.contacts()).toEqual([one]);
    await scscf.notify(subscribe, reginfoOf(6, 'full', 1, 2));
    expect(await scscf.contacts()).toEqual([one, two]);
  });

  it('are those of a full document, however far its version has jumped', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoOf(0, 'full', 1));
    await scscf.notify(subscribe, reginfoOf(4_000_000_000, 'full', 1, 2));
    expect(await scscf.contacts()).toEqual([one, two]);
    await scscf.notify(subscribe, reginfoOf(4_000_000_001, 'partial', -1));
    expect(await scscf.contacts()).toEqual([two]);
    expect(scscf.unread).toEqual([]);
  });

  it('with one identifier twice, or with none, are told apart by their contacts', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoFixture('identifiers'));
    expect((await scscf.contacts()).toSorted()).toEqual([one, two, 'sip:alice@127.0.0.1:3']);
  });

  it('with identifiers that each registration counts anew are told apart too, also when one goes', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    const registration = (aor: string, port: number, state = 'active'): string =>
      `<registration aor="${aor}" id="${aor}" state="active"><contact id="1" state="${state}" event="registered">` +
      `<uri>sip:alice@127.0.0.1:${port}</uri></contact></registration>`;
    const reginfo = (version: number, state: string, ...registrations: string[]): string =>
      `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="${version}" state="${state}">${registrations.join('')}</reginfo>`;
    const [alice, tel] = ['sip:alice@ims.test', 'tel:+15550100001'];
    await scscf.notify(subscribe, reginfo(0, 'full', registration(alice, 1), registration(tel, 2)));
    expect(await scscf.contacts()).toEqual([one, two]);
    // the same contact of its registration by another address
    await scscf.notify(subscribe, reginfo(1, 'partial', registration(tel, 3)));
    expect(await scscf.contacts()).toEqual([one, 'sip:alice@127.0.0.1:3']);
    await scscf.notify(subscribe, reginfo(2, 'partial', registration(alice, 1, 'terminated')));
    expect(await scscf.contacts()).toEqual(['sip:alice@127.0.0.1:3']);
    // what one identity has lost another may have
    await scscf.notify(
      subscribe,
      reginfo(3, 'full', registration(tel, 1, 'terminated'), registration(alice, 1)),
    );
    expect(await scscf.contacts()).toEqual([one]);
  });

  it('are not taken from a document that is older than the last', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoOf(7, 'full', 1, 2));
    expect(await scscf.notify(subscribe, reginfoOf(6, 'full', 1))).toBe(200);
    expect(await scscf.contacts()).toEqual([one, two]);
  });

  it('stay as they are when a document cannot be read', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoOf(0, 'full', 1));
    expect(await scscf.notify(subscribe, reginfoFixture('malformed'))).toBe(400);
    expect(await scscf.notify(subscribe, reginfoFixture('entities'))).toBe(400);
    const recursive = reginfoOf(1, 'full', 3).replace(
      '<uri>',
      `${'<a>'.repeat(99)}${'</a>'.repeat(99)}<uri>`,
    );
    expect(await scscf.notify(subscribe, recursive)).toBe(400);
    const ports = Array.from({ length: reginfoLimits.contacts + 1 }, (_, i) => i + 1);
    const contact = (port: number): string => `<contact><uri>sip:a@b:${port}</uri></contact>`;
    const huge = reginfoOf(1, 'full').replace('</registration>', `${ports.map(contact).join('')}$&`);
    expect(await scscf.notify(subscribe, huge)).toBe(413);
    expect(await scscf.notify(subscribe, reginfoOf(1, 'full', 1, 2))).toBe(200);
    expect(await scscf.contacts()).toEqual([one, two]);
  });

  it('cannot be de-registered here', async () => {
    const scscf = await core();
    const url = `${scscf.parley.api}/api/v1/registrations/sip:alice@ims.test`;
    const response = await fetch(url, { method: 'DELETE' });
    expect([response.status, await response.json()]).toMatchObject([
      409,
      { error: 'registration-elsewhere' },
    ]);
  });
});

describe('a subscription', () => {
  it('that the core forgot in a restart is made anew', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoOf(3, 'full', 1));
    await scscf.notify(subscribe, reginfoOf(9, 'partial', 2));
    await scscf.answer('SUBSCRIBE', 481);
    const again = await scscf.answer('SUBSCRIBE', 200, { Expires: '600' });
    expect(again.callId).not.toBe(subscribe.callId);
    expect(await scscf.contacts()).toEqual([one]);
    await scscf.notify(again, reginfoOf(0, 'full', 2));
    expect(await scscf.contacts()).toEqual([two]);
  });

  it('that the core deactivates while devices are there is made anew', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    await scscf.notify(subscribe, reginfoOf(0, 'full', 1));
    await scscf.notify(subscribe, '', 'terminated;reason=deactivated');
    expect((await scscf.answer('SUBSCRIBE')).callId).not.toBe(subscribe.callId);
  });

  it('that is refused is tried again with the next REGISTER', async () => {
    const scscf = await core();
    await scscf.register('alice', 600);
    await scscf.answer('SUBSCRIBE', 403);
    await vi.waitUntil(async () =>
      (await (await fetch(`${scscf.parley.api}/api/v1/trail`)).text()).includes('reg-event.subscribe-failed'),
    );
    await scscf.subscribed();
  });

  it('is made anew after our restart, with what was known meanwhile', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-test-'));
    cleanups.push(() => rm(folder, { recursive: true, force: true }));
    const store = `lmdb:${join(folder, 'data')}`;
    const first = await ForeignCore.start({ store });
    const subscribe = await first.subscribed();
    await first.notify(subscribe, reginfoOf(4, 'full', 1));
    await first.close();
    const scscf = await core({ store });
    const again = await scscf.answer('SUBSCRIBE', 200, { Expires: '600' });
    expect(again.uri).toBe('sip:alice@ims.test');
    expect(await scscf.contacts()).toEqual([one]);
    await scscf.notify(again, reginfoOf(0, 'full', 2));
    expect(await scscf.contacts()).toEqual([two]);
  });

  it('that does not exist gets 481 for its NOTIFY', async () => {
    const scscf = await core();
    const subscribe = await scscf.subscribed();
    subscribe.headers.set('Call-ID', 'somebody-elses');
    expect(await scscf.notify(subscribe, reginfoOf(0, 'full', 1))).toBe(481);
  });
});
