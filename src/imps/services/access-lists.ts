import { table } from '../../store/store.js';
import { parseResourceId, parseUserId, type UserId } from '../address/wv-address.js';
import { child, childrenOf, element, flagOf, textOf, textsOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import type { Party } from '../state/records.js';
import { CspRefusal, status } from '../status.js';
import type { CspVersion } from '../vocabulary/versions.js';
import { listMembers } from './contact-list-store.js';
import { notifyTypes } from './general-notifications.js';

/** One entry of a block or grant list: its kind and its text; a screen name as `name\tgroup`. */
export interface Entry {
  readonly kind: 'UserID' | 'ScreenName' | 'GroupID' | 'ContactList' | 'ApplicationID';
  readonly text: string;
}

export interface AccessListsRecord {
  readonly block: readonly Entry[];
  readonly blockInUse: boolean;
  readonly grant: readonly Entry[];
  readonly grantInUse: boolean;
}

export const accessLists = table<AccessListsRecord>('imps-access-lists');
export const nothing: AccessListsRecord = { block: [], blockInUse: false, grant: [], grantInUse: false };

/**
 * Whether a user takes messages from that sender: (1) block list in use and sender on it, no; (2) grant list in use
 * and sender not on it, no; (3) else yes.
 */
export async function allows(context: ImpsContext, user: UserId, sender: Party): Promise<boolean> {
  const lists = await context.store.get(accessLists, user);
  if (!lists) return true;
  if (lists.blockInUse && (await holds(context, user, lists.block, sender))) return false;
  return !lists.grantInUse || (await holds(context, user, lists.grant, sender));
}

/** The same of somebody who writes to the user alone, or invites it: what the user laid down elsewhere counts too. */
export async function accepts(context: ImpsContext, user: UserId, sender: Party): Promise<boolean> {
  if (!(await allows(context, user, sender))) return false;
  return sender.user === undefined || !(await context.ports.router.blocks(user, sender.user));
}

/**
 * For requests of another system. @returns whether the user takes them from somebody with these addresses; undefined when no list of
 * the user is in use
 */
export async function accessOf(
  context: ImpsContext,
  user: UserId,
): Promise<((senders: readonly UserId[]) => Promise<boolean>) | undefined> {
  const lists = await context.store.get(accessLists, user);
  if (!lists?.blockInUse && !lists?.grantInUse) return undefined;
  return async (senders) => {
    const isOn = async (list: readonly Entry[]): Promise<boolean> => {
      const found = await Promise.all(senders.map((sender) => holds(context, user, list, { user: sender })));
      return found.includes(true);
    };
    if (lists.blockInUse && (await isOn(lists.block))) return false;
    return !lists.grantInUse || isOn(lists.grant);
  };
}

async function holds(
  context: ImpsContext,
  owner: UserId,
  list: readonly Entry[],
  sender: Party,
): Promise<boolean> {
  const screenName =
    sender.screenName === undefined ? undefined : `${sender.screenName}\t${sender.group ?? ''}`;
  for (const { kind, text } of list) {
    if (kind === 'UserID' && text === sender.user) return true;
    if (kind === 'GroupID' && text === sender.group) return true;
    if (kind === 'ScreenName' && text === screenName) return true;
    if (kind === 'ApplicationID' && sender.applicationId !== undefined && text === sender.applicationId)
      return true;
    if (kind !== 'ContactList' || sender.user === undefined) continue;
    const members = await listMembers(context, owner, text);
    if (members?.some((member) => member.user === sender.user)) return true;
  }
  return false;
}

/** Reads the entries of EntityList, AddList or RemoveList. @throws CspRefusal 531 or 800 for an illegal address */
function entries(list: Element, context: ImpsContext): Entry[] {
  const { domain } = context.config;
  const users = textsOf(list, 'UserID').map((text): Entry => {
    const user = parseUserId(text, domain);
    if (user === undefined) throw new CspRefusal(531);
    return { kind: 'UserID', text: user };
  });
  const groups = textsOf(list, 'GroupID').map((text): Entry => {
    const group = parseResourceId(text, domain);
    if (group === undefined) throw new CspRefusal(800);
    return { kind: 'GroupID', text: group };
  });
  const screenNames = childrenOf(list, 'ScreenName').map((name): Entry => {
    const group = parseResourceId(textOf(name, 'GroupID'), domain) ?? '';
    return { kind: 'ScreenName', text: `${textOf(name, 'SName') ?? ''}\t${group}` };
  });
  const lists = textsOf(list, 'ContactList').map((text): Entry => {
    const contactList = parseResourceId(text, domain);
    if (contactList === undefined) throw new CspRefusal(700);
    return { kind: 'ContactList', text: contactList };
  });
  const applications = textsOf(list, 'ApplicationID').map((text): Entry => ({
    kind: 'ApplicationID',
    text: text.trim(),
  }));
  return [...users, ...screenNames, ...groups, ...lists, ...applications];
}

export const same = (a: Entry, b: Entry): boolean => a.kind === b.kind && a.text === b.text;

/** What a list becomes: replaced by EntityList, or changed by AddList and RemoveList. */
function changed(
  before: readonly Entry[],
  list: Element | undefined,
  context: ImpsContext,
): readonly Entry[] {
  if (!list) return before;
  const whole = child(list, 'EntityList');
  const removed = child(list, 'RemoveList') ? entries(child(list, 'RemoveList')!, context) : [];
  const added = child(list, 'AddList') ? entries(child(list, 'AddList')!, context) : [];
  const kept = (whole ? entries(whole, context) : before).filter(
    (entry) => !removed.some((gone) => same(gone, entry)),
  );
  const after = [...kept];
  for (const entry of added) if (!after.some((known) => same(known, entry))) after.push(entry);
  if (after.length > context.config.limits.accessList) throw new CspRefusal(403, 'the list is full');
  return after;
}

/** Changes block list and grant list; InUse stands inside the lists before 1.3. */
export const blockEntityRequest: Handler = async (context, { session, primitive }) => {
  const block = child(primitive, 'BlockList');
  const grant = child(primitive, 'GrantList');
  const before = (await context.store.get(accessLists, session.user)) ?? nothing;
  const after = await context.store.update(accessLists, session.user, (current = nothing) => {
    const value: AccessListsRecord = {
      block: changed(current.block, block, context),
      blockInUse: flagOf(primitive, 'BlockListInUse') ?? flagOf(block, 'InUse') ?? current.blockInUse,
      grant: changed(current.grant, grant, context),
      grantInUse: flagOf(primitive, 'GrantListInUse') ?? flagOf(grant, 'InUse') ?? current.grantInUse,
    };
    return { kind: 'put', value, result: value };
  });
  const own = { except: session.id };
  if (block) await notifyTypes(context, session.user, 'BLC', [], own);
  if (grant) await notifyTypes(context, session.user, 'GLC', [], own);
  if (before.blockInUse !== after.blockInUse) {
    await notifyTypes(context, session.user, 'BLUC', [element('BlockListInUse', after.blockInUse)], own);
  }
  if (before.grantInUse !== after.grantInUse) {
    await notifyTypes(context, session.user, 'GLUC', [element('GrantListInUse', after.grantInUse)], own);
  }
  return status(200);
};

function listElement(name: string, list: readonly Entry[], inUse: boolean, version: CspVersion): Element {
  const ofVersion = list.filter(
    ({ kind }) => version === '1.3' || (kind !== 'ContactList' && kind !== 'ApplicationID'),
  );
  const order: readonly Entry['kind'][] = ['UserID', 'ScreenName', 'GroupID', 'ContactList', 'ApplicationID'];
  const texts = order.flatMap((kind) =>
    ofVersion
      .filter((entry) => entry.kind === kind)
      .map(({ text }) => {
        if (kind !== 'ScreenName') return element(kind, text);
        const [name_ = '', group = ''] = text.split('\t');
        return element('ScreenName', element('SName', name_), element('GroupID', group));
      }),
  );
  return element(name, version === '1.3' ? undefined : element('InUse', inUse), element('EntityList', texts));
}

export const getBlockedListRequest: Handler = async (context, { session, version }) => {
  const lists = (await context.store.get(accessLists, session.user)) ?? nothing;
  const is13 = version === '1.3';
  return element(
    'GetBlockedList-Response',
    listElement('BlockList', lists.block, lists.blockInUse, version),
    is13 ? element('BlockListInUse', lists.blockInUse) : undefined,
    listElement('GrantList', lists.grant, lists.grantInUse, version),
    is13 ? element('GrantListInUse', lists.grantInUse) : undefined,
  );
};
