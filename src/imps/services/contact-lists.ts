import {
  ownerOf,
  parseResourceId,
  parseUserId,
  type ResourceId,
  type UserId,
} from '../address/wv-address.js';
import { child, childrenOf, element, flagOf, textOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { CspRefusal, Failures, codeFor, result, status, type Detail } from '../status.js';
import type { CspVersion } from '../vocabulary/versions.js';
import {
  contactLists,
  listsOf,
  noLists,
  type Contact,
  type ContactList,
  type ContactListsRecord,
} from './contact-list-store.js';
import { authorizeAndGrant, contactsChanged } from './presence-authorization.js';
import { forgetList } from './presence-subscriptions.js';
import { notifyTypes } from './general-notifications.js';

export const getListRequest: Handler = async (context, { session, version }) => {
  const { lists, defaultList } = await listsOf(context, session.user);
  // from 1.2 the default list is not repeated among the others
  const named = lists
    .filter(({ id }) => version === '1.1' || id !== defaultList)
    .map(({ id }) => element('ContactList', id));
  return element(
    'GetList-Response',
    version === '1.3' ? element('ContactListIDList', named) : named,
    defaultList === undefined ? undefined : element('DefaultContactList', defaultList),
  );
};

/** The list that a request names. @throws CspRefusal 752 when it is none of the user's own name space */
function ownList(context: ImpsContext, user: UserId, primitive: Element): ResourceId {
  const id = parseResourceId(textOf(primitive, 'ContactList'), context.config.domain);
  if (id === undefined) throw new CspRefusal(752);
  if (ownerOf(id) !== user) throw new CspRefusal(752, 'the list is not in the name of the user');
  return id;
}

/** Contacts of NickList or AddNickList. A NickName may hold its user directly or, from some clients, in User. */
async function contactsOf(
  context: ImpsContext,
  list: Element | undefined,
  failures: Failures,
): Promise<Contact[]> {
  const found: Contact[] = [];
  for (const entry of list?.children ?? []) {
    if (entry.name !== 'NickName' && entry.name !== 'UserID') continue;
    const text =
      entry.name === 'UserID'
        ? entry.text
        : (textOf(entry, 'UserID') ?? textOf(child(entry, 'User'), 'UserID'));
    const user = parseUserId(text, context.config.domain);
    if (user !== undefined && (await isReachable(context, user)))
      found.push({ user, name: textOf(entry, 'Name') ?? '' });
    else failures.add(531, element('UserID', text ?? ''));
  }
  return found;
}

export const exists = async (context: ImpsContext, user: UserId): Promise<boolean> =>
  ((await context.ports.users.find(user))?.state ?? 'confirming') !== 'confirming' ||
  (await context.ports.router.knows(user));

/** The same, or somebody of another domain, who may exist there. */
export const isReachable = async (context: ImpsContext, user: UserId): Promise<boolean> =>
  (await exists(context, user)) || (await context.ports.router.mayKnow(user));

interface Properties {
  readonly displayName?: string | undefined;
  readonly isDefault?: boolean | undefined;
}

/** @throws CspRefusal 752 for a property other than DisplayName and Default, or a Default that is neither T nor F */
function propertiesOf(primitive: Element): Properties {
  let displayName: string | undefined;
  let isDefault: boolean | undefined;
  for (const property of childrenOf(child(primitive, 'ContactListProperties'), 'Property')) {
    const name = textOf(property, 'Name')?.trim();
    if (name === 'DisplayName') displayName = textOf(property, 'Value') ?? '';
    else if (name === 'Default') {
      isDefault = flagOf(property, 'Value');
      if (isDefault === undefined) throw new CspRefusal(752);
    } else throw new CspRefusal(752);
  }
  return { displayName, isDefault };
}

/** Adds members: who is there already gets the new name. @throws CspRefusal 754 */
function withMembers(
  context: ImpsContext,
  members: readonly Contact[],
  added: readonly Contact[],
): Contact[] {
  const after = new Map(members.map((contact) => [contact.user, contact]));
  for (const contact of added) after.set(contact.user, contact);
  if (after.size > context.config.limits.contacts) throw new CspRefusal(754);
  return [...after.values()];
}

/** There is exactly one default list as long as there is any: the first, unless another is made so. */
function settle(lists: readonly ContactList[], wanted: ResourceId | undefined): ContactListsRecord {
  const defaultList = lists.some(({ id }) => id === wanted) ? wanted : lists[0]?.id;
  return { lists, defaultList };
}

const propertiesElement = (list: ContactList, record: ContactListsRecord): Element =>
  element(
    'ContactListProperties',
    element('Property', element('Name', 'DisplayName'), element('Value', list.displayName)),
    element('Property', element('Name', 'Default'), element('Value', record.defaultList === list.id)),
  );

const idList = (id: ResourceId): Element => element('ContactListIDList', element('ContactList', id));

export const createListRequest: Handler = async (context, { session, version, primitive }) => {
  const id = ownList(context, session.user, primitive);
  const failures = new Failures();
  const members = await contactsOf(context, child(primitive, 'NickList'), failures);
  const { displayName, isDefault } = propertiesOf(primitive);
  const list: ContactList = {
    id,
    displayName: displayName ?? id.slice(id.indexOf('/') + 1, id.lastIndexOf('@')),
    members: withMembers(context, [], members),
  };
  const record = await context.store.update(contactLists, session.user, (current = noLists) => {
    if (current.lists.some((known) => known.id === id)) throw new CspRefusal(701);
    if (current.lists.length >= context.config.limits.contactLists) throw new CspRefusal(753);
    const value = settle([...current.lists, list], isDefault ? id : current.defaultList);
    return { kind: 'put', value, result: value };
  });
  await notifyTypes(context, session.user, 'CLCR', [idList(id)], { except: session.id });
  await announceContacts(context, session.user, id, list.members, []);
  const details = failures.details();
  if (version === '1.3' && details.length === 0) {
    return element('CreateList-Response', element('ContactList', id), propertiesElement(list, record));
  }
  return status(codeFor(1, details), details);
};

export const deleteListRequest: Handler = async (context, { session, primitive }) => {
  const id = ownList(context, session.user, primitive);
  const gone = await context.store.update(contactLists, session.user, (current = noLists) => {
    const list = current.lists.find((known) => known.id === id);
    if (!list) throw new CspRefusal(700);
    const kept = current.lists.filter((known) => known.id !== id);
    return { kind: 'put', value: settle(kept, current.defaultList), result: list };
  });
  await notifyTypes(context, session.user, 'CLD', [idList(id)], { except: session.id });
  await announceContacts(context, session.user, id, [], gone.members);
  await forgetList(context, session.user, id);
  return status(200);
};

/** Reads a list, or changes its members or properties. */
export const listManageRequest: Handler = async (context, { session, version, primitive }) => {
  const id = ownList(context, session.user, primitive);
  const failures = new Failures();
  const added = await contactsOf(context, child(primitive, 'AddNickList'), failures);
  const removed = childrenOf(child(primitive, 'RemoveNickList'), 'UserID').map(({ text }) =>
    parseUserId(text, context.config.domain),
  );
  const { displayName, isDefault } = propertiesOf(primitive);
  const changes = primitive.children.some(({ name }) =>
    ['AddNickList', 'RemoveNickList', 'ContactListProperties'].includes(name),
  );
  const { list, record, before } = await context.store.update(
    contactLists,
    session.user,
    (current = noLists) => {
      const known = current.lists.find((candidate) => candidate.id === id);
      if (!known) throw new CspRefusal(700);
      if (!changes) return { kind: 'keep', result: { list: known, record: current, before: known } };
      const kept = known.members.filter(({ user }) => !removed.includes(user));
      const value: ContactList = {
        id,
        displayName: displayName ?? known.displayName,
        members: withMembers(context, kept, added),
      };
      const lists = current.lists.map((candidate) => (candidate.id === id ? value : candidate));
      const settled = settle(lists, isDefault ? id : current.defaultList);
      return { kind: 'put', value: settled, result: { list: value, record: settled, before: known } };
    },
  );
  if (changes) {
    await notifyTypes(context, session.user, 'CLC', [idList(id)], { except: session.id });
    const isIn = (members: readonly Contact[], user: UserId): boolean =>
      members.some((contact) => contact.user === user);
    await announceContacts(
      context,
      session.user,
      id,
      list.members.filter(({ user }) => !isIn(before.members, user)),
      before.members.filter(({ user }) => !isIn(list.members, user)),
    );
  }
  if (flagOf(primitive, 'AuthorizeAndGrant')) await authorizeAndGrant(context, session.user, added);
  return manageResponse(version, primitive, list, record, failures.details());
};

function manageResponse(
  version: CspVersion,
  primitive: Element,
  list: ContactList,
  record: ContactListsRecord,
  details: readonly Detail[],
): Element {
  const whole = version === '1.1' || flagOf(primitive, 'ReceiveList') === true;
  const members = list.members.map(({ user, name }) =>
    name === ''
      ? element('UserID', user)
      : element('NickName', element('Name', name), element('UserID', user)),
  );
  return element(
    'ListManage-Response',
    result(codeFor(1, details), details),
    whole ? [element('NickList', members), propertiesElement(list, record)] : undefined,
  );
}

/** Tells users who were put on a list, and keeps presence subscriptions of the list in step with its members. */
async function announceContacts(
  context: ImpsContext,
  owner: UserId,
  id: ResourceId,
  added: readonly Contact[],
  removed: readonly Contact[],
): Promise<void> {
  for (const { user } of added) {
    await notifyTypes(context, user, 'ATCL', [element('UserIDList', element('UserID', owner))]);
  }
  if (added.length > 0 || removed.length > 0) await contactsChanged(context, owner, id, added, removed);
}
