import type { ResourceId, UserId } from '../address/wv-address.js';
import type { ImpsContext } from '../context.js';
import type { Party } from '../state/records.js';
import type { StatusCode } from '../status.js';
import { allows } from './access-lists.js';
import { groups, joinedOf, type JoinedUser } from './group-store.js';

const living = async (context: ImpsContext, joined: JoinedUser): Promise<string[]> => {
  const found = await Promise.all(joined.sessions.map(({ id }) => context.sessions.find(id)));
  return found.flatMap((session) => session?.id ?? []);
};

/** Who gets a message to a group: everybody joined but its sender, as far as they take it. */
export async function groupAudience(
  context: ImpsContext,
  id: ResourceId,
  from: UserId,
): Promise<
  | StatusCode
  | {
      readonly sender: Party;
      readonly members: readonly {
        readonly user: UserId;
        readonly screenName: string;
        readonly sessions: string[];
      }[];
    }
> {
  const group = await context.store.get(groups, id);
  if (!group) return 800;
  const own = group.joined[from];
  if (!own) return 808;
  const sender: Party = { user: from, group: id, screenName: own.screenName };
  const members: { user: UserId; screenName: string; sessions: string[] }[] = [];
  for (const [user, joined] of joinedOf(group)) {
    if (user === from || !(await allows(context, user, sender))) continue;
    const sessions = await living(context, joined);
    if (sessions.length > 0) members.push({ user, screenName: joined.screenName, sessions });
  }
  return { sender, members };
}

/** Who gets a private message to a screen name of a group; one who is elsewhere, or away, has no sessions. */
export async function whisperTarget(
  context: ImpsContext,
  id: ResourceId,
  from: UserId,
  screenName: string,
): Promise<StatusCode | { readonly sender: Party; readonly user: UserId; readonly sessions: string[] }> {
  const group = await context.store.get(groups, id);
  if (!group) return 800;
  const own = group.joined[from];
  if (!own) return 808;
  if (group.properties['PrivateMessaging'] === 'F') return 812;
  const found = joinedOf(group).find(([, joined]) => joined.screenName === screenName);
  if (!found) return 531;
  const [user, joined] = found;
  if (joined.own['PrivateMessaging'] === 'F') return 813;
  const sender: Party = { user: from, group: id, screenName: own.screenName };
  if (!(await allows(context, user, sender))) return 532;
  const sessions = await living(context, joined);
  return { sender, user, sessions };
}
