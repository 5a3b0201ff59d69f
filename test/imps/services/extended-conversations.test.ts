import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { child, element, textOf, textsOf, type Element } from '../../../src/imps/codec/element.js';
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

const user = (name: string): Element => element('UserID', userId(name));
const extending = (...names: readonly string[]): Element =>
  element(
    'ExtendConversation-Request',
    element('ExtendConversationID', 'x-1'),
    element(
      'UserIDList',
      names.map((name) => user(name)),
    ),
    element('ExtendConversationUser', user('bob')),
    element('SubscribeNotification', true),
    element('ScreenName', element('SName', 'Al'), element('GroupID', '')),
  );
const joining = (group: Element): Element =>
  element('JoinGroup-Request', group, element('JoinedRequest', true), element('SubscribeNotification', true));
const talk = (group: Element, text: string): Element =>
  element(
    'SendMessage-Request',
    element('DeliveryReport', false),
    element('MessageInfo', element('Recipient', element('Group', group))),
    element('ContentData', text),
  );

describe('a conversation of two that one extends', () => {
  it('becomes a private group to which the other two are invited, and which goes with the last of them', async () => {
    const carol = await here.phone('carol', { version: '1.2' }).start();
    const answer = await alice.request(extending('carol'));
    expect([answer.name, codeOf(answer), textOf(answer, 'ExtendConversationID')]).toEqual([
      'ExtendConversation-Response',
      200,
      'x-1',
    ]);
    const group = child(answer, 'GroupID')!;
    for (const [phone, type] of [
      [bob, 'EC'],
      [carol, 'GR'],
    ] as const) {
      const [invitation] = await phone.drain();
      expect(invitation?.name).toBe('InviteUser-Request');
      expect(['InviteID', 'InviteType', 'GroupID'].map((name) => textOf(invitation, name))).toEqual([
        'x-1',
        type,
        group.text,
      ]);
      const accepting = element(
        'InviteUser-Response',
        element('InviteID', 'x-1'),
        element('Acceptance', true),
        element('Sender', element('User', user('alice'))),
      );
      expect(await phone.code(accepting)).toBe(200);
      expect((await phone.request(joining(group))).name).toBe('JoinGroup-Response');
    }
    expect(await bob.code(talk(group, 'now we are three'))).toBe(200);
    expect(await carol.messages()).toEqual(['now we are three']);
    expect(await alice.messages()).toEqual(['now we are three']);
    for (const phone of [alice, bob, carol]) await phone.request(element('Logout-Request'));
    here.clock.advance(2000);
    await expect
      .poll(
        async () => {
          here.clock.advance(1000);
          const next = await here.phone('alice', { clientId: `wv:${here.clock.now()}` }).start();
          const code = await next.code(element('GetGroupProps-Request', group));
          await next.request(element('Logout-Request'));
          return code;
        },
        { timeout: 30_000 },
      )
      .toBe(800);
  });

  it('is joined by nobody who was not asked, and not found', async () => {
    const group = child(await alice.request(extending('alice', 'nobody', 'bob')), 'GroupID')!;
    const carol = await here.phone('carol').start();
    expect(await carol.code(joining(group))).toBe(816);
    const pair = [element('SearchElement', 'GROUP_USER_ID_JOINED'), element('SearchString', userId('alice'))];
    const found = await carol.request(element('Search-Request', element('SearchPairList', pair)));
    expect(textOf(found, 'SearchFindings')).toBe('0');
  });

  it('names who is not there or does not want to, and is none when nobody is left', async () => {
    const partly = await alice.request(extending('nobody', 'carol'));
    expect([codeOf(partly), detailsOf(partly)]).toEqual([201, ['531 wv:nobody@ims.test']]);
    const block = element('EntityList', user('alice'));
    for (const name of ['bob', 'carol']) {
      const phone = await here.phone(name, { clientId: 'wv:other' }).start();
      await phone.request(
        element('BlockEntity-Request', element('BlockList', block), element('BlockListInUse', true)),
      );
    }
    const none = await alice.request(extending('carol'));
    expect([codeOf(none), child(none, 'GroupID')]).toEqual([900, undefined]);
    expect(detailsOf(none)).toEqual(['532 wv:bob@ims.test wv:carol@ims.test']);
  });

  it.each([
    ['an ID', element('ExtendConversation-Request', element('UserIDList', user('carol')))],
    ['users', element('ExtendConversation-Request', element('ExtendConversationID', 'x'))],
  ])('without %s is 400', async (_title, request) => {
    expect(await alice.code(request)).toBe(400);
  });

  it('is told to the other clients of both that want to know: notification EC', async () => {
    const others = await Promise.all(
      ['alice', 'bob', 'carol'].map(async (name) => {
        const phone = await here.phone(name, { clientId: 'wv:other' }).start();
        const list = element('NotificationTypeList', element('NotificationType', 'EC'));
        await phone.request(element('SubscribeNotification-Request', list));
        return phone;
      }),
    );
    const group = textOf(await alice.request(extending('carol')), 'GroupID');
    const told = await Promise.all(
      others.map(async (phone) =>
        (await phone.drain())
          .filter(({ name }) => name === 'Notification-Request')
          .map((note) => [
            textOf(note, 'NotificationType'),
            textOf(note, 'GroupID'),
            ...textsOf(child(note, 'UserIDList'), 'UserID'),
          ]),
      ),
    );
    const note = ['EC', group, userId('bob'), userId('carol')];
    expect(told).toEqual([[note], [note], []]);
  });
});
