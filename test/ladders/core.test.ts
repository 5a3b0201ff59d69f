import { afterAll, beforeAll, expect, it } from 'vitest';
import { Ladder } from '../tools/ladder.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Phone } from '../tools/phone.js';

let parley: RunningParley;
beforeAll(async () => {
  parley = await startParley({ auth: 'none' });
});
afterAll(() => parley.stop());

it('draws a MESSAGE from one user to another', async () => {
  const [alice, bob] = [await Phone.open('alice', parley.port), await Phone.open('bob', parley.port)];
  const ladder = new Ladder('A MESSAGE to a registered user', 'Bob registers, and Alice sends a MESSAGE.');
  ladder.peer('alice', alice.peer);
  ladder.server('parley', parley.port);
  ladder.peer('bob', bob.peer);
  await bob.register();
  await ladder.without(() => alice.register());
  alice.send('MESSAGE', bob.aor, { 'Content-Type': 'text/plain' }, 'Hello');
  await bob.answer('MESSAGE', 200);
  await alice.peer.response(200);
  await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/message.md');
  alice.close();
  bob.close();
});
