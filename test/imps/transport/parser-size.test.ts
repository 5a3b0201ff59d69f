import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readMessage, wbxmlCoding, writeMessage, xmlCoding } from '../../../src/imps/codec/coding.js';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import type { CspMessage, Transaction } from '../../../src/imps/codec/envelope.js';
import { codeOf, message, type Phone } from '../tools/phone.js';
import { envelopeOf, postTo } from '../tools/wire.js';
import { userId, world, type World } from '../tools/world.js';

const SIZE = 1500;

let here: World;
let alice: Phone;
let bob: Phone;
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
  bob = await here.phone('bob').start(element('ParserSize', SIZE), element('MultiTransPerMessage', 5));
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const status = element('Status', element('Result', element('Code', 200)));

/** What comes back, which is never longer than the client can parse. */
async function exchanged(
  transactions: readonly Transaction[],
  coding = wbxmlCoding,
): Promise<CspMessage | undefined> {
  const body = writeMessage(envelopeOf(bob, { transactions }), coding);
  const response = await postTo(here, body, coding.contentType);
  const bytes = Buffer.from(await response.arrayBuffer());
  expect(bytes.length).toBeLessThanOrEqual(SIZE);
  return bytes.length === 0 ? undefined : readMessage(bytes, coding.contentType).message;
}

const requests = (...primitives: readonly Element[]): Transaction[] =>
  primitives.map((primitive, index) => ({ mode: 'Request', id: `r${index}`, primitive }));
const poll = element('Polling-Request');

describe('an answer over ParserSize', () => {
  it.each([wbxmlCoding, xmlCoding])(
    'leaves the messages that have no place beside others to the next poll, in order: $syntax',
    async (coding) => {
      for (const text of ['1', '2', '3']) await alice.request(message(text.repeat(400), [userId('bob')]));
      const seen: string[] = [];
      for (let round = 0; round < 3 && seen.length < 3; round++) {
        const answer = await exchanged(requests(poll), coding);
        const pushed = answer?.transactions ?? [];
        expect(pushed.length).toBeGreaterThan(0);
        seen.push(...pushed.map(({ primitive }) => textOf(primitive, 'ContentData')?.[0] ?? 'none'));
        expect(answer?.poll).toBe(seen.length < 3);
        for (const { id } of pushed) await bob.respond(id, status);
      }
      expect(seen).toEqual(['1', '2', '3']);
      expect(await bob.drain()).toEqual([]);
    },
  );

  it('has 432 in place of the largest of several answers, and the others whole', async () => {
    for (const text of ['1', '2', '3', '4', '5', '6'])
      await alice.request(message(text.repeat(40), [userId('bob')]));
    const answer = await exchanged(
      requests(
        element('GetMessageList-Request'),
        element('GetList-Request'),
        element('Service-Request', element('AllFunctionsRequest', false)),
      ),
      xmlCoding,
    );
    expect(answer?.transactions.map(({ id, mode }) => `${id} ${mode}`)).toEqual([
      'r0 Response',
      'r1 Response',
      'r2 Response',
    ]);
    expect(answer?.transactions.map(({ primitive }) => primitive?.name)).toEqual([
      'Status',
      'GetList-Response',
      'Service-Response',
    ]);
    expect(codeOf(answer!.transactions[0]!.primitive!)).toBe(432);
  });

  it('announces a message that has no place by itself, beside one that has', async () => {
    await alice.request(message('x'.repeat(SIZE), [userId('bob')]));
    await alice.request(message('short', [userId('bob')]));
    const answer = await exchanged(requests(poll));
    expect(answer?.transactions.map(({ mode, primitive }) => `${mode} ${primitive?.name}`)).toEqual([
      'Request MessageNotification',
      'Request NewMessage',
    ]);
  });

  it('never makes a Status of a request of the server: what cannot be parsed is not sent, and the poll hears 432', async () => {
    const invite = (id: string, note: string): Element =>
      element(
        'Invite-Request',
        element('InviteID', id),
        element('InviteType', 'IM'),
        element('Recipient', element('User', element('UserID', userId('bob')))),
        element('InviteNote', note),
      );
    await alice.request(invite('i-1', 'x'.repeat(SIZE)));
    const answer = await exchanged(requests(poll));
    expect(answer?.transactions.map(({ mode, id }) => `${mode} ${id}`)).toEqual(['Response r0']);
    expect(codeOf(answer!.transactions[0]!.primitive!)).toBe(432);
    expect(await exchanged(requests(poll))).toBeUndefined();
    // another client of the user can parse it
    const wide = await here.phone('bob', { clientId: 'wv:wide' }).start();
    const [asked] = await wide.drain();
    expect(textOf(asked, 'InviteNote')).toHaveLength(SIZE);
    expect(here.trail.recent({ code: 'imps.over-parser-size' })[0]?.detail).toBe('InviteUser-Request');
    expect(child(asked, 'InviteID')?.text).toBe('i-1');
  });
});
