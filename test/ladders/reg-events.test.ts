import { expect, it } from 'vitest';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import type { SipResponse } from '../../src/sip/message/message.js';
import { ForeignCore, reginfoOf } from '../tools/foreign-core.js';
import { Ladder } from '../tools/ladder.js';
import { startParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';
import { testKeys, Usim } from '../tools/usim.js';

const INSTANCE = ';+sip.instance="<urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e>"';

it('draws a device that watches its own registration until the network ends it', async () => {
  const parley = await startParley({ auth: 'none' });
  const alice = await Phone.open('alice', parley.port);
  const ladder = new Ladder(
    'Registration events',
    'A device subscribes to its own registration, and is de-registered by the network.',
  );
  ladder.peer('alice', alice.peer);
  ladder.server('parley', parley.port);
  await alice.register(INSTANCE, { Supported: 'gruu' });
  await alice.ask('SUBSCRIBE', alice.aor, {
    Event: 'reg',
    Accept: 'application/reginfo+xml',
    Expires: '0600',
  });
  await alice.answer('NOTIFY', 200);
  await parley.app.registrar!.deregister(alice.aor, 'deactivated');
  await alice.answer('NOTIFY', 200);
  await expect(steady(ladder.markdown())).toMatchFileSnapshot('../../docs/ladders/reg-events.md');
  alice.close();
  await parley.stop();
});

it('draws a USIM that registers, after it had to say where its sequence numbers are, and is asked to prove itself again', async () => {
  const { k, op, amf } = testKeys;
  const parley = await startParley({
    subscribers: [{ privateId: 'alice@ims.test', identities: ['sip:alice@ims.test'], aka: { k, op, amf } }],
    sip: { overloadDelay: 60_000, timers: { t1: 5_000, t2: 10_000, t4: 5_000 } },
  });
  const alice = await Phone.open('alice', parley.port);
  const ladder = new Ladder(
    'IMS-AKA',
    'A USIM that is ahead of the home network answers with AUTS, is challenged from there and registers. It watches its registration, which the network shortens: the next REGISTER is challenged again.',
  );
  ladder.peer('alice', alice.peer);
  ladder.server('parley', parley.port);
  const usim = new Usim('alice@ims.test', 'ims.test');
  for (let sqn = 33; sqn < 33 * 70; sqn += 33) usim.sequence.accept(sqn);
  const register = (authorization: HeaderMap): Promise<SipResponse> =>
    alice.register(INSTANCE, { 'Call-ID': 'registration', ...authorization });
  const resynchronised = await register(usim.answer(await register(usim.hello())));
  expect((await register(usim.answer(resynchronised))).status).toBe(200);
  await alice.ask('SUBSCRIBE', alice.aor, { Event: 'reg', Expires: '0600' });
  await alice.answer('NOTIFY', 200);
  await parley.app.registrar!.reauthenticate(alice.aor, 100);
  await alice.answer('NOTIFY', 200);
  expect((await register(usim.answer(await register(usim.hello())))).status).toBe(200);
  await alice.answer('NOTIFY', 200);
  await expect(steady(ladder.markdown())).toMatchFileSnapshot('../../docs/ladders/aka.md');
  alice.close();
  await parley.stop();
});

it('draws Parley behind another core: the third-party REGISTER, the subscription, a request on ISC', async () => {
  const core = await ForeignCore.start();
  const ladder = new Ladder(
    'Behind another core',
    'A core registers a user at Parley, tells of its devices, and asks for its services.',
  );
  ladder.peer('core', core.peer);
  ladder.server('parley', core.parley.port);
  const subscribe = await core.subscribed();
  await core.notify(subscribe, reginfoOf(0, 'full', 5062));
  core.send(
    'MESSAGE',
    'sip:bob@ims.test',
    {
      Route: `${core.server}, ${core.route}`,
      'P-Served-User': '<sip:alice@ims.test>;sescase=orig;regstate=reg',
      'P-Asserted-Identity': '<sip:alice@ims.test>',
      'P-Preferred-Service': 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg',
      'Content-Type': 'text/plain',
    },
    'Hello',
  );
  await core.answer('MESSAGE');
  await core.response();
  await expect(steady(ladder.markdown())).toMatchFileSnapshot('../../docs/ladders/behind-another-core.md');
  await core.close();
});

it('draws a core that has forgotten the subscription', async () => {
  const core = await ForeignCore.start();
  const ladder = new Ladder(
    'A subscription that is made anew',
    'A document of the core was lost, and then the core restarted: it does not know the subscription that Parley refreshes, and gets another one. What was known counts until its first document comes.',
  );
  ladder.peer('core', core.peer);
  ladder.server('parley', core.parley.port);
  const first = await core.subscribed();
  await core.notify(first, reginfoOf(0, 'full', 5062));
  await core.notify(first, reginfoOf(2, 'partial', 5064));
  await core.answer('SUBSCRIBE', 481);
  const again = await core.answer('SUBSCRIBE', 200, { Expires: '600' });
  await core.notify(again, reginfoOf(0, 'full', 5062, 5064));
  await expect(steady(ladder.markdown())).toMatchFileSnapshot('../../docs/ladders/core-restart.md');
  await core.close();
});

/** Numbers that differ from run to run. */
const steady = (text: string): string =>
  text
    .replace(/^CSeq: \d+ (NOTIFY|SUBSCRIBE|MESSAGE)$/gm, 'CSeq: N $1')
    .replace(/auts="[^"]*"/g, 'auts="auts"')
    .replace(/(event="shortened" expires=)"\d+"/g, '$1SECONDS')
    .replace(/(expires=)"?\d{3,4}"?/g, '$1SECONDS')
    .replace(/duration-registered="\d+"/g, 'duration-registered="0"')
    .replace(/^Content-Length: [1-9]\d*$/gm, 'Content-Length: LENGTH')
    .replace(/((?:Conversation|Contribution)-ID: ).*/g, '$1id');
