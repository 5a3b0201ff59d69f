import {
  ownerOf,
  parseResourceId,
  parseUserId,
  type ResourceId,
  type UserId,
} from '../address/wv-address.js';
import { element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import { CspRefusal } from '../status.js';
import { exists } from './contact-lists.js';
import { putOut } from './group-join.js';
import { defaultGroupProperties, readGroupProperties } from './group-properties.js';
import {
  deadlineOf,
  groups,
  indexMembers,
  membersOf,
  type GroupRecord,
  type Member,
  type Role,
} from './group-store.js';
import { checkGroupLimit, dissolve } from './groups.js';

/** One member of one group, as an operator brings it from elsewhere or takes it there. */
export interface GroupEntry {
  /** `wv:user/name@domain`, or `wv:/name@domain` with an owner. */
  readonly group: string;
  /** Whose the group is; the user of its address when absent. */
  readonly owner?: string | undefined;
  /** Properties of a group that the row makes; others keep theirs. */
  readonly properties: Readonly<Record<string, string>>;
  /** The owner when absent, who is a member in any case. */
  readonly member?: string | undefined;
  readonly role: Role;
}

/** Properties that go out and come in; what is not there has its standard value. */
export const transferredProperties = [
  'Name',
  'Topic',
  'AccessType',
  'Type',
  'PrivateMessaging',
  'Searchable',
  'MaxActiveUsers',
  'RequireInvitation',
  'MinimumAge',
] as const;

/**
 * Puts a member into a group, which is made when it is not there. Nobody is told: members ask for their groups.
 * @returns false when it is there already, in whatever role
 * @throws CspRefusal 800 for no address of a group, 531 for an owner or member that nobody is, 806 for a property, 814 and 403 for too
 * many groups or members
 */
export async function importGroupMember(context: ImpsContext, entry: GroupEntry): Promise<boolean> {
  const { id, member } = addressesOf(context, entry);
  const owner = parseUserId(entry.owner ?? ownerOf(id), context.config.domain);
  const properties = readGroupProperties(
    element(
      'GroupProperties',
      Object.entries(entry.properties).map(([name, value]) =>
        element('Property', element('Name', name), element('Value', value)),
      ),
    ),
  );
  const known = await context.store.get(groups, id);
  const whose = known?.owner ?? owner;
  for (const user of [whose, member]) if (user && !(await exists(context, user))) throw new CspRefusal(531);
  if (!known && owner !== undefined && ownerOf(id) !== undefined) await checkGroupLimit(context, owner);
  const added = await context.store.update(groups, id, (current) => {
    if (!current && owner === undefined) throw new CspRefusal(531, 'no owner');
    const before = current?.members ?? { [owner!]: { role: 'Admin', own: {} } satisfies Member };
    const fresh = member !== undefined && before[member] === undefined ? [member] : [];
    if (current && fresh.length === 0) return { kind: 'keep', result: [] };
    const members = {
      ...before,
      ...Object.fromEntries(fresh.map((user) => [user, { role: entry.role, own: {} }])),
    };
    if (Object.keys(members).length > context.config.limits.groupMembers)
      throw new CspRefusal(403, 'too many members');
    const value: GroupRecord = current
      ? { ...current, members }
      : {
          id,
          owner: owner!,
          createdAt: context.clock.now(),
          properties: { ...defaultGroupProperties, ...properties },
          members,
          rejected: [],
          invited: [],
          joined: {},
        };
    const news = current ? fresh : (Object.keys(members) as UserId[]);
    return { kind: 'put', value, deadline: deadlineOf(context, value), result: news };
  });
  await indexMembers(context, id, added, []);
  return added.length > 0;
}

/**
 * Takes a member out of a group; the group goes when its owner alone is left and nobody is in it.
 * @returns false when it is not there. @throws CspRefusal 800, 531
 */
export async function withdrawGroupMember(context: ImpsContext, entry: GroupEntry): Promise<boolean> {
  const { id, member } = addressesOf(context, entry);
  type Change = {
    readonly removed: readonly UserId[];
    readonly gone?: GroupRecord;
    readonly restricted: boolean;
  };
  const change = await context.store.update<GroupRecord, Change | undefined>(groups, id, (current) => {
    if (!current) return { kind: 'keep', result: undefined };
    const removed = membersOf(current)
      .map(([user]) => user)
      .filter((user) => user === member && user !== current.owner);
    const members = Object.fromEntries(membersOf(current).filter(([user]) => !removed.includes(user)));
    const value = { ...current, members };
    const restricted = current.properties['AccessType'] === 'Restricted';
    const isOver = Object.keys(members).length === 1 && Object.keys(current.joined).length === 0;
    if (isOver) return { kind: 'remove', result: { removed, gone: value, restricted } };
    if (removed.length === 0) return { kind: 'keep', result: undefined };
    return { kind: 'put', value, deadline: deadlineOf(context, value), result: { removed, restricted } };
  });
  if (!change) return false;
  await indexMembers(context, id, [], change.removed);
  if (change.gone) await dissolve(context, change.gone);
  else if (change.restricted) await putOut(context, id, change.removed, 810);
  return true;
}

/** Members of groups in order of the groups' addresses, owners first; not those that stand for groups elsewhere. */
export async function* exportGroupMembers(
  context: ImpsContext,
  after: ResourceId | undefined,
): AsyncIterable<GroupEntry> {
  for await (const { value } of context.store.scan(groups, after === undefined ? {} : { after })) {
    const { id, owner, properties } = value;
    if ((owner as string) === id) continue;
    const own = Object.fromEntries(
      transferredProperties.flatMap((name) =>
        properties[name] === undefined ? [] : [[name, properties[name]]],
      ),
    );
    const others = membersOf(value).filter(([user]) => user !== owner);
    for (const [member, role] of [
      [owner, 'Admin'] as const,
      ...others.map(([user, m]) => [user, m.role] as const),
    ])
      yield { group: id, owner, properties: own, member, role };
  }
}

/** @throws CspRefusal 800, 531 */
function addressesOf(
  { config: { domain } }: ImpsContext,
  { group, member }: GroupEntry,
): { readonly id: ResourceId; readonly member: UserId | undefined } {
  const id = parseResourceId(group, domain);
  if (id === undefined) throw new CspRefusal(800);
  if (member === undefined) return { id, member };
  const user = parseUserId(member, domain);
  if (user === undefined) throw new CspRefusal(531);
  return { id, member: user };
}
