import { v5 } from 'uuid';
import { afterEach, describe, expect, it } from 'vitest';
import { CLIENT_NAME_SPACE } from '../../src/gateway/identity/instance-name.js';
import { child, element, textOf } from '../../src/imps/codec/element.js';
import type { SipRequest } from '../../src/sip/message/message.js';
import type { UserId } from '../../src/imps/index.js';
import { codeOf, detailsOf, message, type Phone as ImpsPhone } from '../imps/tools/phone.js';
import { cpmDevice, SipChat } from './sip-chat.js';
import { GatewayWorld, until } from './world.js';

let world: GatewayWorld;
afterEach(() => world.close());

const icsi = ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"';
const cpim = (text: string, asks = 'positive-delivery, negative-delivery', type = 'text/plain'): string =>
  [
    'From: <sip:bob@ims.test>',
    'To: <sip:alice@ims.test>',
    'DateTime: 2026-01-01T00:00:00Z',
    'NS: imdn <urn:ietf:params:imdn>',
    'imdn.Message-ID: m-1',
    ...(asks === '' ? [] : [`imdn.Disposition-Notification: ${asks}`]),
    '',
    `Content-Type: ${type}`,
    '',
    text,
  ].join('\r\n');
const headers = { 'Content-Type': 'message/cpim', 'Contribution-ID': 'c-1', 'Conversation-ID': 'k-1' };

const imdn = (messageId: string, status: string): string =>
  cpim(
    `<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>${messageId}</message-id>` +
      `<datetime>2026-01-01T00:00:00Z</datetime><delivery-notification><status><${status}/></status></delivery-notification></imdn>`,
    '',
    'message/imdn+xml',
  );

describe('a message of an IMPS phone to a CPM user', () => {
  it('is a pager mode message from its user, and the notification is the delivery report', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    const alice = await world.loggedIn('alice');
    const sent = alice.request(message('Grüße', ['wv:bob@ims.test'], element('DeliveryReport', true)));
    const request = await bob.answer('MESSAGE', 200);
    expect(codeOf(await sent)).toBe(200);
    expect(request.get('P-Asserted-Identity')).toContain('<sip:alice@ims.test>');
    const body = Buffer.from(request.body).toString();
    expect(body).toContain('imdn.Disposition-Notification: positive-delivery, negative-delivery');
    expect(body).toMatch(/Content-Type: text\/plain;charset=UTF-8\r\n.*\r\n\r\nGrüße$/s);
    const id = /imdn\.Message-ID: (\S+)/.exec(body)![1]!;
    expect(request.get('Contribution-ID')).toBe(id);
    bob.send('MESSAGE', 'sip:alice@ims.test', headers, imdn(id, 'delivered'));
    expect((await bob.peer.response(200)).status).toBe(200);
    const [report] = await alice.drain();
    expect(report!.name).toBe('DeliveryReport-Request');
    expect(codeOf(report!)).toBe(200);
    expect(textOf(child(child(child(report, 'MessageInfo'), 'Recipient'), 'User'), 'UserID')).toBe(
      'wv:bob@ims.test',
    );
  });

  it('has its delivery report also when a list server put it together with another', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    const alice = await world.loggedIn('alice');
    const ids: string[] = [];
    for (const text of ['one', 'two']) {
      const sent = alice.request(message(text, ['wv:bob@ims.test'], element('DeliveryReport', true)));
      ids.push((await bob.answer('MESSAGE', 200)).get('Contribution-ID')!);
      expect(codeOf(await sent)).toBe(200);
    }
    const parts = ids.map(
      (id) =>
        `--b-1\r\nContent-Type: message/imdn+xml\r\n\r\n${imdn(id, 'delivered').split('\r\n\r\n')[2]!}\r\n`,
    );
    const type = 'multipart/mixed;boundary="b-1"\r\nContent-Disposition: notification';
    const told = cpim(`${parts.join('')}--b-1--\r\n`, '', type);
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', headers, told)).status).toBe(200);
    const reports = await alice.drain();
    expect(reports.map((report) => [report.name, codeOf(report)])).toEqual([
      ['DeliveryReport-Request', 200],
      ['DeliveryReport-Request', 200],
    ]);
  });

  it.each(['MESSAGE', 'a session'])(
    'has no delivery report of somebody who did not get it: by %s',
    async (way) => {
      world = await GatewayWorld.start();
      const bob = await world.sip('bob', icsi);
      const alice = await world.loggedIn('alice');
      const sent = alice.request(message('x', ['wv:bob@ims.test'], element('DeliveryReport', true)));
      const request = await bob.answer('MESSAGE', 200);
      expect(codeOf(await sent)).toBe(200);
      const told = imdn(request.get('Contribution-ID')!, 'delivered');
      const carol = await world.sip('carol', cpmDevice);
      if (way === 'MESSAGE')
        expect((await carol.ask('MESSAGE', 'sip:alice@ims.test', headers, told)).status).toBe(403);
      else {
        const session = await SipChat.of(carol);
        expect((await session.invite('sip:alice@ims.test')).status).toBe(200);
        expect(await session.say(told)).toBe(403);
      }
      expect(await alice.drain()).toEqual([]);
      const traffic = await (await fetch(`${world.parley.api}/api/v1/gateway`)).text();
      expect(traffic).toContain('gateway-report-forged');
      // of the user by another identity it counts
      const tel = { ...headers, 'P-Preferred-Identity': '<tel:+15550100002>' };
      expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', tel, told)).status).toBe(200);
      expect((await alice.drain()).map(({ name }) => name)).toEqual(['DeliveryReport-Request']);
    },
  );

  it('to a telephone number of nobody here goes to the interworking function for such numbers', async () => {
    world = await GatewayWorld.start({ auth: 'digest' });
    const got: string[] = [];
    const target = {
      knows: async (address: string) => address === 'tel:+15550199999',
      message: async ({ sender, body }: { readonly sender: string; readonly body: Uint8Array }) => {
        got.push(`${sender} ${Buffer.from(body).toString().split('\r\n\r\n').at(-1)}`);
        return 200;
      },
      invitation: async () => undefined,
    };
    const entry = {
      name: 'sms',
      service: 'sms',
      addresses: ['tel:'],
      capabilities: new Set(['message' as const]),
    };
    world.parley.app.interworking.registry.add({ ...entry, target });
    const alice = await world.loggedIn('alice');
    expect(codeOf(await alice.request(message('hello', ['wv:+15550199999@ims.test'])))).toBe(200);
    expect(got).toEqual(['sip:alice@ims.test hello']);
    const nobody = await alice.request(message('hello', ['wv:+15550188888@ims.test']));
    expect(detailsOf(nobody)).toEqual(['531 wv:+15550188888@ims.test']);
  });

  it('to nobody is refused with 531', async () => {
    world = await GatewayWorld.start({ auth: 'digest' });
    const alice = await world.loggedIn('alice');
    const answer = await alice.request(message('x', ['wv:nobody@ims.test']));
    expect(detailsOf(answer)).toEqual(['531 wv:nobody@ims.test']);
  });

  it.each([
    ['by its delivery report', true],
    ['by a message in the same conversation', false],
  ])('whose device takes its time is accepted at once, and a failure told %s', async (_how, report) => {
    world = await GatewayWorld.start({ gateway: { patience: 0.05 } });
    const bob = await world.sip('bob', icsi);
    const alice = await world.loggedIn('alice');
    const asks = report ? [element('DeliveryReport', true)] : [];
    expect(codeOf(await alice.request(message('hello', ['wv:bob@ims.test'], ...asks)))).toBe(200);
    await bob.answer('MESSAGE', 603);
    const told = await until(async () => (await alice.poll())[0]);
    const { name } = told.primitive!;
    const text = textOf(told.primitive, 'ContentData');
    const info = child(told.primitive, 'MessageInfo');
    if (report) expect([name, codeOf(told.primitive!)]).toEqual(['DeliveryReport-Request', 538]);
    else expect(text).toMatch(/^\[Not delivered: Message rejected \(538\)\. Sent /);
    const about = report ? 'Recipient' : 'Sender';
    expect(textOf(child(child(info, about), 'User'), 'UserID')).toBe('wv:bob@ims.test');
  });

  it('who is away is stored, and delivered at registration', async () => {
    world = await GatewayWorld.start();
    const alice = await world.loggedIn('alice');
    expect(codeOf(await alice.request(message('later', ['wv:bob@ims.test'])))).toBe(200);
    const bob = await world.sip('bob', icsi);
    const request = await bob.answer('MESSAGE', 200);
    expect(Buffer.from(request.body).toString()).toContain('later');
  });
});

describe('the identifiers of messages', () => {
  it('are made from Message-ID and recipient, and of one conversation in both directions', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    const alice = await world.loggedIn('alice');
    const say = async (text: string, to: string): Promise<{ request: SipRequest; id: string }> => {
      const sent = alice.request(message(text, [to]));
      const request = await bob.answer('MESSAGE', 200);
      return { request, id: textOf(await sent, 'MessageID')! };
    };
    const first = await say('one', 'wv:bob@ims.test');
    const again = await say('two', 'wv:+15550100002@ims.test');
    expect(first.request.get('Contribution-ID')).toBe(
      v5(`contribution\n${first.id}\nwv:bob@ims.test`, CLIENT_NAME_SPACE),
    );
    expect(again.request.get('Contribution-ID')).not.toBe(first.request.get('Contribution-ID'));
    const computed = v5('conversation\nsip:alice@ims.test\nsip:bob@ims.test', CLIENT_NAME_SPACE);
    expect([first, again].map(({ request }) => request.get('Conversation-ID'))).toEqual([computed, computed]);
    // the conversation that the SIP side names is the one from then on
    const named = { ...headers, 'Conversation-ID': 'k-7' };
    expect((await bob.ask('MESSAGE', 'tel:+15550100001', named, cpim('three'))).status).toBe(200);
    expect((await say('four', 'wv:bob@ims.test')).request.get('Conversation-ID')).toBe('k-7');
    const { id } = await until(async () => (await alice.poll())[0]);
    await alice.respond(id, element('MessageDelivered', element('MessageID', id)));
    expect((await bob.answer('MESSAGE', 200)).get('Conversation-ID')).toBe('k-7');
  });
});

describe('an IMPS user who is removed', () => {
  it('leaves neither conversations nor reports to who gets the address next', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    const first = await world.loggedIn('alice');
    const hello = await bob.ask('MESSAGE', 'sip:alice@ims.test', headers, cpim('hello', ''));
    expect(hello.status).toBe(200);
    const answer = async (phone: ImpsPhone): Promise<SipRequest> => {
      const sent = phone.request(message('hello', ['wv:bob@ims.test'], element('DeliveryReport', true)));
      const request = await bob.answer('MESSAGE', 200);
      expect(codeOf(await sent)).toBe(200);
      return request;
    };
    const before = await answer(first);
    expect(before.get('Conversation-ID')).toBe('k-1');

    const { server } = world.parley.app.imps!;
    const user = (await server.removeUser('wv:alice@ims.test' as UserId))!;
    await world.settled();
    expect(await server.users.create(user)).toBe(true);
    const second = await world.loggedIn('alice');
    const id = before.get('Contribution-ID')!;
    const told = await bob.ask('MESSAGE', 'sip:alice@ims.test', headers, imdn(id, 'delivered'));
    expect(told.status).toBe(200);
    expect((await answer(second)).get('Conversation-ID')).not.toBe('k-1');
    expect((await second.drain()).map(({ name }) => name)).not.toContain('DeliveryReport-Request');
  });
});

describe('a message of a CPM user to an IMPS phone', () => {
  it('comes as NewMessage, and its delivery report goes back as notification', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    const alice = await world.loggedIn('alice');
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', headers, cpim('hello'))).status).toBe(200);
    const [{ id, primitive } = { id: '', primitive: undefined }] = await alice.poll();
    expect(primitive?.name).toBe('NewMessage');
    expect(textOf(primitive, 'ContentData')).toBe('hello');
    const info = child(primitive, 'MessageInfo');
    expect(textOf(child(child(info, 'Sender'), 'User'), 'UserID')).toBe('wv:bob@ims.test');
    await alice.respond(id, element('MessageDelivered', element('MessageID', textOf(info, 'MessageID'))));
    const notification = await bob.answer('MESSAGE', 200);
    expect(Buffer.from(notification.body).toString()).toMatch(
      /<message-id>m-1<\/message-id>[^]*<delivered\/>/,
    );
  });

  it('sent again, because the answer was lost, is not delivered again', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    const alice = await world.loggedIn('alice');
    const once = { ...headers, 'Call-ID': 'one' };
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', once, cpim('hello', ''))).status).toBe(200);
    expect(await alice.messages()).toEqual(['hello']);
    const again = { ...headers, 'Call-ID': 'two' };
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', again, cpim('hello', ''))).status).toBe(200);
    expect(await alice.messages()).toEqual([]);
  });

  it.each([
    ['900 letters', 413, 'x'.repeat(900)],
    ['300 characters of four octets', 413, '😀'.repeat(300)],
    ['800 letters', 200, 'x'.repeat(800)],
  ])('of %s for a phone that reads 1000 octets is answered with %i', async (_what, status, text) => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    await world.imps('alice').start(element('ParserSize', 1000));
    await world.settled();
    const plain = { 'Content-Type': 'text/plain' };
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', plain, text)).status).toBe(status);
  });

  it('without Message-ID is one each time, though all have the Contribution-ID of their conversation', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    const alice = await world.loggedIn('alice');
    const chat = { 'Content-Type': 'text/plain', 'Contribution-ID': 'chat-1' };
    for (const text of ['ok', 'ok', 'see you'])
      expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', chat, text)).status).toBe(200);
    expect(await alice.messages()).toEqual(['ok', 'ok', 'see you']);
  });

  it('while the phone is away waits in one place and comes at its next login, once', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', headers, cpim('hello', ''))).status).toBe(202);
    const alice = await world.loggedIn('alice');
    const [first] = await until(async () => {
      const came = await alice.messages();
      return came.length > 0 ? came : undefined;
    });
    expect(first).toBe('hello');
    const waiting = await (await fetch(`${world.parley.api}/api/v1/messages`)).json();
    expect(waiting).toEqual({ messages: [] });
    await alice.request(element('Logout-Request'));
    await world.settled();
    expect(await (await world.loggedIn('alice')).messages()).toEqual([]);
  });

  it.each([
    ['octets that do not decode', 'text/plain;charset=utf-16', 'x'],
    ['an unknown charset', 'text/plain;charset=x-nothing', 'x'],
    ['a kind that the phone did not negotiate', 'image/png', 'x'],
  ])('of %s is refused with 415', async (_name, type, text) => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    const alice = await world.imps('alice').start(element('AnyContent', false));
    await world.settled();
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', headers, cpim(text, '', type))).status).toBe(415);
    expect(await alice.messages()).toEqual([]);
  });

  it('that a phone can read another way is converted', async () => {
    world = await GatewayWorld.start();
    const bob = await world.sip('bob', icsi);
    const alice = await world.imps('alice').start(element('AnyContent', false));
    await world.settled();
    const html = cpim('<p>one</p><p>a &amp; b</p>', '', 'text/html');
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', headers, html)).status).toBe(200);
    const file =
      '<?xml version="1.0"?><file><file-info type="file"><file-size>10</file-size><file-name>a.png</file-name>' +
      '<content-type>image/png</content-type><data url="https://files.test/a.png" until="2027-01-01T00:00:00Z"/></file-info></file>';
    const link = cpim(file, '', 'application/vnd.gsma.rcs-ft-http+xml').replace('m-1', 'm-2');
    expect((await bob.ask('MESSAGE', 'sip:alice@ims.test', headers, link)).status).toBe(200);
    expect(await alice.messages()).toEqual(['one\na & b', 'a.png (10 bytes) https://files.test/a.png']);
  });
});
