import { afterAll, beforeAll, expect, it } from 'vitest';
import { accept, cast, created, endOneToOne, extend, oneToOne } from '../cpm/controlling/extension-world.js';
import { startParley, type RunningParley } from '../tools/parley.js';
import { Figure, type Step } from './figure.js';

let parley: RunningParley;
const cleanups: (() => unknown)[] = [];
beforeAll(async () => {
  // a busy machine must make the server neither refuse work nor send it twice
  const timers = { t1: 10_000, t2: 10_000 };
  parley = await startParley({ auth: 'none', sip: { overloadDelay: 60_000, timers } });
});
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
  await parley.stop();
});

/** The messages of Figure 9 in its order: several of them are under way at once. */
const steps: readonly Step[] = [
  ['alice', 'parley', /^INVITE sip:conference-factory/, 'INVITE'],
  ['parley', 'alice', /^SIP\/2\.0 183/, 'INVITE'],
  ['parley', 'bob', /^INVITE/, 'INVITE'],
  ['parley', 'carol', /^INVITE/, 'INVITE'],
  ['bob', 'parley', /^SIP\/2\.0 200/, 'INVITE'],
  ['parley', 'bob', /^ACK/, 'ACK'],
  ['parley', 'alice', /^SIP\/2\.0 200/, 'INVITE'],
  ['alice', 'parley', /^ACK/, 'ACK'],
  ['bob', 'parley', /^BYE/, 'BYE'],
  ['parley', 'alice', /^BYE/, 'BYE'],
  ['alice', 'parley', /^SIP\/2\.0 200/, 'BYE'],
  ['parley', 'bob', /^SIP\/2\.0 200/, 'BYE'],
  ['carol', 'parley', /^SIP\/2\.0 200/, 'INVITE'],
  ['parley', 'carol', /^ACK/, 'ACK'],
];

it('draws how a 1-1 session becomes a group', async () => {
  const party = await cast(parley.port, cleanups);
  const session = await oneToOne(party);
  const figure = new Figure(
    'A 1-1 session becomes a group',
    "Alice has a session with Bob, at the first of his two devices, and extends it by Carol (OMA CPM, Figure 9). Only Bob's device of that session is invited with the replacement; it accepts and ends the session on its old way. Bob's second device hears nothing of it.",
    parley.port,
    { alice: party.alice, bob: party.bob, "bob's other": party.bobsOther, carol: party.carol },
  );
  const { toBob, toCarol } = await extend(party);
  await accept(party.bob, toBob);
  await created(party.alice);
  await endOneToOne(party, session);
  await accept(party.carol, toCarol);
  const page = figure.draw(steps);
  expect(figure.at("bob's other")).toEqual([]);
  await expect(page).toMatchFileSnapshot('../../docs/ladders/group-extension.md');
});
