import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/imps/access/digest.js';
import { element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { keyOf, replies, sessions } from '../../../src/imps/state/records.js';
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
const search = element(
  'Search-Request',
  element('SearchPairList', element('SearchElement', 'USER_ID'), element('SearchString', 'ims.test')),
  element('SearchLimit', 1),
);

describe('a transaction that is repeated', () => {
  it.each<[string, Element]>([
    ['a message', message('once', [userId('bob')])],
    ['a group', createGroup],
    ['a contact list', createList],
    ['a search', search],
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

  it('is a transaction of its own once its number may have come again: after ten minutes', async () => {
    const bob = await here.phone('bob').start();
    const request = message('ok', [userId('bob')]);
    await alice.request(request, '80');
    await here.clock.advanceAsync(590_000, 10_000);
    await alice.request(request, '80');
    await here.clock.advanceAsync(20_000, 1000);
    await alice.request(request, '80');
    expect(await bob.messages()).toEqual(['ok', 'ok']);
  });

  it('is one of its own when its client has taken its session up again and counts from the start', async () => {
    const bob = await here.phone('bob').start();
    const request = message('ok', [userId('bob')]);
    await alice.request(request, '80');
    expect(codeOf(await alice.login2(element('SessionID', alice.sessionId ?? '')))).toBe(200);
    await alice.request(request, '80');
    expect(await bob.messages()).toEqual(['ok', 'ok']);
  });

  it('and only reads is answered with what is so now', async () => {
    const getLists = element('GetList-Request');
    await alice.request(getLists, '80');
    await alice.request(createList);
    expect(JSON.stringify(await alice.request(getLists, '80'))).toContain('wv:alice/friends@ims.test');
  });

  it('a login while the first is worked on gets the same session', async () => {
    const phone = here.phone('bob');
    const request = phone.loginElement(element('Password', 'bob-secret'));
    const answers = await Promise.all(Array.from({ length: 5 }, () => phone.request(request, '1')));
    expect(answers.map(codeOf)).toEqual([200, 200, 200, 200, 200]);
    expect(new Set(answers.map((answer) => textOf(answer, 'SessionID'))).size).toBe(1);
  });
});

describe('a login that failed and is repeated', () => {
  it('by digest gets the same challenge, and the same refusal: the nonce is not tried twice', async () => {
    const phone = here.phone('bob', { password: 'wrong' });
    const first = phone.loginElement(element('DigestSchema', 'MD5'));
    const challenge = await phone.request(first, '5');
    expect(await phone.request(first, '5')).toEqual(challenge);
    const digest = digestOf('MD5', textOf(challenge, 'Nonce') ?? '', 'wrong');
    const second = phone.loginElement(element('DigestBytes', digest));
    const codes: number[] = [];
    for (let time = 0; time < 3; time++) codes.push(await phone.code(second, '5'));
    here = await here.restart();
    const same = here.phone('bob', { password: 'wrong' });
    codes.push(await same.code(second, '5'));
    expect(codes).toEqual([409, 409, 409, 409]);
  });

  it('by password is no further guess', async () => {
    const phone = here.phone('bob', { password: 'wrong' });
    const request = phone.loginElement(element('Password', 'wrong'));
    for (let time = 0; time < 15; time++) expect(await phone.code(request, '5')).toBe(409);
    expect(codeOf(await here.phone('bob').login2())).toBe(200);
  });

  it('with the password that it registered in place of its own is told that again, until it has confirmed', async () => {
    const questions = [{ id: 'terms', text: 'Accept?', options: ['Yes', 'No'] }];
    await here.close();
    here = await world({ autoRegistration: { policy: 'open', makePassword: true, questions } });
    const phone = here.phone('newcomer');
    const request = phone.loginElement(element('Password', 'mine'));
    const asked = await phone.request(request, '5');
    expect(codeOf(asked)).toBe(203);
    expect(await phone.request(request, '5')).toEqual(asked);
    await here.server.users.change(userId('newcomer'), (user) => ({ ...user, state: 'active' }));
    expect(await phone.code(request, '5')).toBe(409);
  });
});

describe('a login that is repeated after a restart', () => {
  /** The same request, as the phone sends it that did not get the answer. */
  const again = async (phone: Phone, request: Element, id: string): Promise<Element> => {
    here = await here.restart();
    return here.phone('bob', { ...phone.options, url: here.url }).request(request, id);
  };

  it('by password gets the same answer, and what was stored for the user', async () => {
    await alice.request(message('stored', [userId('bob')]));
    const phone = here.phone('bob');
    const request = phone.loginElement(
      element('Password', 'bob-secret'),
      element('Functions', element('WVCSPFeat', element('IMFeat'))),
      element('CapabilityList', element('ServerPollMin', 30)),
    );
    const first = await phone.request(request, '7');
    expect(codeOf(first)).toBe(200);
    expect(await again(phone, request, '7')).toEqual(first);
    expect(here.trail.counts().get('imps.transaction-repeated')).toBe(1);
    const back = here.phone('bob');
    back.sessionId = textOf(first, 'SessionID');
    expect(await back.messages()).toEqual(['stored']);
  });

  it('by digest gets the same answer, though the nonce is used up', async () => {
    const phone = here.phone('bob');
    const challenge = await phone.request(phone.loginElement(element('DigestSchema', 'MD5')), '7');
    const digest = digestOf('MD5', textOf(challenge, 'Nonce') ?? '', 'bob-secret');
    const request = phone.loginElement(element('DigestBytes', digest));
    const first = await phone.request(request, '7');
    expect(codeOf(first)).toBe(200);
    expect(await again(phone, request, '7')).toEqual(first);
  });

  it('finds what a crash kept from being done: the stored messages are looked for', async () => {
    await alice.request(message('stored', [userId('bob')]));
    const phone = here.phone('bob');
    const request = phone.loginElement(element('Password', 'bob-secret'));
    const first = await phone.request(request, '7');
    const id = textOf(first, 'SessionID') ?? '';
    await here.store.update(sessions, id, (current) => ({
      kind: 'put',
      value: { ...current!, backlog: undefined },
      result: undefined,
    }));
    expect(await again(phone, request, '7')).toEqual(first);
    const back = here.phone('bob');
    back.sessionId = id;
    expect(await back.messages()).toEqual(['stored']);
  });

  it('is a new login when its session is over, or another Transaction-ID asks', async () => {
    const phone = here.phone('bob');
    const request = phone.loginElement(element('Password', 'bob-secret'));
    const first = await phone.request(request, '7');
    expect(codeOf(await again(phone, request, '8'))).toBe(603);
    await here.server.disconnect(textOf(first, 'SessionID') ?? '');
    const second = await again(phone, request, '7');
    expect(codeOf(second)).toBe(200);
    expect(textOf(second, 'SessionID')).not.toBe(textOf(first, 'SessionID'));
  });
});

describe('a repeated logout', () => {
  it.each([
    ['1.1', 'Disconnect'],
    ['1.2', 'Status'],
    ['1.3', 'Status'],
  ] as const)('of CSP %s is answered the same: %s 200, also after a restart', async (version, name) => {
    const phone = await here.phone('bob', { version }).start();
    const id = phone.sessionId;
    const logout = async (transaction: string): Promise<Element> => {
      phone.sessionId = id;
      return phone.request(element('Logout-Request'), transaction);
    };
    const answers = [await logout('70'), await logout('70')];
    here = await here.restart();
    Object.assign(phone.options, { url: here.url });
    answers.push(await logout('70'));
    expect(answers.map((answer) => [answer.name, codeOf(answer)])).toEqual([
      [name, 200],
      [name, 200],
      [name, 200],
    ]);
    expect(codeOf(await logout('71'))).toBe(604);
  });

  it('while the first is worked on waits for it, and the session ends once', async () => {
    const phone = await here.phone('bob').start();
    const id = phone.sessionId;
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => {
        phone.sessionId = id;
        return phone.request(element('Logout-Request'), '70');
      }),
    );
    expect(answers.map(codeOf)).toEqual([200, 200, 200, 200, 200]);
    expect(here.trail.counts().get('imps.session-ended')).toBe(1);
  });

  it('does not end what came after it: a message sent before is answered as it was', async () => {
    const phone = await here.phone('bob').start();
    const id = phone.sessionId;
    const request = message('once', [userId('alice')]);
    const first = await phone.request(request, '70');
    await phone.request(element('Logout-Request'));
    phone.sessionId = id;
    expect(await phone.request(request, '70')).toEqual(first);
    expect(await alice.messages()).toEqual(['once']);
  });
});
