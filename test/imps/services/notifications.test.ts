import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { notificationTypes } from '../../../src/imps/services/general-notifications.js';
import { capabilityRequest, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
/** Two clients of Alice, of which the second subscribed to every type, and Bob. */
let alice: Phone;
let second: Phone;
let bob: Phone;
beforeEach(async () => {
  here = await world();
  alice = await here.phone('alice').start();
  second = await here.phone('alice', { clientId: 'wv:second' }).start();
  bob = await here.phone('bob').start();
  const types = notificationTypes.map((type) => element('NotificationType', type));
  await second.request(element('SubscribeNotification-Request', element('NotificationTypeList', types)));
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const LIST = 'wv:alice/friends@ims.test';
const ROOM = 'wv:bob/room@ims.test';
const users = (...names: readonly string[]): Element =>
  element(
    'UserIDList',
    names.map((name) => element('UserID', userId(name))),
  );
const user = (name: string): Element => element('User', element('UserID', userId(name)));
const createList = element(
  'CreateList-Request',
  element('ContactList', LIST),
  element('NickList', element('UserID', userId('bob'))),
);
const createGroup = (id: string): Element =>
  element(
    'CreateGroup-Request',
    element('GroupID', id),
    element('GroupProperties', element('Property', element('Name', 'Name'), element('Value', 'Room'))),
    element('JoinGroup', true),
    element('SubscribeNotification', false),
  );
const group = element('GroupID', ROOM);
const invite = element(
  'Invite-Request',
  element('InviteID', 'i-1'),
  element('InviteType', 'IM'),
  element('Recipient', user('alice')),
);
const answer = (accepted: boolean): Element =>
  element(
    'InviteUser-Response',
    element('InviteID', 'i-1'),
    element('Acceptance', accepted),
    element('Sender', user('bob')),
  );
const attributes = (...parts: readonly Element[]): Element =>
  element('CreateAttributeList-Request', element('PresenceSubList', element('OnlineStatus')), parts);
const askForStatus = element(
  'SubscribePresence-Request',
  users('alice'),
  element('PresenceSubList', element('StatusText')),
);
const joinRoom = element(
  'JoinGroup-Request',
  group,
  element('JoinedRequest', false),
  element('SubscribeNotification', false),
);

interface Step {
  readonly by: 'alice' | 'bob';
  readonly request: Element;
}
const of = (by: Step['by'], ...requests: readonly Element[]): Step[] =>
  requests.map((request) => ({ by, request }));

/** What leads to a notification of each type, and the elements in it. */
const cases: readonly [type: string, steps: readonly Step[], data: string][] = [
  ['AC', of('alice', attributes(users('bob'), element('DefaultList', false))), 'PresenceSubList UserIDList'],
  ['AC', of('alice', attributes(element('DefaultList', true))), 'PresenceSubList DefaultList'],
  [
    'AC',
    of('alice', element('DeleteAttributeList-Request', users('bob'), element('DefaultList', false))),
    'UserIDList',
  ],
  [
    'EC',
    of(
      'alice',
      element(
        'ExtendConversation-Request',
        element('ExtendConversationID', 'x-1'),
        users('carol'),
        element('ExtendConversationUser', element('UserID', userId('bob'))),
        element('SubscribeNotification', false),
      ),
    ),
    'GroupID UserIDList',
  ],
  ['ANU', of('bob', askForStatus), 'PresenceSubList UserIDList'],
  [
    'ANU',
    [
      ...of('alice', attributes(users('bob'), element('DefaultList', false), element('UserNotify', true))),
      ...of('bob', askForStatus),
    ],
    'PresenceSubList UserIDList',
  ],
  [
    'ANC',
    [
      ...of(
        'alice',
        createList,
        attributes(
          element('ContactListIDList', element('ContactList', LIST)),
          element('DefaultList', false),
          element('ContactListNotify', true),
        ),
      ),
      ...of('bob', askForStatus),
    ],
    'PresenceSubList UserIDList ContactListIDList',
  ],
  [
    'AND',
    [
      ...of('alice', attributes(element('DefaultList', true), element('DefaultNotify', true))),
      ...of('bob', askForStatus),
    ],
    'PresenceSubList UserIDList DefaultList',
  ],
  [
    'ATCL',
    of(
      'bob',
      element(
        'CreateList-Request',
        element('ContactList', 'wv:bob/all@ims.test'),
        element('NickList', element('UserID', userId('alice'))),
      ),
    ),
    'UserIDList',
  ],
  [
    'BLC',
    of(
      'alice',
      element(
        'BlockEntity-Request',
        element('BlockList', element('AddList', element('UserID', userId('bob')))),
      ),
    ),
    '',
  ],
  ['BLUC', of('alice', element('BlockEntity-Request', element('BlockListInUse', true))), 'BlockListInUse'],
  [
    'GLC',
    of(
      'alice',
      element(
        'BlockEntity-Request',
        element('GrantList', element('AddList', element('UserID', userId('bob')))),
      ),
    ),
    '',
  ],
  ['GLUC', of('alice', element('BlockEntity-Request', element('GrantListInUse', true))), 'GrantListInUse'],
  ['CLCR', of('alice', createList), 'ContactListIDList'],
  [
    'CLC',
    of(
      'alice',
      createList,
      element(
        'ListManage-Request',
        element('ContactList', LIST),
        element('RemoveNickList', element('UserID', userId('bob'))),
        element('ReceiveList', false),
      ),
    ),
    'ContactListIDList',
  ],
  [
    'CLD',
    of('alice', createList, element('DeleteList-Request', element('ContactList', LIST))),
    'ContactListIDList',
  ],
  ['GC', of('alice', createGroup('wv:alice/room@ims.test')), 'GroupID'],
  [
    'GD',
    of(
      'alice',
      createGroup('wv:alice/room@ims.test'),
      element('DeleteGroup-Request', element('GroupID', 'wv:alice/room@ims.test')),
    ),
    'GroupID',
  ],
  ['GMG', of('bob', createGroup(ROOM), element('AddGroupMembers-Request', group, users('alice'))), 'GroupID'],
  [
    'GMAU',
    of(
      'bob',
      createGroup(ROOM),
      element('AddGroupMembers-Request', group, users('alice')),
      element('MemberAccess-Request', group, element('Mod', element('UserList', user('alice')))),
    ),
    'GroupID',
  ],
  [
    'GMU',
    of(
      'bob',
      createGroup(ROOM),
      element('AddGroupMembers-Request', group, users('alice')),
      element('MemberAccess-Request', group, element('Mod', element('UserList', user('alice')))),
      element('AddGroupMembers-Request', group, users('carol')),
    ),
    'GroupID UserList',
  ],
  [
    'GMR',
    of(
      'bob',
      createGroup(ROOM),
      element('AddGroupMembers-Request', group, users('alice')),
      element('RemoveGroupMembers-Request', group, users('alice')),
    ),
    'GroupID',
  ],
  [
    'GR',
    [
      ...of('bob', createGroup(ROOM)),
      ...of('alice', joinRoom),
      ...of(
        'bob',
        element('RejectList-Request', group, element('AddList', element('UserID', userId('alice')))),
      ),
    ],
    'GroupID',
  ],
  ['IA', [...of('bob', invite), ...of('alice', answer(true))], 'InviteID'],
  ['IR', [...of('bob', invite), ...of('alice', answer(false))], 'InviteID'],
  [
    'IC',
    of(
      'bob',
      invite,
      element('CancelInvite-Request', element('InviteID', 'i-1'), element('Recipient', user('alice'))),
    ),
    'InviteID',
  ],
  [
    'OEU',
    of('alice', capabilityRequest('1.3', element('OnlineETEMHandling', 'FORKALL'))),
    'OnlineETEMHandling',
  ],
  [
    'PPU',
    of(
      'alice',
      element(
        'UpdatePublicProfile-Request',
        element('PublicProfile', element('Property', element('Name', 'PP_CITY'), element('Value', 'Lund'))),
      ),
    ),
    'UserList',
  ],
];

describe('a general notification', () => {
  it.each(cases)('%s reaches the client that subscribed to it, and no other', async (type, steps, data) => {
    for (const { by, request } of steps) await (by === 'alice' ? alice : bob).request(request);
    const told = (await second.drain()).filter((one) => textOf(one, 'NotificationType') === type);
    expect(
      told.map(({ name, children }) => [
        name,
        children
          .slice(1)
          .map((part) => part.name)
          .join(' '),
      ]),
    ).toEqual([['Notification-Request', data]]);
    expect((await alice.drain()).filter(({ name }) => name === 'Notification-Request')).toEqual([]);
  });

  it('has a case here for each type but SPA, which is of one session', () => {
    const missing = notificationTypes.filter((type) => !cases.some(([name]) => name === type));
    expect(missing).toEqual(['SPA']);
  });
});
