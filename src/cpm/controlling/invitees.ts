import type { Group } from './group.js';
import { memberOf } from './group.js';
import type { Invitee, Recipient } from './recipient.js';
import { merge } from './recipient-list.js';

/**
 * Whom recipients are, one for each user: a user is one participant under each of its identities (3GPP TS 23.228 §4.3.3.4).
 * @param self the owner who is left out: who asks.
 */
export async function invitees(
  recipients: readonly Recipient[],
  options: { ownerOf(identity: string): Promise<string> },
  self?: string,
): Promise<Invitee[]> {
  const owners = await Promise.all(recipients.map(({ identity }) => options.ownerOf(identity)));
  const found = new Map<string, Invitee>();
  for (const [index, recipient] of recipients.entries()) {
    const owner = owners[index]!;
    if (owner === self) continue;
    const known = found.get(owner);
    found.set(owner, known ? { ...merge(known, recipient), owner } : { ...recipient, owner });
  }
  return [...found.values()];
}

/** Invitees by the names under which a group knows them; whom it shows by an alias is named to nobody. */
export function asKnown(group: Group, wanted: readonly Invitee[]): Invitee[] {
  return wanted.map((invitee) => {
    const member = memberOf(group, invitee);
    if (!member) return invitee;
    return {
      ...invitee,
      identity: member.identity,
      anonymize: invitee.anonymize || member.alias !== undefined,
    };
  });
}
