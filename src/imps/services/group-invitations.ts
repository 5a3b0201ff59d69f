import { parseResourceId, type ResourceId, type UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';
import { element } from '../codec/element.js';
import { CspRefusal } from '../status.js';
import { notifyTypes } from './general-notifications.js';
import { changeGroup, groupOf, indexMembers } from './group-store.js';

/**
 * Who may invite to a group: to membership who may add members, else who is in the group.
 * @throws CspRefusal 800 no such group, 808 not in it, 816 no administrator or moderator
 */
export async function mayInvite(
  context: ImpsContext,
  group: ResourceId | undefined,
  type: string,
  user: UserId,
): Promise<void> {
  const { members, joined } = await groupOf(context, group);
  const role = members[user]?.role;
  if (type === 'GM' && role !== 'Admin' && role !== 'Mod') throw new CspRefusal(816);
  if (role === undefined && !joined[user]) throw new CspRefusal(808);
}

/**
 * What accepting an invitation does: GM makes a member, GR lets into a group that requires an invitation. The client
 * joins by itself. A group that went meanwhile is no failure of the answer.
 */
export async function acceptInvitation(
  context: ImpsContext,
  groupText: string | undefined,
  type: string,
  user: UserId,
): Promise<void> {
  const id = parseResourceId(groupText, context.config.domain);
  if (id === undefined || (type !== 'GM' && type !== 'GR')) return;
  try {
    const isNew = await changeGroup(context, id, (group) => {
      const known = group.invited.includes(user) ? group.invited : [...group.invited, user];
      // the oldest ones have joined long ago, or never will
      const invited = known.slice(-context.config.limits.groupMembers);
      if (type === 'GR' || group.members[user]) return { value: { ...group, invited }, result: false };
      const members = { ...group.members, [user]: { role: 'User' as const, own: {} } };
      if (Object.keys(members).length > context.config.limits.groupMembers)
        throw new CspRefusal(403, 'too many members');
      return { value: { ...group, members }, result: true };
    });
    if (!isNew) return;
    await indexMembers(context, id, [user], []);
    await notifyTypes(context, user, 'GMG', [element('GroupID', id)]);
  } catch (error) {
    if (!(error instanceof CspRefusal) || error.status !== 800) throw error;
  }
}
