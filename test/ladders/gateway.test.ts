import { afterEach, expect, it } from 'vitest';
import { xmlCoding } from '../../src/imps/codec/coding.js';
import { child, element, textOf, type Element } from '../../src/imps/codec/element.js';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { chat, cpmDevice, SipChat } from '../gateway/sip-chat.js';
import { GatewayWorld, subscribers, until } from '../gateway/world.js';
import { DrawnPhone } from '../imps/tools/drawn-phone.js';
import { message } from '../imps/tools/phone.js';
import { Ladder } from '../tools/ladder.js';

let world: GatewayWorld;
afterEach(() => world.close());

const drawnAlice = (ladder: Ladder, csp: URL): DrawnPhone =>
  new DrawnPhone(ladder, 'alice', {
    url: csp.origin,
    user: 'wv:alice@ims.test',
    password: 'alice-secret',
    clientId: 'wv:lab1$acme@maker.m1.42',
    coding: xmlCoding,
  });

it('draws a CPM session with an IMPS phone', async () => {
  // a busy machine must make the server neither refuse work nor send it twice
  const timers = { t1: 10_000, t2: 10_000 };
  world = await GatewayWorld.start({ sip: { overloadDelay: 60_000, timers } });
  const { port, app } = world.parley;
  const sip = await world.sip('bob', cpmDevice);
  const bob = await SipChat.of(sip);
  const csp = new URL(app.imps!.csp);
  const ladder = new Ladder(
    'A CPM session with an IMPS phone',
    'Bob, on a SIP device, invites Alice, who is logged in with an IMPS phone; the gateway answers for her. His message becomes NewMessage and her MessageDelivered the notification that he asked for; her answer goes into the session. MSRP is drawn without its paths and transaction identifiers.',
  );
  ladder.peer('bob', sip.peer);
  ladder.server('bob', bob.port);
  ladder.server('parley', port, Number(csp.port), app.msrp.listeners[0]!.port);
  ladder.server('alice');
  const alice = drawnAlice(ladder, csp);
  await ladder.without(async () => {
    await alice.login2();
    await alice.negotiate();
    await world.settled();
  });
  const drawn = (from: string, to: string, cpim: string): void => {
    ladder.message(from, to, `MSRP SEND\nContent-Type: message/cpim\n\n${cpim}`);
    ladder.message(to, from, 'MSRP 200 OK');
  };

  expect((await bob.invite('sip:alice@ims.test', { 'Contribution-ID': 'contribution-1' })).status).toBe(200);
  const hello = chat('m-1', 'hello');
  expect(await bob.say(hello)).toBe(200);
  drawn('bob', 'parley', hello);
  const [{ id, primitive } = { id: '', primitive: undefined }] = await alice.poll();
  const messageId = element('MessageID', textOf(child(primitive, 'MessageInfo'), 'MessageID'));
  await alice.respond(id, element('MessageDelivered', messageId));
  drawn('parley', 'bob', await until(() => bob.heard[0]));
  await alice.request(message('hello Bob', ['wv:bob@ims.test']));
  drawn('parley', 'bob', bob.heard[1]!);
  expect((await bob.bye()).status).toBe(200);
  await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/gateway-session.md');
});

it('draws messages both ways with their receipts, and one that waits', async () => {
  const timers = { t1: 10_000, t2: 10_000 };
  world = await GatewayWorld.start({ sip: { overloadDelay: 60_000, timers } });
  const { port, app } = world.parley;
  const sip = await world.sip('bob', cpmDevice);
  const csp = new URL(app.imps!.csp);
  const ladder = new Ladder(
    'Messages between a SIP device and an IMPS phone',
    'Alice, on an IMPS phone, writes to Bob, who has a SIP device: her SendMessage becomes a MESSAGE in pager mode, his notification her DeliveryReport. Bob answers: his MESSAGE becomes NewMessage, her MessageDelivered his notification. She logs out: his next message waits, and comes at her next login, with its notification.',
  );
  ladder.peer('bob', sip.peer);
  ladder.server('parley', port, Number(csp.port));
  ladder.server('alice');
  const alice = drawnAlice(ladder, csp);
  alice.drawsEmpty = false;
  const comesIn = (): Promise<void> =>
    ladder.without(async () => {
      await alice.login2();
      await alice.negotiate();
      await world.settled();
    });
  const taken = async (): Promise<void> => {
    const [{ id, primitive } = { id: '', primitive: undefined }] = await alice.poll();
    const messageId = element('MessageID', textOf(child(primitive, 'MessageInfo'), 'MessageID'));
    await alice.respond(id, element('MessageDelivered', messageId));
    await sip.answer('MESSAGE', 200);
  };
  const MESSAGE = { 'P-Preferred-Service': cpmServices.message, 'Content-Type': 'message/cpim' };

  await comesIn();
  const sent = alice.request(message('hello Bob', ['wv:bob@ims.test'], element('DeliveryReport', true)));
  const request = await sip.answer('MESSAGE', 200);
  await sent;
  const imdn =
    `<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>${request.get('Contribution-ID')!}</message-id>` +
    '<datetime>2026-01-01T00:00:00Z</datetime><delivery-notification><status><delivered/></status></delivery-notification></imdn>';
  const told = chat('n-1', imdn, { asks: '', type: 'message/imdn+xml' });
  expect((await sip.ask('MESSAGE', 'sip:alice@ims.test', MESSAGE, told)).status).toBe(200);
  const [report] = await alice.poll();
  await alice.respond(report!.id, element('Status', element('Result', element('Code', 200))));

  const answer = { ...MESSAGE, 'Conversation-ID': request.get('Conversation-ID')! };
  expect((await sip.ask('MESSAGE', 'sip:alice@ims.test', answer, chat('m-1', 'hello Alice'))).status).toBe(
    200,
  );
  await taken();

  await alice.request(element('Logout-Request'));
  await world.settled();
  expect((await sip.ask('MESSAGE', 'sip:alice@ims.test', answer, chat('m-2', 'are you there?'))).status).toBe(
    202,
  );
  await comesIn();
  await until(async () => (await waiting()) === 0 || undefined);
  await taken();
  await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/gateway-messages.md');
});

/** Messages that wait in CPM. */
async function waiting(): Promise<number> {
  const answer = await fetch(`${world.parley.api}/api/v1/messages`);
  return ((await answer.json()) as { messages: unknown[] }).messages.length;
}

it('draws presence both ways', async () => {
  const timers = { t1: 10_000, t2: 10_000 };
  const [alicesAccount, bobsAccount] = subscribers;
  world = await GatewayWorld.start({
    sip: { timers },
    gateway: { presence: { interval: 0 } },
    // Bob has no IMPS account
    subscribers: [alicesAccount, { ...bobsAccount, imps: undefined }],
  });
  const { port, app } = world.parley;
  const sip = await world.sip('bob', cpmDevice);
  const csp = new URL(app.imps!.csp);
  const ladder = new Ladder(
    'Presence between a SIP device and an IMPS phone',
    'Bob, on a SIP device, watches Alice, who is logged in with an IMPS phone and shows three attributes to everybody: what she publishes there is a PIDF document here. Alice watches Bob: his registration is his OnlineStatus, and what his device publishes her PresenceNotification. Answers that are a Status alone are not drawn.',
  );
  ladder.peer('bob', sip.peer);
  ladder.server('parley', port, Number(csp.port));
  ladder.server('alice');
  const alice = drawnAlice(ladder, csp);
  alice.drawsEmpty = alice.drawsStatus = false;
  const shown = ['OnlineStatus', 'UserAvailability', 'StatusText'];
  await ladder.without(async () => {
    await alice.login2();
    await alice.negotiate();
    const attributes = element(
      'PresenceSubList',
      shown.map((name) => element(name)),
    );
    await alice.request(element('CreateAttributeList-Request', attributes, element('DefaultList', true)));
    await world.settled();
  });

  const watch = { Event: 'presence', Accept: 'application/pidf+xml', Expires: 600 };
  expect((await sip.ask('SUBSCRIBE', 'sip:alice@ims.test', watch)).status).toBe(200);
  await sip.answer('NOTIFY', 200);
  const attribute = (name: string, value: string): Element =>
    element(name, element('Qualifier', true), element('PresenceValue', value));
  await alice.request(
    element(
      'UpdatePresence-Request',
      element(
        'PresenceSubList',
        attribute('UserAvailability', 'NOT_AVAILABLE'),
        attribute('StatusText', 'back at five'),
      ),
    ),
  );
  await sip.answer('NOTIFY', 200);

  const list = element('PresenceSubList', element('OnlineStatus'), element('StatusText'));
  const users = element('UserIDList', element('UserID', 'wv:bob@ims.test'));
  await alice.request(element('SubscribePresence-Request', users, list));
  const heard = async (): Promise<void> => {
    const [notification] = await alice.poll();
    await alice.respond(notification!.id, element('Status', element('Result', element('Code', 200))));
  };
  await heard();
  const publish = { Event: 'presence', 'Content-Type': 'application/pidf+xml', Expires: 600 };
  const document =
    '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@ims.test">' +
    '<tuple id="phone"><status><basic>open</basic></status><note>on the train</note></tuple></presence>';
  expect((await sip.ask('PUBLISH', 'sip:bob@ims.test', publish, document)).status).toBe(200);
  await heard();
  await expect(steady(ladder.markdown())).toMatchFileSnapshot('../../docs/ladders/gateway-presence.md');
});

/** Numbers that differ from run to run. */
const steady = (text: string): string =>
  text
    .replace(/^CSeq: \d+ NOTIFY$/gm, 'CSeq: N NOTIFY')
    .replace(/(;expires=)\d+/g, '$1SECONDS')
    .replace(/^SIP-ETag: .*$/gm, 'SIP-ETag: etag');
