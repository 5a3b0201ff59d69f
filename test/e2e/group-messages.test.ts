import { expect, it } from 'vitest';
import { formatIsComposing, IS_COMPOSING_TYPE } from '../../src/msrp/is-composing.js';
import { meeting } from '../cpm/controlling/meeting.js';
import { useCleanups } from '../tools/cleanups.js';
import { startParley } from '../tools/parley.js';

const cleanups = useCleanups();

it('a group carries private messages, nicknames and who is composing over real MSRP connections', async () => {
  // a busy machine must make the server neither refuse work nor send it twice
  const timers = { t1: 10_000, t2: 10_000 };
  const parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000, timers } });
  cleanups.push(() => parley.stop());
  const { party, focus, ...at } = await meeting(parley.port, cleanups);
  const { alice } = party;
  const [atAlice, atBob, atCarol] = [at.alice, at.bob, at.carol];
  expect(Buffer.from(at.sessions.alice.body).toString()).toContain('a=chatroom:nickname private-messages');
  alice.send('SUBSCRIBE', focus, { Event: 'conference', Expires: '3600' });
  alice.peer.answer(await alice.peer.request('NOTIFY'), 200);

  atAlice.say('say00001', 'sip:alice@ims.test', 'sip:bob@ims.test', 'For bob alone');
  await atBob.until(/For bob alone/);
  await atAlice.until(/MSRP say00001 200/);
  for (const to of [focus, 'sip:bob@ims.test'])
    atBob.say(
      `com${to.length}`.padEnd(8, '0'),
      'sip:bob@ims.test',
      to,
      formatIsComposing({ state: 'active' }),
      {
        type: IS_COMPOSING_TYPE,
      },
    );
  await atAlice.until(/<state>active<\/state>/);
  await atCarol.until(/<state>active<\/state>/);

  atBob.nickname('nick0001', '"Bobby \\"B\\""');
  await atBob.until(/MSRP nick0001 200/);
  const named = await alice.peer.request('NOTIFY');
  alice.peer.answer(named, 200);
  expect(Buffer.from(named.body).toString()).toContain('<display-text>Bobby &quot;B&quot;</display-text>');
  for (const [id, quoted, status] of [
    ['nick0002', '"bobby \\"b\\""', 425],
    ['nick0003', 'Bobby', 424],
    ['nick0004', `"${'x'.repeat(1_024)}"`, 424],
    ['nick0005', '"Carol"', 200],
    ['nick0006', '""', 200],
  ] as const) {
    atCarol.nickname(id, quoted);
    await atCarol.until(new RegExp(`MSRP ${id} ${status}`));
  }
  // the last word to everybody shows that nothing else came before it
  atAlice.say('say00002', 'sip:alice@ims.test', focus, 'For all');
  await atCarol.until(/For all/);
  expect(atCarol.text).not.toContain('For bob alone');
});
