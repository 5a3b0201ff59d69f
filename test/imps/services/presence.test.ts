import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { child, childrenOf, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { presence } from '../../../src/imps/services/presence-store.js';
import { codeOf, detailsOf, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
let alice: Phone;
let bob: Phone;
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
  bob = await here.phone('bob').start();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const names = (...attributes: readonly string[]): Element =>
  element(
    'PresenceSubList',
    attributes.map((name) => element(name)),
  );
const users = (...of: readonly string[]): Element =>
  element(
    'UserIDList',
    of.map((name) => element('UserID', userId(name))),
  );
const value = (name: string, text: string): Element =>
  element(name, element('Qualifier', true), element('PresenceValue', text));
const update = (...attributes: readonly Element[]): Element =>
  element('UpdatePresence-Request', element('PresenceSubList', attributes));
/** Lets a user see attributes of the one whose phone it is. */
const grant = (phone: Phone, to: string, ...attributes: readonly string[]) =>
  phone.request(
    element('CreateAttributeList-Request', names(...attributes), users(to), element('DefaultList', false)),
  );
const grantAll = (phone: Phone, ...attributes: readonly string[]) =>
  phone.request(element('CreateAttributeList-Request', names(...attributes), element('DefaultList', true)));
const subscribe = (to: string, ...attributes: readonly string[]): Element =>
  element('SubscribePresence-Request', users(to), names(...attributes));
/** Attributes with their values in the notifications that wait: `user Attribute=value`. */
async function notified(phone: Phone): Promise<string[]> {
  const seen = (await phone.drain()).filter(({ name }) => name === 'PresenceNotification-Request');
  return seen.flatMap((one) =>
    childrenOf(one, 'Presence').flatMap((presence) =>
      (child(presence, 'PresenceSubList')?.children ?? []).map(
        (attribute) =>
          `${textOf(presence, 'UserID')?.slice(3).split('@')[0]} ${attribute.name}=${textOf(attribute, 'PresenceValue') ?? ''}`,
      ),
    ),
  );
}
const presenceOf = async (
  phone: Phone,
  of: string,
  ...attributes: readonly string[]
): Promise<Element | undefined> =>
  child(
    child(await phone.request(element('GetPresence-Request', users(of), names(...attributes))), 'Presence'),
    'PresenceSubList',
  );

describe('presence', () => {
  it('is notified at once to one who may see it, and then with every change of what was asked for', async () => {
    await grant(alice, 'bob', 'OnlineStatus', 'UserAvailability', 'StatusText');
    await alice.request(update(value('UserAvailability', 'DISCREET')));
    expect(await bob.code(subscribe('alice', 'OnlineStatus', 'UserAvailability'))).toBe(200);
    expect(await notified(bob)).toEqual(['alice OnlineStatus=T', 'alice UserAvailability=DISCREET']);
    await alice.request(update(value('UserAvailability', 'AVAILABLE'), value('StatusText', 'not asked for')));
    expect(await notified(bob)).toEqual(['alice UserAvailability=AVAILABLE']);
    await alice.request(update(value('UserAvailability', 'AVAILABLE')));
    expect(await notified(bob)).toEqual([]);
  });

  it('shows only what is granted, and an empty list asks for all of that', async () => {
    await alice.request(update(value('StatusText', 'hi'), value('StatusMood', 'HAPPY')));
    await grant(alice, 'bob', 'StatusText');
    expect((await presenceOf(bob, 'alice'))?.children.map(({ name }) => name)).toEqual(['StatusText']);
    expect((await presenceOf(bob, 'alice', 'StatusMood'))?.children).toEqual([]);
    expect((await presenceOf(alice, 'alice'))?.children.map(({ name }) => name)).toEqual([
      'OnlineStatus',
      'Registration',
      'StatusText',
      'StatusMood',
    ]);
  });

  it('of the user decides before that of his contact lists, and those before the default', async () => {
    await alice.request(update(value('StatusText', 'hi'), value('StatusMood', 'SAD'), value('Alias', 'Al')));
    const shown = async (): Promise<string[]> =>
      ((await presenceOf(bob, 'alice'))?.children ?? []).map(({ name }) => name);
    await grantAll(alice, 'Alias');
    expect(await shown()).toEqual(['Alias']);
    await alice.request(
      element(
        'CreateList-Request',
        element('ContactList', 'wv:alice/work'),
        element('NickList', element('UserID', userId('bob'))),
      ),
    );
    const byList = element('ContactListIDList', element('ContactList', 'wv:alice/work'));
    await alice.request(
      element('CreateAttributeList-Request', names('StatusMood'), byList, element('DefaultList', false)),
    );
    expect(await shown()).toEqual(['StatusMood']);
    await grant(alice, 'bob', 'StatusText');
    expect(await shown()).toEqual(['StatusText']);
    await alice.request(
      element('DeleteAttributeList-Request', users('bob'), byList, element('DefaultList', false)),
    );
    expect(await shown()).toEqual(['Alias']);
  });

  it('of one who goes is told, of each of his clients, and that he is offline with the last', async () => {
    await grantAll(alice, 'OnlineStatus');
    const second = await here.phone('alice', { clientId: 'wv:second' }).start();
    await bob.request(subscribe('alice', 'OnlineStatus'));
    expect(await notified(bob)).toEqual(['alice OnlineStatus=T', 'alice OnlineStatus=T']);
    await second.request(element('Logout-Request'));
    expect(await notified(bob)).toEqual(['alice OnlineStatus=T']);
    await alice.request(element('Logout-Request'));
    expect(await notified(bob)).toEqual(['alice OnlineStatus=F']);
  });

  it('has one instance a client with its ClientID in 1.3, and one without before', async () => {
    await grantAll(alice, 'ClientInfo');
    const second = await here.phone('alice', { clientId: 'wv:second' }).start();
    const clientInfo = (type: string): Element =>
      update(
        element(
          'ClientInfo',
          element('Qualifier', true),
          element('ClientType', type),
          element('ClientIMPriority', 3),
        ),
      );
    await alice.request(clientInfo('MOBILE_PHONE'));
    here.clock.advance(10);
    await second.request(clientInfo('COMPUTER'));
    const in13 = childrenOf(await presenceOf(bob, 'alice', 'ClientInfo'), 'ClientInfo');
    expect(
      in13.map((one) => [textOf(one, 'ClientType'), textOf(child(one, 'ClientID'), 'URL')]).sort(),
    ).toEqual([
      ['COMPUTER', 'wv:second'],
      ['MOBILE_PHONE', 'wv:test1$lab@maker.m1.1'],
    ]);
    const old = await here.phone('carol', { version: '1.2' }).start();
    const answer = await old.request(
      element(
        'GetPresence-Request',
        element('User', element('UserID', userId('alice'))),
        names('ClientInfo'),
      ),
    );
    const [in12, ...others] = childrenOf(child(child(answer, 'Presence'), 'PresenceSubList'), 'ClientInfo');
    expect(others).toEqual([]);
    expect([child(in12, 'ClientID'), child(in12, 'ClientIMPriority')]).toEqual([undefined, undefined]);
  });

  it('with an unknown attribute is 750, with a value that is none 751', async () => {
    expect(await alice.code(update(element('Weather')))).toBe(750);
    expect(await alice.code(update(value('UserAvailability', 'MAYBE')))).toBe(751);
    expect(await bob.code(subscribe('alice', 'Weather'))).toBe(750);
    expect(await alice.code(element('UpdatePresence-Request'))).toBe(400);
  });

  it('is set by the server alone for OnlineStatus and Registration', async () => {
    await alice.request(update(value('OnlineStatus', 'F')));
    expect(
      textOf(child(await presenceOf(alice, 'alice', 'OnlineStatus'), 'OnlineStatus'), 'PresenceValue'),
    ).toBe('T');
  });

  it('is taken away by an attribute with Qualifier F and no value', async () => {
    await alice.request(update(value('StatusText', 'hi')));
    await alice.request(update(element('StatusText', element('Qualifier', false))));
    expect((await presenceOf(alice, 'alice', 'StatusText'))?.children).toEqual([]);
  });

  it('of unknown users is 531 for each', async () => {
    const answer = await bob.request(element('SubscribePresence-Request', users('alice', 'nobody')));
    expect([codeOf(answer), detailsOf(answer)]).toEqual([201, ['531 wv:nobody@ims.test']]);
  });

  it('is watched until the session that subscribed ends, or unsubscribes', async () => {
    await grantAll(alice, 'StatusText');
    const watchers = async (): Promise<string | undefined> =>
      textOf(await alice.request(element('GetWatcherList-Request')), 'WatcherCount');
    const isWatched = (): Promise<boolean> => here.server.presence.isWatched(userId('alice'));
    await bob.request(subscribe('alice', 'StatusText'));
    expect(await watchers()).toBe('1');
    expect(await isWatched()).toBe(true);
    const second = await here.phone('bob', { clientId: 'wv:second' }).start();
    await second.request(subscribe('alice', 'StatusText'));
    await bob.request(element('UnsubscribePresence-Request', users('alice')));
    expect(await isWatched()).toBe(true);
    await second.request(element('Logout-Request'));
    expect(await watchers()).toBe('0');
    expect(await isWatched()).toBe(false);
    await bob.request(subscribe('alice', 'StatusText'));
    await bob.request(element('Logout-Request'));
    expect(await watchers()).toBe('0');
    expect(await isWatched()).toBe(false);
  });

  it('of users outside comes from the presence source, and its changes are notified', async () => {
    await here.close();
    const watched: string[] = [];
    const outside = userId('outside');
    const list = element('PresenceSubList', value('StatusText', 'out there'));
    here = await world(
      {},
      {
        router: {
          report: async () => undefined,
          mayKnow: async () => false,
          knows: async (user) => user === outside,
          claims: async () => false,
          blocks: async () => false,
          route: async () => ({ kind: 'taken' }),
        },
        presence: {
          hides: async (owner) => owner === userId('bob'),
          fetch: async (user) => (user === outside ? list : undefined),
          watch: async (user, watcher) => {
            if (user === outside) watched.push('watch');
            return watcher === userId('carol');
          },
          unwatch: async (user) => void (user === outside && watched.push('unwatch')),
          changed: async () => undefined,
        },
      },
    );
    bob = await here.phone('bob').start();
    expect(textOf(child(await presenceOf(bob, 'outside'), 'StatusText'), 'PresenceValue')).toBe('out there');
    await bob.request(subscribe('outside', 'StatusText'));
    await here.server.publishPresence(outside, element('PresenceSubList', value('StatusText', 'new')));
    expect(await notified(bob)).toEqual(['outside StatusText=new']);
    await bob.request(element('Logout-Request'));
    expect(watched).toEqual(['watch', 'unwatch']);
    const carol = await here.phone('carol').start();
    await carol.request(subscribe('outside', 'StatusText', 'OnlineStatus'));
    await here.server.presence.tell(
      outside,
      userId('carol'),
      element('PresenceSubList', value('StatusText', 'for carol'), value('StatusMood', 'HAPPY')),
    );
    expect(await notified(carol)).toEqual(['outside StatusText=for carol']);
  });
});

describe('authorization', () => {
  it('of 1.3 is asked for by notification ANU, and what the owner grants then is notified', async () => {
    await alice.request(
      element(
        'SubscribeNotification-Request',
        element('NotificationTypeList', element('NotificationType', 'ANU')),
      ),
    );
    await alice.request(update(value('StatusText', 'hi')));
    expect(await bob.code(subscribe('alice', 'StatusText'))).toBe(200);
    expect(await notified(bob)).toEqual([]);
    const [asked] = await alice.drain();
    expect([textOf(asked, 'NotificationType'), textOf(child(asked, 'UserIDList'), 'UserID')]).toEqual([
      'ANU',
      userId('bob'),
    ]);
    await grant(alice, 'bob', 'StatusText');
    expect(await notified(bob)).toEqual(['alice StatusText=hi']);
  });

  it.each(['Request', 'Response'] as const)(
    'before 1.3 is asked for by PresenceAuth-Request once, and answered in %s mode',
    async (mode) => {
      const old = await here.phone('carol', { version: '1.2' }).start();
      await old.request(update(value('StatusText', 'hi')));
      const get = element('GetPresence-Request', element('User', element('UserID', userId('carol'))));
      const asker = await here.phone('bob', { version: '1.2', clientId: 'wv:old' }).start();
      expect(detailsOf(await asker.request(get))).toEqual(['521 wv:carol@ims.test']);
      await asker.request(get);
      const [request, ...more] = await old.poll();
      expect([request?.primitive?.name, more.length]).toEqual(['PresenceAuth-Request', 0]);
      const answer = element(
        'PresenceAuth-User',
        element('UserID', userId('bob')),
        element('Acceptance', true),
      );
      if (mode === 'Response') await old.respond(request!.id, answer);
      else await old.request(answer);
      const shown = child(child(await asker.request(get), 'Presence'), 'PresenceSubList');
      expect(textOf(child(shown, 'StatusText'), 'PresenceValue')).toBe('hi');
      const states = await old.request(element('GetReactiveAuthStatus-Request'));
      const [state] = child(states, 'ReactiveAuthStatusList')?.children ?? [];
      expect(textOf(state, 'ReactiveAuthState')).toBe('GRANTED');
      await old.request(element('CancelAuth-Request', element('UserID', userId('bob'))));
      expect(detailsOf(await asker.request(get))).toEqual(['521 wv:carol@ims.test']);
    },
  );

  it('that is denied shows nothing and asks no more', async () => {
    const old = await here.phone('carol', { version: '1.2' }).start();
    await bob.request(subscribe('carol', 'StatusText'));
    await old.drain();
    await old.request(
      element('PresenceAuth-User', element('UserID', userId('bob')), element('Acceptance', false)),
    );
    await old.request(update(value('StatusText', 'secret')));
    expect(await notified(bob)).toEqual([]);
    await bob.request(subscribe('carol', 'StatusText'));
    expect(await old.drain()).toEqual([]);
  });

  it('is given to at most as many users and lists as the operator allows: 755', async () => {
    await here.close();
    here = await world({ limits: { attributeLists: 1 } });
    alice = await here.phone('alice').start();
    expect(codeOf(await grant(alice, 'bob', 'StatusText'))).toBe(200);
    expect(codeOf(await grant(alice, 'carol', 'StatusText'))).toBe(755);
    expect(codeOf(await grant(alice, 'bob', 'Alias'))).toBe(200);
  });

  it('lists are shown with their flags in 1.3', async () => {
    await alice.request(
      element(
        'CreateAttributeList-Request',
        names('OnlineStatus'),
        users('bob'),
        element('DefaultList', true),
        element('UserNotify', true),
      ),
    );
    const answer = await alice.request(element('GetAttributeList-Request', element('DefaultList', true)));
    expect(child(child(answer, 'DefaultAttributeList'), 'PresenceSubList')?.children[0]?.name).toBe(
      'OnlineStatus',
    );
    const [entry] = childrenOf(answer, 'Presence');
    expect([textOf(entry, 'UserID'), textOf(entry, 'UserNotify')]).toEqual([userId('bob'), 'T']);
  });
});

describe('contact lists', () => {
  const list = 'wv:alice/friends@ims.test';
  const create = (...parts: readonly Element[]): Element =>
    element('CreateList-Request', element('ContactList', list), parts);
  const manage = (...parts: readonly Element[]): Element =>
    element('ListManage-Request', element('ContactList', list), parts);
  const nick = (name: string, nickname: string): Element =>
    element('NickName', element('Name', nickname), element('UserID', userId(name)));
  const members = (answer: Element): string[] =>
    (child(answer, 'NickList')?.children ?? []).map((one) => textOf(one, 'UserID') ?? one.text);

  it('are made, listed, changed and deleted', async () => {
    const made = await alice.request(
      create(element('NickList', nick('bob', 'Bobby'), element('UserID', userId('carol')))),
    );
    expect(made.name).toBe('CreateList-Response');
    const lists = await alice.request(element('GetList-Request'));
    expect(textOf(lists, 'DefaultContactList')).toBe(list);
    const whole = await alice.request(manage(element('ReceiveList', true)));
    expect(members(whole)).toEqual([userId('bob'), userId('carol')]);
    await alice.request(manage(element('RemoveNickList', element('UserID', userId('bob')))));
    expect(members(await alice.request(manage(element('ReceiveList', true))))).toEqual([userId('carol')]);
    expect(await alice.code(element('DeleteList-Request', element('ContactList', list)))).toBe(200);
    expect(await alice.code(manage(element('ReceiveList', true)))).toBe(700);
  });

  it('take the user from User inside NickName, as one client writes it', async () => {
    const odd = element('NickName', element('Name', 'B'), element('User', element('UserID', userId('bob'))));
    await alice.request(create(element('NickList', odd)));
    expect(members(await alice.request(manage(element('ReceiveList', true))))).toEqual([userId('bob')]);
  });

  it('name users who are not known with 531, and take the others', async () => {
    const answer = await alice.request(create(element('NickList', nick('bob', 'B'), nick('nobody', 'N'))));
    expect([codeOf(answer), detailsOf(answer)]).toEqual([201, ['531 wv:nobody@ims.test']]);
  });

  it('are 701 when they are there, 752 in the name of another or with a property that is none', async () => {
    await alice.request(create());
    expect(await alice.code(create())).toBe(701);
    expect(await bob.code(create())).toBe(752);
    const color = element('Property', element('Name', 'Color'), element('Value', 'red'));
    expect(await alice.code(manage(element('ContactListProperties', color)))).toBe(752);
    expect(await alice.code(element('DeleteList-Request', element('ContactList', 'wv:alice/none')))).toBe(
      700,
    );
  });

  it('are at most as many, and as long, as the operator allows: 753, 754', async () => {
    await here.close();
    here = await world({ limits: { contactLists: 1, contacts: 1 } });
    alice = await here.phone('alice').start();
    expect(await alice.code(create(element('NickList', nick('bob', 'B'), nick('carol', 'C'))))).toBe(754);
    await alice.request(create());
    const second = element('CreateList-Request', element('ContactList', 'wv:alice/second'));
    expect(await alice.code(second)).toBe(753);
  });

  it('have exactly one default, which moves when another is made so', async () => {
    await alice.request(create());
    const isDefault = element(
      'ContactListProperties',
      element('Property', element('Name', 'Default'), element('Value', 'T')),
    );
    await alice.request(element('CreateList-Request', element('ContactList', 'wv:alice/second'), isDefault));
    const in13 = await alice.request(element('GetList-Request'));
    expect(textOf(in13, 'DefaultContactList')).toBe('wv:alice/second@ims.test');
    expect(child(in13, 'ContactListIDList')?.children.map(({ text }) => text)).toEqual([list]);
    const old = await here.phone('alice', { version: '1.1', clientId: 'wv:old' }).start();
    const in11 = await old.request(element('GetList-Request'));
    expect(childrenOf(in11, 'ContactList').map(({ text }) => text)).toEqual([
      list,
      'wv:alice/second@ims.test',
    ]);
  });

  it('subscribed with AutoSubscribe carry the subscription to members that come later', async () => {
    const carol = await here.phone('carol').start();
    await grantAll(bob, 'StatusText');
    await grantAll(carol, 'StatusText');
    await bob.request(update(value('StatusText', 'bob here')));
    await carol.request(update(value('StatusText', 'carol here')));
    await alice.request(create(element('NickList', nick('bob', 'B'))));
    await alice.request(
      element(
        'SubscribePresence-Request',
        element('ContactListIDList', element('ContactList', list)),
        names('StatusText'),
        element('AutoSubscribe', true),
      ),
    );
    expect(await notified(alice)).toEqual(['bob StatusText=bob here']);
    await alice.request(manage(element('AddNickList', nick('carol', 'C'))));
    expect(await notified(alice)).toEqual(['carol StatusText=carol here']);
    await alice.request(manage(element('RemoveNickList', element('UserID', userId('bob')))));
    await bob.request(update(value('StatusText', 'gone')));
    expect(await notified(alice)).toEqual([]);
  });

  it.each([
    { holds: 'another list that is followed', also: 'wv:alice/second' },
    { holds: 'the user itself', also: undefined },
  ])('leave a subscription that $holds holds, and the last ends it', async ({ also }) => {
    const ofList = (name: string, id: string): Element =>
      element(name, element('ContactListIDList', element('ContactList', id)), names('StatusText'));
    const following = (id: string): Element => {
      const request = ofList('SubscribePresence-Request', id);
      return { ...request, children: [...request.children, element('AutoSubscribe', true)] };
    };
    const seen = async (text: string): Promise<string[]> => {
      await bob.request(update(value('StatusText', text)));
      return notified(alice);
    };
    const member = element('NickList', nick('bob', 'B'));
    await grantAll(bob, 'StatusText');
    await alice.request(create(member));
    if (also === undefined) await alice.request(subscribe('bob', 'StatusText'));
    else {
      await alice.request(element('CreateList-Request', element('ContactList', also), member));
      await alice.request(following(also));
    }
    const first = async (): Promise<void> => void (await alice.request(following(list)));
    await first();
    await alice.request(manage(element('RemoveNickList', element('UserID', userId('bob')))));
    await alice.drain();
    expect(await seen('removed')).toEqual(['bob StatusText=removed']);
    await alice.request(manage(element('AddNickList', nick('bob', 'B'))));
    await alice.request(ofList('UnsubscribePresence-Request', list));
    await alice.drain();
    expect(await seen('unsubscribed')).toEqual(['bob StatusText=unsubscribed']);
    await first();
    await alice.request(element('DeleteList-Request', element('ContactList', list)));
    await alice.drain();
    expect(await seen('deleted')).toEqual(['bob StatusText=deleted']);
    await alice.request(
      also === undefined
        ? element('UnsubscribePresence-Request', users('bob'))
        : element('DeleteList-Request', element('ContactList', also)),
    );
    expect(await seen('nobody looks')).toEqual([]);
    // made again, it is followed by nobody
    await alice.request(create());
    await alice.request(manage(element('AddNickList', nick('bob', 'B'))));
    expect(await seen('nobody follows')).toEqual([]);
  });

  it('tell the other clients of their owner, and who was added, by notification', async () => {
    const types = ['CLCR', 'CLC', 'CLD', 'ATCL'].map((type) => element('NotificationType', type));
    const all = element('SubscribeNotification-Request', element('NotificationTypeList', types));
    const second = await here.phone('alice', { clientId: 'wv:second' }).start();
    for (const phone of [alice, second, bob]) await phone.request(all);
    const seen = async (phone: Phone): Promise<(string | undefined)[]> =>
      (await phone.drain()).map((one) => textOf(one, 'NotificationType'));
    await alice.request(create());
    await alice.request(manage(element('AddNickList', nick('bob', 'B'))));
    await alice.request(element('DeleteList-Request', element('ContactList', list)));
    expect(await seen(second)).toEqual(['CLCR', 'CLC', 'CLD']);
    expect(await seen(alice)).toEqual([]);
    expect(await seen(bob)).toEqual(['ATCL']);
  });

  it('with AuthorizeAndGrant let the added see the owner', async () => {
    await alice.request(create());
    await alice.request(update(value('StatusText', 'hi')));
    await alice.request(manage(element('AddNickList', nick('bob', 'B')), element('AuthorizeAndGrant', true)));
    expect(textOf(child(await presenceOf(bob, 'alice', 'StatusText'), 'StatusText'), 'PresenceValue')).toBe(
      'hi',
    );
  });
});

describe('general notifications', () => {
  it('of an unknown type are 402, without a list 400, and end with unsubscribing', async () => {
    const request = (name: string, type: string): Element =>
      element(name, element('NotificationTypeList', element('NotificationType', type)));
    expect(await alice.code(request('SubscribeNotification-Request', 'XX'))).toBe(402);
    expect(await alice.code(element('SubscribeNotification-Request'))).toBe(400);
    const second = await here.phone('alice', { clientId: 'wv:second' }).start();
    await second.request(request('SubscribeNotification-Request', 'BLUC'));
    const use = (inUse: boolean) =>
      alice.request(element('BlockEntity-Request', element('BlockListInUse', inUse)));
    await use(true);
    const [told] = await second.drain();
    expect([textOf(told, 'NotificationType'), textOf(told, 'BlockListInUse')]).toEqual(['BLUC', 'T']);
    await second.request(request('UnsubscribeNotification-Request', 'BLUC'));
    await use(false);
    expect(await second.drain()).toEqual([]);
  });
});

it('presence that an older version kept of the SIP side for good does not make a user online who is not', async () => {
  await grantAll(alice, 'OnlineStatus');
  await alice.request(element('Logout-Request'));
  await here.store.update(presence, userId('alice'), () => ({
    kind: 'put',
    value: { own: { OnlineStatus: value('OnlineStatus', 'T') }, clients: {} },
    result: undefined,
  }));
  const shown = await presenceOf(bob, 'alice', 'OnlineStatus');
  expect(textOf(child(shown, 'OnlineStatus'), 'PresenceValue')).toBe('F');
});

describe('news of a user that wait unread', () => {
  it('are one notification, with the newest of each attribute', async () => {
    await grantAll(alice, 'StatusText', 'StatusMood');
    await bob.request(subscribe('alice', 'StatusText', 'StatusMood'));
    await bob.drain();
    await alice.request(update(value('StatusText', 'in'), value('StatusMood', 'HAPPY')));
    await alice.request(update(value('StatusText', 'out')));
    await alice.request(update(value('StatusText', 'back')));
    const seen = (await bob.drain()).filter(({ name }) => name === 'PresenceNotification-Request');
    expect(seen).toHaveLength(1);
    const shown = child(child(seen[0], 'Presence'), 'PresenceSubList')!.children;
    expect(shown.map((one) => [one.name, textOf(one, 'PresenceValue')])).toEqual([
      ['StatusMood', 'HAPPY'],
      ['StatusText', 'back'],
    ]);
  });
});
