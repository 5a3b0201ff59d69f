import { afterAll, beforeAll, expect, it } from 'vitest';
import { cpim } from '../cpm/messages/large-world.js';
import { ALICE, BOB, device } from '../cpm/participating/session-world.js';
import { cpmServices } from '../../src/identity/cpm-services.js';
import { formatCpim } from '../../src/msrp/cpim/index.js';
import { formatImdn, IMDN_TYPE } from '../../src/msrp/imdn.js';
import type { HeaderMap } from '../../src/sip/message/headers.js';
import { Ladder } from '../tools/ladder.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

let parley: RunningParley;
beforeAll(async () => {
  // a busy machine must make the server neither refuse work nor send it twice
  const timers = { t1: 10_000, t2: 10_000 };
  parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000, timers } });
});
afterAll(() => parley.stop());

const PAGER: HeaderMap = {
  Contact: undefined,
  'P-Preferred-Service': cpmServices.message,
  'Content-Type': 'message/cpim',
};

const delivered = (messageId: string, from: Phone, to: Phone): string => {
  const dateTime = '2026-11-26T10:00:00Z';
  return formatCpim({
    from: { name: '', uri: from.aor },
    to: [{ name: '', uri: to.aor }],
    mime: [
      ['Content-Type', IMDN_TYPE],
      ['Content-Disposition', 'notification'],
    ],
    content: Buffer.from(formatImdn({ messageId, dateTime, kind: 'delivery', status: 'delivered' })),
  }).toString();
};

async function users(one: string, other: string): Promise<[Phone, Phone]> {
  return [await Phone.open(one, parley.port), await Phone.open(other, parley.port)];
}

function drawn(title: string, text: string, alice: Phone, bob: Phone): Ladder {
  const ladder = new Ladder(title, text);
  ladder.peer(alice.user, alice.peer);
  ladder.server('parley', parley.port);
  ladder.peer(bob.user, bob.peer);
  return ladder;
}

it('draws a pager mode message and its delivery notification', async () => {
  const [alice, bob] = await users('alice', 'bob');
  const ladder = drawn(
    'A CPM pager mode message',
    'Alice asks for a delivery notification. It comes back to her identity, and the server brings it to the device that sent the message.',
    alice,
    bob,
  );
  await ladder.without(async () => {
    await alice.register(device(ALICE, [cpmServices.message]));
    await bob.register(device(BOB, [cpmServices.message]));
  });
  alice.send('MESSAGE', bob.aor, PAGER, cpim('Meet at seven?', 'm-1', 'positive-delivery').toString());
  await bob.answer('MESSAGE', 200, { Contact: [] });
  await alice.peer.response(200);
  bob.send('MESSAGE', alice.aor, PAGER, delivered('m-1', bob, alice));
  await alice.answer('MESSAGE', 200, { Contact: [] });
  await bob.peer.response(200);
  await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/cpm-pager.md');
  for (const phone of [alice, bob]) phone.close();
});

it('draws a message that waits for its recipient', async () => {
  const [alice, carol] = await users('alice', 'carol');
  const ladder = drawn(
    'A deferred message',
    'Carol has no device. The server keeps the message, answers 202, and delivers it when a device of Carol registers.',
    alice,
    carol,
  );
  await ladder.without(() => alice.register(device(ALICE, [cpmServices.message])));
  alice.send('MESSAGE', carol.aor, PAGER, cpim('Meet at seven?', 'm-2', 'positive-delivery').toString());
  await alice.peer.response(200);
  await carol.register(device(BOB, [cpmServices.message]));
  await carol.answer('MESSAGE', 200, { Contact: [] });
  carol.send('MESSAGE', alice.aor, PAGER, delivered('m-2', carol, alice));
  await alice.answer('MESSAGE', 200, { Contact: [] });
  await carol.peer.response(200);
  await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/cpm-deferral.md');
  for (const phone of [alice, carol]) phone.close();
});
