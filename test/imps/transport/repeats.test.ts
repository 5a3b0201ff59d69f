import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { keyOf, replies } from '../../../src/imps/state/records.js';
import { codeOf, message, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

/** The same phone after the server started again: it noticed nothing. */
async function afterRestart(): Promise<void> {
  const { sessionId } = alice;
  here = await here.restart();
  alice = here.phone('alice');
  alice.sessionId = sessionId;
}

const group = 'wv:alice/room@ims.test';
const createGroup = element(
  'CreateGroup-Request',
  element('GroupID', group),
  element('GroupProperties', element('Property', element('Name', 'Name'), element('Value', 'Room'))),
  element('JoinGroup', false),
  element('SubscribeNotification', false),
);
const createList = element('CreateList-Request', element('ContactList', 'wv:alice/friends@ims.test'));

describe('a transaction that is repeated', () => {
  it.each<[string, Element]>([
    ['a message', message('once', [userId('bob')])],
    ['a group', createGroup],
    ['a contact list', createList],
  ])('%s: is answered the same and not done twice, also after a restart', async (_title, request) => {
    const first = await alice.request(request, '77');
    expect(codeOf(first) || 200).toBe(200);
    expect(await alice.request(request, '77')).toEqual(first);
    await afterRestart();
    expect(await alice.request(request, '77')).toEqual(first);
    const bob = await here.phone('bob').start();
    expect((await bob.messages()).length).toBeLessThan(2);
    expect(here.trail.counts().get('imps.transaction-repeated')).toBe(1);
  });

  /** As a crash leaves it: the work is done, and its answer was not committed. */
  const loseAnswer = (id: string): Promise<void> =>
    here.store.update(replies, keyOf(alice.sessionId!, id), (current) => {
      const { request: known, seed } = current!;
      return { kind: 'put', value: { request: known, seed }, result: undefined };
    });

  it('after a crash between the work and its answer makes the same message', async () => {
    const request = message('once', [userId('bob')]);
    const first = await alice.request(request, '78');
    await loseAnswer('78');
    await afterRestart();
    expect(textOf(await alice.request(request, '78'), 'MessageID')).toBe(textOf(first, 'MessageID'));
    expect(await (await here.phone('bob').start()).messages()).toEqual(['once']);
  });

  it('after such a crash finds what it made, and another transaction is refused', async () => {
    for (const [id, request, refusal] of [
      ['81', createGroup, 801],
      ['82', createList, 701],
      ['83', element('DeleteGroup-Request', element('GroupID', group)), 800],
    ] as const) {
      await alice.request(request, id);
      await loseAnswer(id);
      await afterRestart();
      expect(codeOf(await alice.request(request, id))).toBe(200);
      expect(codeOf(await alice.request(request, `${id}0`))).toBe(refusal);
    }
  });

  it('while the first is worked on waits for its answer', async () => {
    const request = message('once', [userId('bob')]);
    const answers = await Promise.all(Array.from({ length: 5 }, () => alice.request(request, '79')));
    expect(new Set(answers.map((answer) => textOf(answer, 'MessageID'))).size).toBe(1);
    expect(await (await here.phone('bob').start()).messages()).toEqual(['once']);
  });

  it('a login while the first is worked on gets the same session', async () => {
    const phone = here.phone('bob');
    const request = phone.loginElement(element('Password', 'bob-secret'));
    const answers = await Promise.all(Array.from({ length: 5 }, () => phone.request(request, '1')));
    expect(answers.map(codeOf)).toEqual([200, 200, 200, 200, 200]);
    expect(new Set(answers.map((answer) => textOf(answer, 'SessionID'))).size).toBe(1);
  });
});
