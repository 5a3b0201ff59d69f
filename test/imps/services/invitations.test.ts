import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { child, element, textOf, type Element } from '../../../src/imps/codec/element.js';
import { creating, group, groupName, joining, userIds } from '../tools/groups.js';
import type { Phone } from '../tools/phone.js';
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

const createAndJoin = (given: Readonly<Record<string, string>> = {}): Promise<number> =>
  alice.code(creating(given, element('JoinGroup', true), element('SubscribeNotification', true)));

describe('an invitation', () => {
  const invite = (type: string, ...parts: readonly Element[]): Element =>
    element(
      'Invite-Request',
      element('InviteID', 'inv-1'),
      element('InviteType', type),
      element('Recipient', element('User', element('UserID', userId('bob')))),
      parts,
    );
  const answer = (accepted: boolean): Element =>
    element(
      'InviteUser-Response',
      element('InviteID', 'inv-1'),
      element('Acceptance', accepted),
      element('Sender', element('User', element('UserID', userId('bob')))),
      element('ResponseNote', 'thanks'),
    );

  it('has at most as many recipients as the operator allows, and so has taking it back: 402', async () => {
    await here.close();
    here = await world({ messages: { recipientLimit: 2 } });
    alice = await here.phone('alice').start();
    const users = (...names: readonly string[]): Element =>
      element(
        'Recipient',
        names.map((name) => element('User', element('UserID', userId(name)))),
      );
    for (const request of ['Invite-Request', 'CancelInvite-Request']) {
      const to = (recipient: Element): Element =>
        element(request, element('InviteID', 'inv-1'), element('InviteType', 'IM'), recipient);
      expect(await alice.code(to(users('bob', 'carol', 'alice'))), request).toBe(402);
      expect(await alice.code(to(users('bob', 'carol'))), request).toBe(200);
    }
  });

  it('goes to the invitee, whose answer goes to the inviter, in four transactions', async () => {
    await createAndJoin({ RequireInvitation: 'T' });
    expect(await bob.code(joining())).toBe(816);
    expect(await alice.code(invite('GR', group, element('InviteNote', 'Join us')))).toBe(200);
    const [asked] = await bob.drain();
    expect([
      asked?.name,
      textOf(asked, 'InviteID'),
      textOf(asked, 'GroupID'),
      textOf(asked, 'InviteNote'),
    ]).toEqual(['InviteUser-Request', 'inv-1', groupName, 'Join us']);
    expect(textOf(child(child(asked, 'Sender'), 'User'), 'UserID')).toBe(userId('alice'));
    expect(await bob.code(answer(true))).toBe(200);
    const told = (await alice.drain()).find(({ name }) => name === 'Invite-Response');
    expect([textOf(told, 'Acceptance'), textOf(told, 'InviteNote')]).toEqual(['T', 'thanks']);
    expect((await bob.request(joining())).name).toBe('JoinGroup-Response');
    expect(await bob.code(answer(true))).toBe(423);
  });

  it.each(['GR', 'GM'])('of type %s is for those who may: 800, 808, 816', async (type) => {
    expect(await alice.code(invite(type, group))).toBe(800);
    await createAndJoin({ AccessType: 'Restricted' });
    const toCarol = element(
      'Invite-Request',
      element('InviteID', 'inv-2'),
      element('InviteType', type),
      element('Recipient', element('User', element('UserID', userId('carol')))),
      group,
    );
    expect(await bob.code(toCarol)).toBe(type === 'GR' ? 808 : 816);
    await alice.request(element('AddGroupMembers-Request', group, userIds('bob')));
    expect(await bob.code(toCarol)).toBe(type === 'GR' ? 200 : 816);
    await alice.request(element('MemberAccess-Request', group, element('Mod', userIds('bob'))));
    expect(await bob.code(toCarol)).toBe(200);
  });

  it('to membership makes a member when it is accepted, and nothing when it is not', async () => {
    await createAndJoin({ AccessType: 'Restricted' });
    await alice.request(invite('GM', group));
    await bob.request(answer(false));
    expect(await bob.code(joining())).toBe(810);
    await alice.request(invite('GM', group));
    await bob.request(answer(true));
    expect((await bob.request(joining())).name).toBe('JoinGroup-Response');
  });

  it('can be taken back until it is answered: 423 after', async () => {
    const cancel = element(
      'CancelInvite-Request',
      element('InviteID', 'inv-1'),
      element('Recipient', element('User', element('UserID', userId('bob')))),
    );
    await alice.request(invite('IM'));
    expect(await alice.code(cancel)).toBe(200);
    expect((await bob.drain()).map(({ name }) => name)).toEqual([
      'InviteUser-Request',
      'CancelInviteUser-Request',
    ]);
    expect(await bob.code(answer(true))).toBe(423);
    expect(await alice.code(cancel)).toBe(423);
  });

  it.each([
    ['GR', 429],
    ['GM', 429],
    ['SC', 400],
    ['AP', 450],
    ['ZZ', 402],
  ])('of type %s without what it needs is %i', async (type, code) => {
    expect(await alice.code(invite(type))).toBe(code);
  });

  it('waits for an invitee who is not logged in', async () => {
    await bob.request(element('Logout-Request'));
    await alice.request(invite('IM'));
    expect((await (await here.phone('bob').start()).drain()).map(({ name }) => name)).toEqual([
      'InviteUser-Request',
    ]);
  });

  it('answered on one client is told to the others that want to know', async () => {
    const second = await here.phone('bob', { clientId: 'wv:second' }).start();
    const types = element('NotificationTypeList', element('NotificationType', 'IA'));
    await second.request(element('SubscribeNotification-Request', types));
    await alice.request(invite('IM'));
    await bob.request(answer(true));
    const seen = (await second.drain()).find(({ name }) => name === 'Notification-Request');
    expect([textOf(seen, 'NotificationType'), textOf(seen, 'InviteID')]).toEqual(['IA', 'inv-1']);
  });

  it('that was not answered in its time is no more: 423', async () => {
    await alice.request(invite('IM', element('Validity', 60)));
    await bob.drain();
    await here.clock.advanceAsync(62_000, 1000);
    expect(await bob.code(answer(true))).toBe(423);
  });

  describe.each([
    ['that is over reaches nobody', 60, []],
    ['that is not over waits', 600, ['InviteUser-Request']],
    ['of Validity 0 has the default', 0, ['InviteUser-Request']],
  ])('%s', (_, validity, expected) => {
    const asked = async (phone: Phone): Promise<string[]> => (await phone.drain()).map(({ name }) => name);
    const invited = (): Promise<number> => alice.code(invite('IM', element('Validity', validity)));
    const later = (): Promise<void> => here.clock.advanceAsync(62_000, 1000);
    const logout = element('Logout-Request');

    it('in a session that did not poll', async () => {
      expect(await invited()).toBe(200);
      await later();
      expect(await asked(bob)).toEqual(expected);
    });

    it('at the next login', async () => {
      await bob.request(logout);
      expect(await invited()).toBe(200);
      await later();
      expect(await asked(await here.phone('bob').start())).toEqual(expected);
    });

    it('at the next login after a session that did not poll', async () => {
      expect(await invited()).toBe(200);
      await bob.request(logout);
      await later();
      expect(await asked(await here.phone('bob').start())).toEqual(expected);
    });

    it('in another session when the one that did not poll ends', async () => {
      expect(await invited()).toBe(200);
      here.clock.advance(1000);
      const second = await here.phone('bob', { clientId: 'wv:second' }).start();
      await later();
      await bob.request(logout);
      expect(await asked(second)).toEqual(expected);
    });

    it('in a session that took it over and did not poll', async () => {
      await bob.request(logout);
      expect(await invited()).toBe(200);
      const next = await here.phone('bob').start();
      await later();
      expect(await asked(next)).toEqual(expected);
    });

    it('when the session ends that took it over', async () => {
      await bob.request(logout);
      expect(await invited()).toBe(200);
      const next = await here.phone('bob').start();
      await next.request(logout);
      await later();
      expect(await asked(await here.phone('bob').start())).toEqual(expected);
    });
  });
});

describe.each(['1.1', '1.2', '1.3'] as const)('an invitation to a phone of %s', (version) => {
  const note = element('InviteNote', 'Look');
  const presence = element('PresenceSubList', element('StatusText'));
  const links = element('URLList', element('URL', 'http://www.example.net/'));
  const chess = element('ApplicationID', 'chess');
  /** By type: what the inviter gives, and what of it phones before 1.3 do not get; undefined: they have no such type. */
  const types: [string, readonly Element[], readonly string[]][] = [
    ['GR', [group, note], []],
    ['GM', [group, note], []],
    ['IM', [note], []],
    ['PR', [presence, note], []],
    ['SC', [links, note], []],
    ['AP', [chess, note], ['ApplicationID']],
  ];

  it.each(types)('of type %s says what it is to, and so does taking it back', async (type, parts, later) => {
    await createAndJoin();
    const phone = await here.phone('carol', { version, clientId: 'wv:v' }).start();
    await carol.request(element('Logout-Request'));
    await phone.drain();
    const to = element('Recipient', element('User', element('UserID', userId('carol'))));
    const head = element('InviteID', 'i');
    const sent = element('Invite-Request', head, element('InviteType', type), to, parts);
    expect(await alice.code(sent)).toBe(200);
    expect(await alice.code(element('CancelInvite-Request', head, to, parts))).toBe(200);
    const [invited, cancelled] = await phone.drain();
    const is13 = version === '1.3';
    const names = parts.map(({ name }) => name).filter((name) => is13 || !later.includes(name));
    const who = is13 ? ['Sender', 'Recipient'] : ['Sender'];
    expect(invited?.children.map(({ name }) => name)).toEqual(['InviteID', 'InviteType', ...who, ...names]);
    expect(textOf(invited, 'InviteType')).toBe(type);
    expect(cancelled?.name).toBe('CancelInviteUser-Request');
    const back = is13 ? names : names.filter((name) => name === 'InviteNote' || name === 'URLList');
    expect(cancelled?.children.map(({ name }) => name).sort()).toEqual(['InviteID', ...who, ...back].sort());
  });
});
