import { afterEach, beforeEach, expect, it } from 'vitest';
import { child, element, textOf } from '../../../src/imps/codec/element.js';
import { table } from '../../../src/store/store.js';
import { creating, groupName } from '../tools/groups.js';
import { message, type Phone } from '../tools/phone.js';
import { userId, world, type World } from '../tools/world.js';

let here: World;
beforeEach(async () => {
  here = await world();
});
afterEach(async () => {
  expect(here.errors).toEqual([]);
  await here.close();
});

const bob = userId('bob');
const listOf = async (phone: Phone): Promise<string | undefined> =>
  textOf(await phone.request(element('GetList-Request')), 'DefaultContactList');
const anew = async (name: string) => {
  const password = `${name}-secret`;
  const user = { user: userId(name), password, state: 'active', createdAt: here.clock.now() } as const;
  expect(await here.server.users.create(user)).toBe(true);
  return here.phone(name).start();
};

it('a removed user’s messages are not for who gets the address next, and their senders are told', async () => {
  const alice = await here.phone('alice').start();
  const wanted = element('DeliveryReport', true);
  for (const text of ['one', 'two']) await alice.request(message(text, [bob], wanted));
  expect(await here.server.removeUser(bob)).toMatchObject({ user: bob });
  const reports = (await alice.drain()).filter(({ name }) => name === 'DeliveryReport-Request');
  expect(reports.map((report) => textOf(child(report, 'Result'), 'Code'))).toEqual(['531', '531']);
  expect(await (await anew('bob')).messages()).toEqual([]);
});

it('a removed user’s session hears 601, and no lists, presence or groups are left', async () => {
  const phone = await here.phone('alice').start();
  const block = element('BlockList', element('EntityList', element('UserID', bob)));
  const list = element('ContactList', 'wv:alice/friends@ims.test');
  const nick = element('NickName', element('Name', 'Bob'), element('UserID', bob));
  await phone.request(element('CreateList-Request', list, element('NickList', nick)));
  expect(await listOf(phone)).toBe('wv:alice/friends@ims.test');
  expect(await phone.code(element('BlockEntity-Request', block))).toBe(200);
  expect(await phone.code(creating({ AccessType: 'Open' }))).toBe(200);
  expect(await here.server.removeUser(userId('alice'))).toBeDefined();
  expect(await phone.code(element('GetList-Request'))).toBe(601);
  expect(
    await here
      .phone('alice')
      .login2()
      .then((login) => textOf(child(login, 'Result'), 'Code')),
  ).toBe('531');
  const next = await anew('alice');
  expect(await listOf(next)).toBeUndefined();
  const blocked = await next.request(element('GetBlockedList-Request'));
  expect(child(child(blocked, 'BlockList'), 'EntityList')?.children ?? []).toEqual([]);
  expect(await next.code(element('GetGroupProps-Request', element('GroupID', groupName)))).toBe(800);
});

it('a removed user is watched by nobody, and neither is who gets the address next', async () => {
  const alice = await here.phone('alice').start();
  await alice.request(element('SubscribePresence-Request', element('UserIDList', element('UserID', bob))));
  expect(here.store.size(table('imps-watched-users'))).toBe(1);
  expect(await here.server.removeUser(bob)).toBeDefined();
  for (const name of ['imps-watched-users', 'imps-watching', 'imps-subscriptions'])
    expect(here.store.size(table(name)), name).toBe(0);
});

it('a removal that was broken off leaves a user whom nobody lets in, and is taken up again', async () => {
  const alice = await here.phone('alice').start();
  await alice.request(message('x', [bob]));
  await here.server.users.change(bob, (current) => ({ ...current, state: 'barred' }));
  expect(textOf(child(await here.phone('bob').login2(), 'Result'), 'Code')).toBe('403');
  expect(await here.server.removeUser(bob)).toBeDefined();
  expect(await here.server.removeUser(bob)).toBeUndefined();
  expect(await (await anew('bob')).messages()).toEqual([]);
});
