import { afterEach, expect, it } from 'vitest';
import { xmlCoding } from '../../src/imps/codec/coding.js';
import { child, element, textOf } from '../../src/imps/codec/element.js';
import { chat, cpmDevice, SipChat } from '../gateway/sip-chat.js';
import { GatewayWorld, until } from '../gateway/world.js';
import { DrawnPhone } from '../imps/tools/drawn-phone.js';
import { message } from '../imps/tools/phone.js';
import { Ladder } from '../tools/ladder.js';

let world: GatewayWorld;
afterEach(() => world.close());

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
  const alice = new DrawnPhone(ladder, 'alice', {
    url: csp.origin,
    user: 'wv:alice@ims.test',
    password: 'alice-secret',
    clientId: 'wv:lab1$acme@maker.m1.42',
    coding: xmlCoding,
  });
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
