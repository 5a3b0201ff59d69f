import { describe, expect, it } from 'vitest';
import { accept, created, type Cast } from '../cpm/controlling/extension-world.js';
import { meeting, msrp } from '../cpm/controlling/meeting.js';
import { useCleanups } from '../tools/cleanups.js';
import { cpmDevice, createGroup, descriptionIn, leaveGroup } from '../tools/group-party.js';
import { startParley } from '../tools/parley.js';
import { Program } from '../tools/program.js';

const cleanups = useCleanups();
// a busy machine must make the server neither refuse work nor send it twice
const patient = { overloadDelay: 60_000, timers: { t1: 10_000, t2: 10_000 } };
const LIST = ['bob', 'carol']
  .map((user) => `<entry uri="sip:${user}@ims.test" cp:copyControl="to"/>`)
  .join('');

/** Carol starts the group again with its Contribution-ID, and all can talk. @returns the group session identity. */
async function restart({ alice, bob, carol }: Cast): Promise<string> {
  const others = LIST.replace('carol', 'alice');
  createGroup(carol, others);
  const [toAlice, toBob] = await Promise.all([alice.peer.request('INVITE'), bob.peer.request('INVITE')]);
  for (const invite of [toAlice, toBob])
    expect([invite.get('Contribution-ID'), invite.get('Conversation-ID'), invite.get('Subject')]).toEqual([
      'g77',
      'k2',
      'Trip planning',
    ]);
  await accept(bob, toBob);
  const { focus, description } = await created(carol);
  await accept(alice, toAlice);
  const talkers = [
    msrp('carol', description, cleanups),
    msrp('bob', descriptionIn(toBob), cleanups),
    msrp('alice', descriptionIn(toAlice), cleanups),
  ];
  for (const talker of talkers) await talker.until(/MSRP open0001 200/);
  talkers[0]!.say('say00001', 'sip:carol@ims.test', focus, 'We are back');
  for (const listener of talkers.slice(1)) await listener.until(/We are back/);
  return focus;
}

describe('a group that is started again with its Contribution-ID', () => {
  it('is the same group after everybody has left, for who was in it and nobody else', async () => {
    const parley = await startParley({ auth: 'none', sip: patient });
    cleanups.push(() => parley.stop());
    const { party, focus, sessions } = await meeting(parley.port, cleanups);
    for (const name of ['alice', 'bob', 'carol'] as const) await leaveGroup(party[name], sessions[name]);
    const { controlling } = parley.app.controlling!;
    await expect.poll(() => [...controlling.running]).toEqual([]);

    const mallory = await cpmDevice('mallory', '6ca759e8-d1b1-5dee-95f9-e36d2aca6bb9', parley.port);
    cleanups.push(() => mallory.close());
    createGroup(mallory, LIST);
    expect((await mallory.peer.response(200)).status).toBe(403);
    expect([...controlling.running]).toEqual([]);

    expect(await restart(party)).toBe(focus);
    expect([...controlling.running].map(({ group }) => group.members.map(({ state }) => state))).toEqual([
      ['connected', 'connected', 'connected'],
    ]);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'is the same group after the process was ended with %s',
    { timeout: 120_000 },
    async (signal) => {
      const config = JSON.stringify({ sip: patient, drainSeconds: 0.1 });
      const first = new Program(['serve'], { config, env: { PARLEY_AUTH: 'none' } });
      cleanups.push(() => first.dispose());
      const { port } = await first.ready();
      const { party, focus } = await meeting(port, cleanups);
      first.child.kill(signal);
      if (signal === 'SIGTERM')
        for (const phone of [party.alice, party.bob, party.carol]) await phone.answer('BYE', 200);
      await first.exit();
      const second = await first.again();
      cleanups.push(() => second.dispose());
      await second.ready();
      expect(await restart(party)).toBe(focus);
    },
  );
});
