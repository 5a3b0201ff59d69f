import { afterAll, beforeAll, expect, it } from 'vitest';
import { accept, cast, created, endOneToOne, extend, oneToOne } from '../cpm/controlling/extension-world.js';
import { Ladder } from '../tools/ladder.js';
import type { Tap } from '../tools/sip-peer.js';
import { startParley, type RunningParley } from '../tools/parley.js';

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
const figure: readonly (readonly [from: string, to: string, start: RegExp, cseq: string])[] = [
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

/** Without what the server's description has anew in each run. */
const steady = (text: string): string =>
  text
    .replace(/^(Content-Length: )[1-9]\d*/m, '$1(octets)')
    .replace(/^(o=- )\d{6,}/gm, '$1(session)')
    .replace(/^(m=message )\d{4,}/gm, '$1(port)')
    .replace(/msrp:\/\/127\.0\.0\.1:\d{4,}\/[^\s;]+/g, 'msrp://parley.test/(session)');

it('draws how a 1-1 session becomes a group', async () => {
  const party = await cast(parley.port, cleanups);
  const session = await oneToOne(party);
  const seen: { readonly from: string; readonly to: string; readonly text: string }[] = [];
  const ladder = new Ladder(
    'A 1-1 session becomes a group',
    "Alice has a session with Bob, at the first of his two devices, and extends it by Carol (OMA CPM, Figure 9). Only Bob's device of that session is invited with the replacement; it accepts and ends the session on its old way. Bob's second device hears nothing of it.",
  );
  const columns = { alice: party.alice, bob: party.bob, "bob's other": party.bobsOther, carol: party.carol };
  for (const [name, { peer }] of Object.entries(columns)) {
    ladder.column(name, peer);
    if (name === 'alice') ladder.server('parley', parley.port);
    const tap: Tap = (direction, _port, octets) => {
      const [from, to] = direction === 'in' ? ['parley', name] : [name, 'parley'];
      seen.push({ from, to, text: Buffer.from(octets).toString() });
    };
    peer.tap(tap);
  }
  const { toBob, toCarol } = await extend(party);
  await accept(party.bob, toBob);
  await created(party.alice);
  await endOneToOne(party, session);
  await accept(party.carol, toCarol);
  for (const [from, to, start, method] of figure) {
    const step = seen.find(
      (one) =>
        one.from === from &&
        one.to === to &&
        start.test(one.text) &&
        new RegExp(`^CSeq: \\d+ ${method}\\r?$`, 'm').test(one.text),
    );
    ladder.message(from, to, steady(step?.text ?? 'missing'));
  }
  expect(seen.filter(({ to }) => to === "bob's other")).toEqual([]);
  await expect(ladder.markdown()).toMatchFileSnapshot('../../docs/ladders/group-extension.md');
});
