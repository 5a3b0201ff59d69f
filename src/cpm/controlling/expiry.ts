import type { Clock } from '../../base/clock.js';
import type { Store } from '../../store/store.js';
import { findMember } from './group.js';
import type { Groups } from './groups.js';
import { holdsMembership, shownAs } from './member.js';
import { keepMessage, removeExpired, type ExpiredMessage } from './message-log.js';
import { failureNotice } from './notices.js';

export interface ExpiryParts {
  readonly clock: Clock;
  readonly store: Store;
  readonly groups: Groups;
  /** Milliseconds that a message waits for a member. */
  readonly keepMs: number;
  /** A message waited too long for some members of a group. @returns false where the group has no sessions here. */
  expired(message: ExpiredMessage): boolean;
}

/**
 * Removes messages that waited too long, at most `limit`; those of a group that another node runs are that node's to remove. Who sent
 * one hears so if it asked (RFC 5438 §8.2), when it comes again where it is not there.
 */
export async function expireMessages(parts: ExpiryParts, limit: number): Promise<void> {
  const { groups, store, clock } = parts;
  const ours = new Map<string, Promise<boolean>>();
  const isOurs = async (id: string): Promise<boolean> => {
    const known = ours.get(id) ?? groups.isElsewhere(id).then((elsewhere) => !elsewhere);
    ours.set(id, known);
    return known;
  };
  for (const expired of await removeExpired(store, clock.now(), limit, isOurs))
    if (!parts.expired(expired)) await keepNotices(parts, expired);
}

async function keepNotices(
  { groups, store, clock, keepMs }: ExpiryParts,
  { groupId, message }: ExpiredMessage,
): Promise<void> {
  const group = await groups.get(groupId);
  const sender = group && findMember(group, message.from);
  if (!sender || !holdsMembership(sender)) return;
  const receivedAt = clock.now();
  for (const identity of message.waiting) {
    const member = findMember(group, identity);
    const octets = failureNotice(message, member ? shownAs(member) : identity, receivedAt);
    if (!octets) return;
    const about = { contentType: 'message/cpim', wrapped: 'message/imdn+xml', octets, receivedAt };
    await keepMessage(store, groupId, { ...about, from: group.uri, waiting: [sender.identity] }, keepMs);
  }
}
