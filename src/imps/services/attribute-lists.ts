import { parseResourceId, type UserId } from '../address/wv-address.js';
import { child, element, flagOf, textsOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { keyOf } from '../state/records.js';
import { CspRefusal, Failures, codeFor, result, status } from '../status.js';
import { listMembers } from './contact-list-store.js';
import { notifyTypes } from './general-notifications.js';
import { authorizations, grants, noGrants, type Grant, type GrantsRecord } from './presence-authorization.js';
import { attributeNames } from './presence-store.js';
import { grantedNow, subscriptions } from './presence-subscriptions.js';
import { usersOf } from './presence.js';

const contactListsOf = (context: ImpsContext, primitive: Element): string[] =>
  [
    ...textsOf(child(primitive, 'ContactListIDList'), 'ContactList'),
    ...textsOf(primitive, 'ContactList'),
  ].map((text) => parseResourceId(text, context.config.domain) ?? text);

/** Says which attributes users, members of contact lists, or everybody else may see; an empty list grants none. */
export const createAttributeList: Handler = async (context, { session, primitive }) => {
  const attributes = attributeNames(child(primitive, 'PresenceSubList'));
  const grant = (flag: string): Grant => ({ attributes, notify: flagOf(primitive, flag) ?? false });
  const failures = new Failures();
  const users = usersOf(context, primitive, failures);
  const lists: string[] = [];
  for (const list of contactListsOf(context, primitive)) {
    if (await listMembers(context, session.user, list)) lists.push(list);
    else failures.add(700, element('ContactList', list));
  }
  const isDefault = flagOf(primitive, 'DefaultList') ?? false;
  await context.store.update(grants, session.user, (current = noGrants) => {
    const value: GrantsRecord = {
      users: { ...current.users, ...Object.fromEntries(users.map((user) => [user, grant('UserNotify')])) },
      lists: {
        ...current.lists,
        ...Object.fromEntries(lists.map((list) => [list, grant('ContactListNotify')])),
      },
      byDefault: isDefault ? grant('DefaultNotify') : current.byDefault,
    };
    const count = Object.keys(value.users).length + Object.keys(value.lists).length;
    if (count > context.config.limits.attributeLists) throw new CspRefusal(755);
    return { kind: 'put', value, result: undefined };
  });
  await decided(context, session.user, session.id, users, [
    element(
      'PresenceSubList',
      attributes.map((name) => element(name)),
    ),
    ...concerned(users, lists, isDefault),
  ]);
  const details = failures.details();
  return status(codeFor(users.length + lists.length + Number(isDefault), details), details);
};

export const deleteAttributeList: Handler = async (context, { session, primitive }) => {
  const users: readonly string[] = usersOf(context, primitive, new Failures());
  const lists = contactListsOf(context, primitive);
  const isDefault = flagOf(primitive, 'DefaultList') ?? false;
  const without = (of: Readonly<Record<string, Grant>>, names: readonly string[]): Record<string, Grant> =>
    Object.fromEntries(Object.entries(of).filter(([name]) => !names.includes(name)));
  await context.store.update(grants, session.user, (current = noGrants) => ({
    kind: 'put',
    value: {
      users: without(current.users, users),
      lists: without(current.lists, lists),
      byDefault: isDefault ? undefined : current.byDefault,
    },
    result: undefined,
  }));
  await decided(
    context,
    session.user,
    session.id,
    users as readonly UserId[],
    concerned(users, lists, isDefault),
  );
  return status(200);
};

/** Whom an attribute list is for, as notification AC has it. */
const concerned = (
  users: readonly string[],
  lists: readonly string[],
  isDefault: boolean,
): readonly (Element | undefined)[] => [
  users.length > 0
    ? element(
        'UserIDList',
        users.map((user) => element('UserID', user)),
      )
    : undefined,
  lists.length > 0
    ? element(
        'ContactListIDList',
        lists.map((list) => element('ContactList', list)),
      )
    : undefined,
  isDefault ? element('DefaultList', true) : undefined,
];

/** The owner decided: open questions are answered, watchers see what they now may, the owner's other clients hear it. */
async function decided(
  context: ImpsContext,
  owner: UserId,
  session: string,
  users: readonly UserId[],
  data: readonly (Element | undefined)[],
): Promise<void> {
  for (const user of users) {
    await context.store.update(authorizations, keyOf(owner, user), (current) =>
      current?.state === 'PENDING'
        ? { kind: 'remove', result: undefined }
        : { kind: 'keep', result: undefined },
    );
  }
  const watchers = new Set<UserId>();
  for await (const { value } of context.store.scan(subscriptions, { prefix: keyOf(owner, '') })) {
    watchers.add(value.watcher);
  }
  for (const watcher of watchers) await grantedNow(context, owner, watcher);
  await notifyTypes(context, owner, 'AC', data, { except: session });
}

const subList = (grant: Grant): Element =>
  element(
    'PresenceSubList',
    grant.attributes.map((name) => element(name)),
  );

export const getAttributeList: Handler = async (context, { session, version, primitive }) => {
  const record = (await context.store.get(grants, session.user)) ?? noGrants;
  const users: readonly string[] = usersOf(context, primitive, new Failures());
  const lists = contactListsOf(context, primitive);
  const everything = users.length === 0 && lists.length === 0;
  const wantsDefault = flagOf(primitive, 'DefaultList');
  if (wantsDefault === undefined && everything) throw new CspRefusal(400, 'no DefaultList');
  const is13 = version === '1.3';
  const entries = (
    of: Readonly<Record<string, Grant>>,
    wanted: readonly string[],
    name: string,
    flag: string,
  ): Element[] =>
    Object.entries(of)
      .filter(([id]) => everything || wanted.includes(id))
      .map(([id, grant]) =>
        element(
          'Presence',
          element(name, id),
          is13 ? element(flag, grant.notify) : undefined,
          subList(grant),
        ),
      );
  return element(
    'GetAttributeList-Response',
    result(200),
    wantsDefault && record.byDefault
      ? element(
          'DefaultAttributeList',
          is13 ? element('DefaultNotify', record.byDefault.notify) : undefined,
          subList(record.byDefault),
        )
      : undefined,
    entries(record.users, users, 'UserID', 'UserNotify'),
    entries(record.lists, lists, 'ContactList', 'ContactListNotify'),
  );
};
