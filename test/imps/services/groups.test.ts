import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { child, childrenOf, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import {
  creating,
  group,
  groupName,
  joining,
  property,
  properties,
  screenName,
  userIds,
} from '../tools/groups.js';
import { codeOf, detailsOf, message, serviceRequest, type Phone } from '../tools/phone.js';
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

const leaving = element('LeaveGroup-Request', group);
const userList = (...names: readonly string[]): Element =>
  element(
    'UserList',
    names.map((name) => element('User', element('UserID', userId(name)))),
  );
const toGroup = (text: string): Element =>
  element(
    'SendMessage-Request',
    element('DeliveryReport', false),
    element(
      'MessageInfo',
      element('ContentSize', text.length),
      element('Recipient', element('Group', group)),
    ),
    element('ContentData', text),
  );
const whisper = (text: string, name: string): Element =>
  element(
    'SendMessage-Request',
    element('DeliveryReport', false),
    element('MessageInfo', element('Recipient', element('Group', screenName(name)))),
    element('ContentData', text),
  );
const createAndJoin = (given: Readonly<Record<string, string>> = {}): Promise<number> =>
  alice.code(
    creating(given, element('JoinGroup', true), screenName('Queen'), element('SubscribeNotification', true)),
  );

describe('a group', () => {
  it('is made in the name of its creator, who is its administrator, and can be deleted by him', async () => {
    expect(await alice.code(creating({ Name: 'Chess' }))).toBe(200);
    const shown = await alice.request(element('GetGroupProps-Request', group));
    const values: Record<string, string> = {};
    for (const one of childrenOf(child(shown, 'GroupProperties'), 'Property')) {
      values[textOf(one, 'Name') ?? ''] = textOf(one, 'Value') ?? '';
    }
    expect(values).toMatchObject({ Name: 'Chess', AccessType: 'Open', ActiveUsers: '0' });
    expect(textOf(child(child(shown, 'OwnProperties'), 'Property'), 'Value')).toBe('Admin');
    expect(await bob.code(element('DeleteGroup-Request', group))).toBe(816);
    expect(await alice.code(element('DeleteGroup-Request', group))).toBe(200);
    expect(await alice.code(element('DeleteGroup-Request', group))).toBe(800);
  });

  it('is 801 when it is there, 806 in the name of another or with a bad property, 821 with a history', async () => {
    await alice.request(creating());
    expect(await alice.code(creating())).toBe(801);
    expect(await bob.code(creating())).toBe(806);
    expect(await alice.code(creating({ AccessType: 'Maybe' }))).toBe(806);
    expect(await alice.code(creating({ ActiveUsers: '5' }))).toBe(806);
    expect(await alice.code(creating({ History: 'T' }))).toBe(821);
  });

  it('takes Accesstype as clients of the field write it', async () => {
    await alice.request(creating({ Accesstype: 'Restricted' }));
    expect(await bob.code(joining())).toBe(810);
  });

  it('is joined under a screen name, with the others, a welcome and notices', async () => {
    const welcome = element(
      'WelcomeNote',
      element('ContentType', 'text/plain'),
      element('ContentData', 'Be kind'),
    );
    await alice.request(
      element(
        'CreateGroup-Request',
        group,
        element('GroupProperties', property('Name', 'Chess'), welcome),
        element('JoinGroup', true),
        screenName('Queen'),
        element('SubscribeNotification', true),
      ),
    );
    const joined = await bob.request(joining(screenName('Knight')));
    expect(textOf(child(joined, 'WelcomeNote'), 'ContentData')).toBe('Be kind');
    expect(textOf(child(joined, 'ScreenName'), 'SName')).toBe('Knight');
    const mapping = child(child(child(joined, 'Joined'), 'UserMapList'), 'UserMapping');
    expect(childrenOf(mapping, 'Mapping').map((one) => textOf(one, 'SName'))).toEqual(['Queen', 'Knight']);
    const [notice] = await alice.drain();
    expect(notice?.name).toBe('GroupChangeNotice');
    const inNotice = child(child(child(notice, 'Joined'), 'UserMapList'), 'UserMapping');
    expect(textOf(child(inNotice, 'Mapping'), 'SName')).toBe('Knight');
    expect(await bob.code(joining())).toBe(807);
    expect(codeOf(await bob.request(leaving))).toBe(200);
    const [left] = await alice.drain();
    expect(textOf(child(child(child(left, 'Left'), 'UserList'), 'ScreenName'), 'SName')).toBe('Knight');
    expect(await bob.code(leaving)).toBe(808);
  });

  it.each([
    ['1.1', 'UserList'],
    ['1.2', 'UserMapList'],
    ['1.3', 'Joined'],
  ] as const)('answers a joining phone of CSP %s with %s', async (version, name) => {
    await createAndJoin();
    const phone = await here.phone('bob', { version, clientId: 'wv:v' }).start();
    expect((await phone.request(joining())).children[0]?.name).toBe(name);
  });

  it('keeps screen names apart: 811, and numbers them where nobody chose', async () => {
    await createAndJoin();
    expect(await bob.code(joining(screenName('Queen')))).toBe(811);
    const alicesGroup = await carol.request(joining(screenName('bob')));
    expect(alicesGroup.name).toBe('JoinGroup-Response');
    expect(textOf(child(await bob.request(joining()), 'ScreenName'), 'SName')).toBe('bob2');
  });

  it('is full at MaxActiveUsers: 817', async () => {
    await createAndJoin({ MaxActiveUsers: '2' });
    await bob.request(joining());
    expect(await carol.code(joining())).toBe(817);
  });

  it('hides the User-ID of one who does not show it, except from those who manage the group', async () => {
    await createAndJoin();
    await bob.request(joining(screenName('Knight'), element('OwnProperties', property('ShowID', 'F'))));
    const hidden = await carol.request(joining());
    const mappings = childrenOf(
      child(child(child(hidden, 'Joined'), 'UserMapList'), 'UserMapping'),
      'Mapping',
    );
    expect(mappings.map((one) => `${textOf(one, 'SName')} ${textOf(one, 'UserID') ?? '-'}`)).toEqual([
      'Queen wv:alice@ims.test',
      'Knight -',
      'carol wv:carol@ims.test',
    ]);
    const managed = await alice.request(element('GetJoinedUsers-Request', group));
    const knight = childrenOf(child(child(managed, 'AdminMapList'), 'UserMapping'), 'Mapping')[0];
    expect(textOf(knight, 'UserID')).toBe(userId('bob'));
  });

  it('that deletes itself goes when the last user leaves', async () => {
    await createAndJoin({ AutoDelete: 'T' });
    await alice.request(leaving);
    await here.clock.advanceAsync(2000, 1000);
    expect(await alice.code(element('GetGroupProps-Request', group))).toBe(800);
  });

  it('is left by a session that ends, and the others are told', async () => {
    await createAndJoin();
    await bob.request(joining(screenName('Knight')));
    await alice.drain();
    await bob.request(element('Logout-Request'));
    const [notice] = await alice.drain();
    expect(child(notice, 'Left')).toBeDefined();
    const shown = await alice.request(element('GetJoinedUsers-Request', group));
    expect(child(child(shown, 'AdminMapList'), 'UserMapping')).toBeUndefined();
  });

  it('is joined automatically after service negotiation, without a word when that fails', async () => {
    await createAndJoin();
    await alice.request(
      element('SetGroupProps-Request', group, element('OwnProperties', property('AutoJoin', 'T'))),
    );
    await alice.request(element('AddGroupMembers-Request', group, userIds('bob')));
    await bob.request(
      element('SetGroupProps-Request', group, element('OwnProperties', property('AutoJoin', 'T'))),
    );
    await bob.request(element('Logout-Request'));
    await alice.request(
      element('RejectList-Request', group, element('AddList', element('UserID', userId('carol')))),
    );
    const again = here.phone('bob');
    await again.login2();
    await again.request(serviceRequest);
    await alice.request(toGroup('who is here?'));
    expect(await again.messages()).toEqual(['who is here?']);
    await again.request(element('Logout-Request'));
    await alice.request(
      element('RejectList-Request', group, element('AddList', element('UserID', userId('bob')))),
    );
    const rejected = here.phone('bob');
    await rejected.login2();
    expect((await rejected.request(serviceRequest)).name).toBe('Service-Response');
    expect(await rejected.drain()).toEqual([]);
    expect(here.trail.counts().get('imps.auto-join-failed')).toBe(1);
  });

  it('is joined automatically by one who is no member too, until he wants it no more', async () => {
    await createAndJoin();
    const own = (value: string) => element('OwnProperties', property('AutoJoin', value));
    expect((await bob.request(joining(own('T')))).name).toBe('JoinGroup-Response');
    const search = element(
      'Search-Request',
      element(
        'SearchPairList',
        element('SearchElement', 'GROUP_USER_ID_AUTOJOIN'),
        element('SearchString', userId('bob')),
      ),
    );
    const away = async (): Promise<Phone> => {
      await bob.request(element('Logout-Request'));
      expect(textOf(await alice.request(search), 'SearchFindings')).toBe('1');
      return here.phone('bob').start();
    };
    bob = await away();
    await alice.request(toGroup('back again?'));
    expect(await bob.messages()).toEqual(['back again?']);
    bob = await away();
    await bob.request(element('SetGroupProps-Request', group, own('F')));
    await bob.request(element('Logout-Request'));
    expect(textOf(await alice.request(search), 'SearchFindings')).toBe('0');
    bob = await here.phone('bob').start();
    await alice.request(toGroup('not here'));
    expect(await bob.messages()).toEqual([]);
  });

  it('is not joined automatically where group services were not agreed', async () => {
    await createAndJoin();
    await alice.request(
      element('SetGroupProps-Request', group, element('OwnProperties', property('AutoJoin', 'T'))),
    );
    const second = here.phone('alice', { clientId: 'wv:second' });
    await second.login2();
    const narrow = element('Functions', element('WVCSPFeat', element('IMFeat')));
    await second.request(element('Service-Request', narrow, element('AllFunctionsRequest', false)));
    await bob.request(joining());
    await bob.request(toGroup('hello'));
    expect(await second.messages()).toEqual([]);
  });

  it('gives notices to a session as long as it wants them', async () => {
    await createAndJoin();
    const notices = (type: string) =>
      alice.request(element('SubscribeGroupNotice-Request', group, element('SubscribeType', type)));
    expect(textOf(await notices('G'), 'Value')).toBe('T');
    expect(codeOf(await notices('U'))).toBe(200);
    await bob.request(joining());
    expect(await alice.drain()).toEqual([]);
    await notices('S');
    await bob.request(leaving);
    expect(await alice.drain()).toHaveLength(1);
    expect(codeOf(await notices('X'))).toBe(402);
  });

  it('is 800 for every request when there is none', async () => {
    for (const request of [
      joining(),
      leaving,
      element('GetGroupMembers-Request', group),
      element('RejectList-Request', group),
    ]) {
      expect(await bob.code(request)).toBe(800);
    }
    expect(detailsOf(await bob.request(toGroup('x')))).toEqual([`800 ${groupName}`]);
  });
});

describe('messages in a group', () => {
  beforeEach(async () => {
    await createAndJoin();
    await bob.request(joining(screenName('Knight')));
    await carol.request(joining(screenName('Rook')));
    await alice.drain();
    await bob.drain();
  });

  it('go to everybody who joined but the sender, and show screen names instead of users', async () => {
    expect(await alice.code(toGroup('hello all'))).toBe(200);
    const [got] = await bob.drain();
    const sender = child(child(child(got, 'MessageInfo'), 'Sender'), 'Group');
    expect(textOf(child(sender, 'ScreenName'), 'SName')).toBe('Queen');
    expect(JSON.stringify(got)).not.toContain(userId('alice') + '"');
    expect(await carol.messages()).toEqual(['hello all']);
    expect(await alice.messages()).toEqual([]);
  });

  it('may be private to one screen name, unless the group or the user forbids it: 812, 813', async () => {
    expect(await bob.code(whisper('psst', 'Rook'))).toBe(200);
    expect([await carol.messages(), await alice.messages()]).toEqual([['psst'], []]);
    expect(detailsOf(await bob.request(whisper('x', 'Pawn')))[0]).toMatch(/^531/);
    await carol.request(
      element('SetGroupProps-Request', group, element('OwnProperties', property('PrivateMessaging', 'F'))),
    );
    expect(detailsOf(await bob.request(whisper('x', 'Rook')))[0]).toMatch(/^813/);
    await alice.request(element('SetGroupProps-Request', group, properties({ PrivateMessaging: 'F' })));
    expect(detailsOf(await bob.request(whisper('x', 'Rook')))[0]).toMatch(/^812/);
  });

  it('are for those who joined: 808, and a false screen name as sender is 810', async () => {
    await bob.request(leaving);
    expect(detailsOf(await bob.request(toGroup('x')))).toEqual([`808 ${groupName}`]);
    const as = (name: string): Element =>
      message('x', [userId('bob')], element('Sender', element('Group', screenName(name))));
    expect(await carol.code(as('Queen'))).toBe(810);
    expect(await carol.code(as('Rook'))).toBe(200);
    expect(await bob.code(as('Knight'))).toBe(810);
  });

  it('do not reach a member who blocked the sender', async () => {
    await bob.request(
      element(
        'BlockEntity-Request',
        element('BlockList', element('AddList', element('ScreenName', element('SName', 'Queen'), group))),
        element('BlockListInUse', true),
      ),
    );
    await alice.request(toGroup('hi'));
    expect([await bob.messages(), await carol.messages()]).toEqual([[], ['hi']]);
  });
});

describe('the delivery method of a group', () => {
  const method = (given: string, ...limits: readonly Element[]): Element =>
    element('SetDeliveryMethod-Request', element('DeliveryMethod', given), group, limits);
  const kinds = async (phone: Phone, ...texts: readonly string[]): Promise<string[]> => {
    for (const text of texts) await alice.request(toGroup(text));
    return (await phone.drain()).map(({ name }) => name);
  };
  beforeEach(() => createAndJoin());

  it('holds for its messages and no others', async () => {
    await bob.request(joining());
    expect(await bob.code(method('N'))).toBe(200);
    expect(await kinds(bob, 'hi')).toEqual(['MessageNotification']);
    await alice.request(message('direct', [userId('bob')]));
    expect(await bob.messages()).toEqual(['direct']);
  });

  it.each([
    ['1.3', 'GroupContentLimit'],
    ['1.3', 'AcceptedContentLength'],
    ['1.2', 'AcceptedContentLength'],
  ] as const)('of a phone of %s has a size limit of its own: %s', async (version, name) => {
    const phone = await here.phone('bob', { version, clientId: 'wv:v' }).start();
    await phone.request(joining());
    expect(await phone.code(method('P', element(name, 5)))).toBe(200);
    expect(await kinds(phone, 'short', 'longer')).toEqual(['NewMessage', 'MessageNotification']);
    await alice.request(message('longer', [userId('bob')], element('Validity', 60)));
    expect((await bob.drain()).concat(await phone.drain()).map(({ name }) => name)).toEqual(['NewMessage']);
  });

  it('is 800 for a group that is none, and 402 for a method that is none', async () => {
    await alice.request(element('DeleteGroup-Request', group));
    expect(await bob.code(method('N'))).toBe(800);
    expect(await bob.code(element('SetDeliveryMethod-Request', element('DeliveryMethod', 'X')))).toBe(402);
  });

  it('is kept for so many groups as a user may have: 403', async () => {
    await here.close();
    here = await world({ limits: { groupsPerUser: 1 } });
    alice = await here.phone('alice').start();
    carol = await here.phone('carol').start();
    await createAndJoin();
    const other = element('GroupID', 'wv:carol/other@ims.test');
    await carol.request(element('CreateGroup-Request', other, properties({})));
    expect(await alice.code(method('N'))).toBe(200);
    const second = element('SetDeliveryMethod-Request', element('DeliveryMethod', 'N'), other);
    expect(await alice.code(second)).toBe(403);
    expect(await alice.code(method('P'))).toBe(200);
  });
});

describe('what a group holds', () => {
  beforeEach(async () => {
    await here.close();
    here = await world({ limits: { groupMembers: 2, accessList: 1 } });
    alice = await here.phone('alice').start();
    carol = await here.phone('carol').start();
    await createAndJoin();
  });
  const reject = (name: string): Element =>
    element('RejectList-Request', group, element('AddList', element('UserID', userId(name))));

  it('is limited in members, also those who come by an invitation: 403', async () => {
    expect(await alice.code(element('AddGroupMembers-Request', group, userIds('bob', 'carol')))).toBe(403);
    expect(await alice.code(element('AddGroupMembers-Request', group, userIds('bob')))).toBe(200);
    expect(await alice.code(element('AddGroupMembers-Request', group, userIds('bob')))).toBe(200);
    const to = element('Recipient', element('User', element('UserID', userId('carol'))));
    const head = element('InviteID', 'i');
    await alice.request(element('Invite-Request', head, element('InviteType', 'GM'), to, group));
    expect(await carol.code(element('InviteUser-Response', head, element('Acceptance', true)))).toBe(403);
    expect(await carol.code(element('GetGroupMembers-Request', group))).toBe(816);
  });

  it('is limited in rejected users: 403, and an address that is none is 531', async () => {
    expect((await alice.request(reject('bob'))).name).toBe('RejectList-Response');
    expect(await alice.code(reject('carol'))).toBe(403);
    const none = element('RejectList-Request', group, element('AddList', element('UserID', 'wv:')));
    expect(await alice.code(none)).toBe(531);
    const list = await alice.request(element('RejectList-Request', group));
    expect(childrenOf(child(list, 'UserList'), 'User')).toHaveLength(1);
  });

  it('is limited in its WelcomeNote: 806', async () => {
    const note = (text: string): Element =>
      element(
        'SetGroupProps-Request',
        group,
        element('GroupProperties', element('WelcomeNote', element('ContentData', text))),
      );
    expect(await alice.code(note('x'.repeat(10_001)))).toBe(806);
    expect(await alice.code(note('x'.repeat(10_000)))).toBe(200);
  });
});

describe('members of a group', () => {
  it('are added, listed by role, given roles, and removed by those who may', async () => {
    await createAndJoin({ AccessType: 'Restricted' });
    expect(await bob.code(joining())).toBe(810);
    expect(await bob.code(element('AddGroupMembers-Request', group, userIds('bob')))).toBe(816);
    const added = await alice.request(
      element('AddGroupMembers-Request', group, userIds('bob', 'carol', 'nobody')),
    );
    expect([codeOf(added), detailsOf(added)]).toEqual([201, ['531 wv:nobody@ims.test']]);
    expect((await bob.request(joining())).name).toBe('JoinGroup-Response');
    expect(await alice.code(element('MemberAccess-Request', group, element('Mod', userList('bob'))))).toBe(
      200,
    );
    const listed = await carol.request(element('GetGroupMembers-Request', group));
    const names = (part: string): (string | undefined)[] =>
      childrenOf(child(child(listed, part), 'UserList') ?? child(listed, part), 'User').map((one) =>
        textOf(one, 'UserID'),
      );
    expect([names('Admin'), names('Mod'), names('UserList')]).toEqual([
      [userId('alice')],
      [userId('bob')],
      [userId('carol')],
    ]);
    const demoting = element('MemberAccess-Request', group, element('Mod', userList('alice')));
    expect(detailsOf(await alice.request(demoting))).toEqual(['816 wv:alice@ims.test']);
    const strangers = element('MemberAccess-Request', group, element('Mod', userList('dave', 'erin')));
    expect(codeOf(await alice.request(strangers))).toBe(900);
    expect(await bob.code(element('RemoveGroupMembers-Request', group, userIds('carol')))).toBe(200);
    expect(await carol.code(element('GetGroupMembers-Request', group))).toBe(816);
    expect(
      detailsOf(await bob.request(element('RemoveGroupMembers-Request', group, userIds('alice')))),
    ).toEqual(['816 wv:alice@ims.test']);
  });

  it('are given in the shape of 1.2 by phones that know no other', async () => {
    await createAndJoin();
    expect(await alice.code(element('AddGroupMembers-Request', group, userList('bob')))).toBe(200);
    const old = await here.phone('bob', { version: '1.2', clientId: 'wv:old' }).start();
    const listed = await old.request(element('GetGroupMembers-Request', group));
    expect(child(child(listed, 'Users'), 'UserList')).toBeDefined();
  });

  it('who are removed from a restricted group, or rejected, leave it and hear it', async () => {
    await createAndJoin();
    await bob.request(joining());
    const rejecting = element(
      'RejectList-Request',
      group,
      element('AddList', element('UserID', userId('bob'))),
    );
    const list = await alice.request(rejecting);
    expect(textOf(child(child(list, 'UserList'), 'User'), 'UserID')).toBe(userId('bob'));
    const [out] = await bob.drain();
    expect([out?.name, codeOf(out!)]).toEqual(['LeaveGroup-Response', 809]);
    expect(await bob.code(joining())).toBe(809);
    await alice.request(
      element('RejectList-Request', group, element('RemoveList', element('UserID', userId('bob')))),
    );
    expect((await bob.request(joining())).name).toBe('JoinGroup-Response');
  });

  it('hear of memberships and of the end of a group by notification', async () => {
    const types = ['GMG', 'GMR', 'GMAU', 'GD'].map((type) => element('NotificationType', type));
    await bob.request(element('SubscribeNotification-Request', element('NotificationTypeList', types)));
    await alice.request(creating());
    await alice.request(element('AddGroupMembers-Request', group, userIds('bob')));
    await alice.request(element('MemberAccess-Request', group, element('Mod', userList('bob'))));
    await alice.request(element('RemoveGroupMembers-Request', group, userIds('bob')));
    await alice.request(element('AddGroupMembers-Request', group, userIds('bob')));
    await alice.request(element('DeleteGroup-Request', group));
    expect((await bob.drain()).map((one) => textOf(one, 'NotificationType'))).toEqual([
      'GMG',
      'GMAU',
      'GMR',
      'GMG',
      'GD',
    ]);
  });
});
