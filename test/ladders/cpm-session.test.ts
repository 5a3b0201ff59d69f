import { afterAll, beforeAll, expect, it } from 'vitest';
import { ALICE, BOB, device, establish } from '../cpm/participating/session-world.js';
import { Ladder } from '../tools/ladder.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

let parley: RunningParley;
beforeAll(async () => {
  // a busy machine must make the server neither refuse work nor send it twice
  const timers = { t1: 10_000, t2: 10_000 };
  parley = await startParley({
    auth: 'none',
    registrar: { gruuNameSpace: '5b1f1c2e-8f5e-4a51-9d3a-6f0c6e1f7a10' },
    sip: { overloadDelay: 60_000, timers },
  });
});
afterAll(() => parley.stop());

it('draws a CPM 1-1 session between two devices', async () => {
  const [alice, bob] = [await Phone.open('alice', parley.port), await Phone.open('bob', parley.port)];
  const ladder = new Ladder(
    'A CPM 1-1 session',
    'Alice, on a phone with an IMEI, invites Bob; the server names the conversation, shows her device by its GRUU, and asks for a session timer. Bob ends the session.',
  );
  ladder.peer('alice', alice.peer);
  ladder.server('parley', parley.port);
  ladder.peer('bob', bob.peer);
  await ladder.without(async () => {
    await alice.register(device(ALICE), { Supported: 'gruu' });
    await bob.register(device(BOB), { Supported: 'gruu' });
  });
  const { fromCallee } = await establish(alice, bob, { 'Contribution-ID': 'contribution-1' });
  bob.send('BYE', fromCallee.uri, fromCallee.headers);
  await alice.answer('BYE', 200);
  await bob.peer.response(200);
  await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/cpm-session.md');
  alice.close();
  bob.close();
});
