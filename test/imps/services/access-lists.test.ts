import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { detailsOf, message, type Phone } from '../tools/phone.js';
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

const toBob = (text: string, ...info: readonly Element[]): Element => message(text, [userId('bob')], ...info);

describe('block and grant lists', () => {
  const entity = (name: string, part: string, ...users: readonly string[]): Element =>
    element(
      name,
      element(
        part,
        users.map((user) => element('UserID', userId(user))),
      ),
    );
  const block = (...parts: readonly Element[]) => bob.code(element('BlockEntity-Request', parts));
  const refused = async (phone: Phone): Promise<boolean> =>
    detailsOf(await phone.request(toBob('x')))[0]?.startsWith('532') ?? false;

  it('refuse who is blocked, and only while the list is in use', async () => {
    const carol = await here.phone('carol').start();
    await block(entity('BlockList', 'AddList', 'alice'));
    expect(await refused(alice)).toBe(false);
    await block(element('BlockListInUse', true));
    expect([await refused(alice), await refused(carol)]).toEqual([true, false]);
    await block(entity('BlockList', 'RemoveList', 'alice'));
    expect(await refused(alice)).toBe(false);
  });

  it('refuse who is not granted, while the grant list is in use', async () => {
    const carol = await here.phone('carol').start();
    await block(entity('GrantList', 'EntityList', 'carol'), element('GrantListInUse', true));
    expect([await refused(alice), await refused(carol)]).toEqual([true, false]);
    await block(entity('BlockList', 'EntityList', 'carol'), element('BlockListInUse', true));
    expect(await refused(carol)).toBe(true);
  });

  it('are shown in the shape of each version', async () => {
    await block(entity('BlockList', 'EntityList', 'alice', 'carol'), element('BlockListInUse', true));
    const new13 = await bob.request(element('GetBlockedList-Request'));
    expect(textOf(new13, 'BlockListInUse')).toBe('T');
    expect(child(child(new13, 'BlockList'), 'EntityList')?.children.map(({ text }) => text)).toEqual([
      userId('alice'),
      userId('carol'),
    ]);
    const old = await here.phone('bob', { version: '1.2', clientId: 'wv:old' }).start();
    const old12 = await old.request(element('GetBlockedList-Request'));
    expect(textOf(child(old12, 'BlockList'), 'InUse')).toBe('T');
    expect(child(old12, 'BlockListInUse')).toBeUndefined();
    await old.request(element('BlockEntity-Request', element('BlockList', element('InUse', false))));
    expect(await refused(alice)).toBe(false);
  });

  const group = element('GroupID', 'wv:carol/chess@ims.test');
  const join = element(
    'JoinGroup-Request',
    group,
    element('JoinedRequest', false),
    element('SubscribeNotification', false),
  );
  const toGroup = element(
    'SendMessage-Request',
    element('DeliveryReport', false),
    element('MessageInfo', element('Recipient', element('Group', group))),
    element('ContentData', 'all'),
  );
  const entry: Readonly<Record<string, Element>> = {
    UserID: element('UserID', userId('alice')),
    GroupID: group,
    ScreenName: element('ScreenName', element('SName', 'Queen'), group),
    ContactList: element('ContactList', 'wv:bob/pests@ims.test'),
    ApplicationID: element('ApplicationID', 'chess'),
  };
  const inApplication = toBob(
    'x',
    element('Sender', element('User', element('UserID', userId('alice')), element('ApplicationID', 'chess'))),
  );

  /** Alice writes to Bob, from her application, and to the group. @returns which of the three Bob got */
  const got = async (player: Phone): Promise<string> => {
    await alice.request(toBob('user'));
    await player.request(
      element('SendMessage-Request', [
        ...inApplication.children.slice(0, -1),
        element('ContentData', 'game'),
      ]),
    );
    await alice.request(toGroup);
    return (await bob.messages()).sort().join(' ');
  };

  it.each([
    ['UserID', '', 'all game user'],
    ['GroupID', 'game user', 'all'],
    ['ScreenName', 'game user', 'all'],
    ['ContactList', '', 'all game user'],
    ['ApplicationID', 'all user', 'game'],
  ])('hold for a %s', async (kind, whenBlocked, whenGranted) => {
    const carol = await here.phone('carol').start();
    await carol.request(element('CreateGroup-Request', group, element('GroupProperties')));
    await bob.request(join);
    await alice.request(element('JoinGroup-Request', [...join.children, entry['ScreenName']]));
    await bob.request(
      element(
        'CreateList-Request',
        entry['ContactList'],
        element('NickList', element('UserID', userId('alice'))),
      ),
    );
    const player = await here.phone('alice', { clientId: 'wv:game', applicationId: 'chess' }).start();
    expect(await got(player)).toBe('all game user');
    const only = (list: string, use: boolean): Element[] => [
      element(list, element('EntityList', entry[kind])),
      element(`${list}InUse`, use),
    ];
    expect(await block(...only('BlockList', true))).toBe(200);
    expect(await got(player)).toBe(whenBlocked);
    expect(await block(...only('BlockList', false), ...only('GrantList', true))).toBe(200);
    expect(await got(player)).toBe(whenGranted);
    const shown = await bob.request(element('GetBlockedList-Request'));
    const names = child(child(shown, 'GrantList'), 'EntityList')?.children.map(({ name }) => name);
    expect(names).toEqual([kind]);
  });

  it('are refused with an address that is none, or longer than the operator allows', async () => {
    const only = (inner: Element): Element => element('BlockList', element('AddList', inner));
    expect(await block(only(element('UserID', 'wv:')))).toBe(531);
    expect(await block(only(element('GroupID', 'wv:')))).toBe(800);
    expect(await block(only(element('ContactList', 'wv:')))).toBe(700);
    await here.close();
    here = await world({ limits: { accessList: 2 } });
    bob = await here.phone('bob').start();
    expect(await block(entity('BlockList', 'AddList', 'alice', 'carol'))).toBe(200);
    expect(await block(entity('BlockList', 'AddList', 'dave'))).toBe(403);
    expect(await block(entity('BlockList', 'EntityList', 'dave'))).toBe(200);
  });
});
