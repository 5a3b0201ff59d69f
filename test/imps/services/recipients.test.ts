import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { creating, group, groupName, joining, screenName } from '../tools/groups.js';
import { codeOf, detailsOf, message, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
let bob: Phone;
let carol: Phone;
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
  bob = await here.phone('bob').start();
  carol = await here.phone('carol').start();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const friends = 'wv:alice/friends@ims.test';
const list = (name: string): Element => element('ContactList', name);
const user = (name: string): Element => element('User', element('UserID', userId(name)));
const makeList = (...names: readonly string[]): Promise<Element> =>
  alice.request(
    element(
      'CreateList-Request',
      list(friends),
      element(
        'NickList',
        names.map((name) => element('UserID', userId(name))),
      ),
    ),
  );
const to = (text: string, ...recipients: readonly Element[]): Element =>
  element(
    'SendMessage-Request',
    element('DeliveryReport', true),
    element('MessageInfo', element('Recipient', recipients)),
    element('ContentData', text),
  );
const reports = async (): Promise<string[]> =>
  (await alice.drain())
    .filter(({ name }) => name === 'DeliveryReport-Request')
    .map((report) => {
      const recipient = child(child(report, 'MessageInfo'), 'Recipient');
      return `${codeOf(report)} ${textOf(child(recipient, 'User'), 'UserID')}`;
    });
const blockAlice = (phone: Phone): Promise<number> =>
  phone.code(
    element(
      'BlockEntity-Request',
      element('BlockList', element('EntityList', element('UserID', userId('alice')))),
      element('BlockListInUse', true),
    ),
  );

describe('a contact list as recipient', () => {
  it.each(['1.1', '1.2', '1.3'] as const)(
    'stands for its members, each of whom gets a message of his own: %s',
    async (version) => {
      await makeList('bob', 'carol');
      const sender = await here.phone('alice', { version, clientId: 'wv:v' }).start();
      expect(await sender.code(to('hello friends', list(friends)))).toBe(200);
      for (const [phone, name] of [
        [bob, 'bob'],
        [carol, 'carol'],
      ] as const) {
        const [got, ...more] = await phone.drain();
        expect([textOf(got, 'ContentData'), more.length]).toEqual(['hello friends', 0]);
        const shown = child(child(child(got, 'MessageInfo'), 'Recipient'), 'User');
        expect(textOf(shown, 'UserID')).toBe(userId(name));
      }
      await sender.request(element('Logout-Request'));
      expect((await reports()).sort()).toEqual([`200 ${userId('bob')}`, `200 ${userId('carol')}`]);
    },
  );

  it('names the members who do not get it', async () => {
    await makeList('bob', 'carol');
    await blockAlice(bob);
    const sent = await alice.request(to('x', list(friends)));
    expect([codeOf(sent), detailsOf(sent)]).toEqual([201, [`532 ${userId('bob')}`]]);
    expect(await carol.messages()).toEqual(['x']);
    await blockAlice(carol);
    const none = await alice.request(to('y', list(friends)));
    expect([codeOf(none), textOf(none, 'MessageID')]).toEqual([900, undefined]);
  });

  it('is 700 when it is none, or the list of another', async () => {
    await makeList('bob');
    expect(detailsOf(await alice.request(to('x', list('wv:alice/none'))))).toEqual(['700 wv:alice/none']);
    expect(detailsOf(await bob.request(to('x', list(friends))))).toEqual([`700 ${friends}`]);
    expect(await bob.messages()).toEqual([]);
  });
});

describe('recipients of several kinds', () => {
  it('get one message each, also where one is named twice', async () => {
    await makeList('bob', 'carol');
    await bob.request(creating());
    await alice.request(element('CreateGroup-Request', group, element('JoinGroup', true)));
    await carol.request(joining());
    await alice.drain();
    const sent = await alice.request(
      to('all of you', user('bob'), element('Group', group), list(friends), user('nobody')),
    );
    expect([codeOf(sent), detailsOf(sent)]).toEqual([201, [`531 ${userId('nobody')}`]]);
    expect(await bob.messages()).toEqual(['all of you']);
    const seen = (await carol.drain()).map((got) => child(child(got, 'MessageInfo'), 'Recipient'));
    expect(seen).toHaveLength(1);
  });

  it('may be two clients of one user, each of which gets it', async () => {
    const at = (url: string): Element =>
      element('User', element('UserID', userId('bob')), element('ClientID', element('URL', url)));
    const [one, other] = [
      await here.phone('bob', { clientId: 'wv:one' }).start(),
      await here.phone('bob', { clientId: 'wv:other' }).start(),
    ];
    expect(await alice.code(to('both', at('wv:one'), at('wv:other')))).toBe(200);
    expect([await one.messages(), await other.messages(), await bob.messages()]).toEqual([
      ['both'],
      ['both'],
      [],
    ]);
    expect(await reports()).toEqual([`200 ${userId('bob')}`]);
  });

  it('are at most as many as the operator allows: 402', async () => {
    await here.close();
    here = await world({ messages: { recipientLimit: 2 } });
    alice = await here.phone('alice').start();
    expect(await alice.code(message('x', [userId('bob'), userId('carol'), userId('alice')]))).toBe(402);
    expect(await alice.code(message('x', [userId('bob'), userId('carol')]))).toBe(200);
  });
});

describe('a message of a phone that forwards', () => {
  const waiting = async (): Promise<string> => {
    await bob.request(element('SetDeliveryMethod-Request', element('DeliveryMethod', 'N')));
    const sent = await alice.request(message('pass on', [userId('bob')], element('DeliveryReport', true)));
    await bob.drain();
    return textOf(sent, 'MessageID') ?? '';
  };
  const forward = (id: string, ...recipients: readonly Element[]): Element =>
    element('ForwardMessage-Request', element('MessageID', id), element('Recipient', recipients));

  it('may go to a group and to a list', async () => {
    const id = await waiting();
    await alice.request(creating({}, element('JoinGroup', true), screenName('Queen')));
    await bob.request(joining());
    await carol.request(joining());
    expect((await bob.request(forward(id, element('Group', group)))).name).toBe('ForwardMessage-Response');
    const got = (await carol.drain()).find(({ name }) => name === 'NewMessage');
    expect([
      textOf(got, 'ContentData'),
      textOf(child(child(child(got, 'MessageInfo'), 'Recipient'), 'Group'), 'GroupID'),
    ]).toEqual(['pass on', groupName]);
    expect(await reports()).toEqual([`541 ${userId('bob')}`]);
  });

  it('is kept when nobody got it, and is answered by a Status that names them', async () => {
    const id = await waiting();
    const answer = await bob.request(forward(id, user('nobody')));
    expect([answer.name, codeOf(answer), detailsOf(answer)]).toEqual([
      'Status',
      900,
      [`531 ${userId('nobody')}`],
    ]);
    const kept = await bob.request(element('GetMessage-Request', element('MessageID', id)));
    expect(textOf(kept, 'ContentData')).toBe('pass on');
    expect(await reports()).toEqual([]);
  });

  it('is answered by a Status before 1.3, and is 426 when there is no such message', async () => {
    const id = await waiting();
    const old = await here.phone('bob', { version: '1.2', clientId: 'wv:old' }).start();
    const answer = await old.request(forward(id, user('carol')));
    expect([answer.name, codeOf(answer)]).toEqual(['Status', 200]);
    expect(await old.code(forward(id, user('carol')))).toBe(426);
    expect(await old.code(element('ForwardMessage-Request', element('MessageID', 'x')))).toBe(426);
  });
});
