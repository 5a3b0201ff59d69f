import { afterEach, describe, expect, it } from 'vitest';
import { child, element, textOf } from '../../src/imps/codec/element.js';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { referenceValue } from '../../src/identity/feature-tags.js';
import { SESSION, setPolicy } from '../cpm/participating/session-world.js';
import { codeOf, detailsOf, message, type Phone as ImpsPhone } from '../imps/tools/phone.js';
import { chat, cpmDevice, SipChat } from './sip-chat.js';
import { GatewayWorld, subscribers, until } from './world.js';

let world: GatewayWorld;
afterEach(() => world.close());

const sip = { overloadDelay: 60_000 };
const invitable = async (settings: Record<string, unknown> = {}): Promise<SipChat> => {
  world = await GatewayWorld.start({ sip, ...settings });
  return SipChat.of(await world.sip('bob', cpmDevice));
};
const gruuOf = async (user: string): Promise<string> => {
  const [phone] = await world.registrations(user);
  return String(phone!['publicGruu']);
};

describe('a CPM session with a phone', () => {
  it('is answered at its GRUU, and carries messages, reports and answers both ways until BYE', async () => {
    const bob = await invitable();
    const alice = await world.loggedIn('alice');
    const answer = await bob.invite(await gruuOf('alice'));
    expect(answer.status).toBe(200);
    expect(answer.contacts[0]!.uriText).toBe(await gruuOf('alice'));
    expect(await bob.say(chat('m-1', 'hello'))).toBe(200);
    const [{ id, primitive } = { id: '', primitive: undefined }] = await alice.poll();
    expect(textOf(primitive, 'ContentData')).toBe('hello');
    const info = child(primitive, 'MessageInfo');
    expect(textOf(child(child(info, 'Sender'), 'User'), 'UserID')).toBe('wv:bob@ims.test');
    await alice.respond(id, element('MessageDelivered', element('MessageID', textOf(info, 'MessageID'))));
    expect(await until(() => bob.heard[0])).toMatch(/<message-id>m-1<\/message-id>[^]*<delivered\/>/);
    const sent = await alice.request(message('back', ['wv:bob@ims.test'], element('DeliveryReport', true)));
    expect(codeOf(sent)).toBe(200);
    const back = bob.heard[1]!;
    expect(back).toMatch(/\r\n\r\nback$/);
    const asked = /imdn\.Message-ID: (\S+)/.exec(back)![1]!;
    const imdn = `<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>${asked}</message-id><datetime>2026-01-01T00:00:00Z</datetime><delivery-notification><status><delivered/></status></delivery-notification></imdn>`;
    expect(await bob.say(chat('n-1', imdn, { asks: '', type: 'message/imdn+xml' }))).toBe(200);
    const [report] = await alice.drain();
    expect([report!.name, codeOf(report!)]).toEqual(['DeliveryReport-Request', 200]);
    expect((await bob.bye()).status).toBe(200);
    const pager = alice.request(message('after', ['wv:bob@ims.test']));
    expect(Buffer.from((await bob.phone.answer('MESSAGE', 200)).body).toString()).toMatch(/after$/);
    expect(codeOf(await pager)).toBe(200);
  });
});

describe('the setting of a user for sessions of phones', () => {
  it('refuse: the phone does not register the service, an invitation is refused and the pager serves', async () => {
    const bob = await invitable();
    await setPolicy(world.parley, 'sip:alice@ims.test', { phoneSessions: 'refuse' });
    const alice = await world.loggedIn('alice');
    const [phone] = await world.registrations('alice');
    expect(JSON.stringify(phone)).not.toContain('oma.cpm.session');
    expect((await bob.invite(await gruuOf('alice'))).status).toBe(480);
    // one that was registered before the setting changed
    await setPolicy(world.parley, 'sip:alice@ims.test', { phoneSessions: 'accept' });
    await alice.request(element('Logout-Request'));
    await expect.poll(() => world.registrations('alice')).toEqual([]);
    const again = await world.loggedIn('alice');
    await setPolicy(world.parley, 'sip:alice@ims.test', { phoneSessions: 'refuse' });
    expect((await bob.invite(await gruuOf('alice'))).status).toBe(488);
    const headers = { 'Content-Type': 'message/cpim' };
    expect(
      (await bob.phone.ask('MESSAGE', 'sip:alice@ims.test', headers, chat('m-1', 'pager', { asks: '' })))
        .status,
    ).toBe(200);
    expect(await again.messages()).toEqual(['pager']);
  });

  it('alone: an invitation to the user goes to the device that people look at, one to the GRUU to the phone', async () => {
    const bob = await invitable();
    const desk = await SipChat.of(
      await world.sip('alice', cpmDevice.replace('35824005-111111-0', '35824005-222222-0')),
    );
    await world.loggedIn('alice');
    const [, answer] = await Promise.all([desk.answer(), bob.invite('sip:alice@ims.test')]);
    expect(answer.status).toBe(200);
    expect(await bob.say(chat('m-1', 'to the desk'))).toBe(200);
    expect(desk.heard).toHaveLength(1);
    const phone = (await world.registrations('alice')).find(({ contact }) =>
      String(contact).includes('@imps-gateway.'),
    );
    const other = await SipChat.of(bob.phone);
    expect((await other.invite(String(phone!['publicGruu']))).status).toBe(200);
  });
});

describe('a session of a phone ends', () => {
  it('when the phone logs out', async () => {
    const bob = await invitable();
    const alice = await world.loggedIn('alice');
    expect((await bob.invite('sip:alice@ims.test')).status).toBe(200);
    await alice.request(element('Logout-Request'));
    expect((await bob.phone.answer('BYE', 200)).get('Reason')).toContain('The phone has gone');
  });

  it('when nothing is said for long', async () => {
    const bob = await invitable({ gateway: { sessions: { idle: 0.2 } } });
    await world.loggedIn('alice');
    expect((await bob.invite('sip:alice@ims.test')).status).toBe(200);
    expect((await bob.phone.answer('BYE', 200)).get('Reason')).toContain('Nothing was said');
  });

  it('when the server stops', async () => {
    const bob = await invitable();
    await world.loggedIn('alice');
    expect((await bob.invite('sip:alice@ims.test')).status).toBe(200);
    const [bye] = await Promise.all([bob.phone.answer('BYE', 200), world.parley.stop()]);
    expect(bye.get('Reason')).toContain('The server stops');
  });
});

it('refuses in a session what the phone cannot take, and takes what follows', async () => {
  const bob = await invitable({ gateway: { messageBytes: 2_000 } });
  const alice = await world.imps('alice').start(element('AnyContent', false));
  await world.settled();
  expect((await bob.invite('sip:alice@ims.test')).status).toBe(200);
  expect(await bob.say(chat('m-1', 'x', { type: 'image/png' }))).toBe(415);
  expect(await bob.say(chat('m-2', 'x'.repeat(3_000)))).toBe(413);
  expect(await bob.say('no CPIM', 'message/cpim')).toBe(400);
  expect(await bob.say(chat('m-3', 'fits', { asks: '' }))).toBe(200);
  expect(await alice.messages()).toEqual(['fits']);
});

describe('a large message', () => {
  const long = 'lang und breit '.repeat(2_000);

  it('of a phone goes to a CPM user over MSRP, with its report', async () => {
    const bob = await invitable();
    const alice = await world.loggedIn('alice');
    const sent = alice.request(message(long, ['wv:bob@ims.test'], element('DeliveryReport', true)));
    const invite = await bob.answer();
    expect(invite.contacts[0]!.uriText).toBe(await gruuOf('alice'));
    expect(Buffer.from(invite.body).toString()).toMatch(/a=file-selector:size:\d+\r\n/);
    expect(codeOf(await sent)).toBe(200);
    expect(bob.heard[0]).toContain(long);
    expect((await bob.phone.answer('BYE', 200)).callId).toBe(invite.callId);
    const id = /imdn\.Message-ID: (\S+)/.exec(bob.heard[0]!)![1]!;
    expect(invite.get('Contribution-ID')).toBe(id);
  });

  it('of a phone to a SIP user who is away waits in CPM, and comes at the next registration', async () => {
    const dave = { privateId: 'dave@ims.test', password: 'x', identities: ['sip:dave@ims.test'] };
    world = await GatewayWorld.start({ sip, subscribers: [...subscribers, dave] });
    const alice = await world.loggedIn('alice');
    expect(codeOf(await alice.request(message(long, ['wv:dave@ims.test'])))).toBe(200);
    const device = await SipChat.of(await world.sip('dave', cpmDevice));
    await device.answer();
    await until(() => device.heard[0]);
    expect(device.heard[0]).toContain(long);
    expect(await alice.messages()).toEqual([]);
  });

  it.each(['device', 'phone'] as const)(
    'of a phone to a user who is away comes once, to the %s that is there first',
    async (first) => {
      world = await GatewayWorld.start({ sip });
      const alice = await world.loggedIn('alice');
      expect(codeOf(await alice.request(message(long, ['wv:bob@ims.test'])))).toBe(200);
      const device = async (): Promise<SipChat> => SipChat.of(await world.sip('bob', cpmDevice));
      const got = async (phone: ImpsPhone): Promise<string> => until(async () => (await phone.messages())[0]);
      if (first === 'device') {
        const bob = await device();
        await bob.answer();
        expect(await until(() => bob.heard[0])).toContain(long);
        await bob.phone.answer('BYE', 200);
        const phone = await world.loggedIn('bob');
        await bob.phone.ask('MESSAGE', 'sip:bob@ims.test', {}, 'after it');
        expect(await got(phone)).toBe('after it');
      } else {
        const phone = await world.loggedIn('bob');
        expect(await got(phone)).toBe(long);
        const bob = await device();
        await bob.phone.ask('MESSAGE', 'sip:bob@ims.test', {}, 'after it');
        expect(await got(phone)).toBe('after it');
        expect(bob.heard).toEqual([]);
      }
    },
  );

  it('of a phone that nobody takes is refused, and the phone is told', async () => {
    const bob = await invitable();
    const alice = await world.loggedIn('alice');
    const sent = alice.request(message(long, ['wv:bob@ims.test']));
    await bob.phone.answer('INVITE', 486);
    expect(detailsOf(await sent)).toEqual(['538 wv:bob@ims.test']);
  });

  it('to a phone is announced beyond its limit and fetched, and the report goes back', async () => {
    const bob = await invitable();
    const alice = await world.imps('alice').start(element('AcceptedPushLength', 1_000));
    await world.settled();
    const large = { ...SESSION, 'P-Preferred-Service': cpmServices.largeMessage };
    const accept = `*;+g.3gpp.icsi-ref="${referenceValue([cpmServices.largeMessage])}"`;
    expect((await bob.invite('sip:alice@ims.test', { ...large, 'Accept-Contact': accept })).status).toBe(200);
    expect(await bob.say(chat('m-1', long))).toBe(200);
    const [{ id, primitive } = { id: '', primitive: undefined }] = await alice.poll();
    expect(primitive?.name).toBe('MessageNotification');
    const messageId = element('MessageID', textOf(child(primitive, 'MessageInfo'), 'MessageID'));
    await alice.respond(id, element('Status', element('Result', element('Code', 200))));
    const got = await alice.request(element('GetMessage-Request', messageId));
    expect(textOf(got, 'ContentData')).toBe(long);
    await alice.request(element('MessageDelivered', messageId));
    const notification = await bob.phone.answer('MESSAGE', 200);
    expect(Buffer.from(notification.body).toString()).toMatch(
      /<message-id>m-1<\/message-id>[^]*<delivered\/>/,
    );
    expect((await bob.bye()).status).toBe(200);
  });
});
