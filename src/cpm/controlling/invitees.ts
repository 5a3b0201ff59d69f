import { groupError } from './errors.js';
import type { GroupAddresses } from './group-addresses.js';
import { memberOf, type Group, type Participant } from './group.js';
import type { Member } from './member.js';
import { fieldsOf, type Invitee, type Recipient } from './recipient.js';
import { merge } from './recipient-list.js';

export interface InviteesOptions {
  readonly addresses: GroupAddresses;
  /** Key of the registration set of a user here, else the identity. */
  ownerOf(identity: string): Promise<string>;
}

/**
 * Whom recipients are, one for each user: a user is one participant under each of its identities (3GPP TS 23.228 §4.3.3.4).
 * @param self the owner who is left out: who asks.
 * @throws ParleyError `group-list-malformed` for a group in a group, which would invite itself.
 */
export async function invitees(
  recipients: readonly Recipient[],
  options: InviteesOptions,
  self?: string,
): Promise<Invitee[]> {
  for (const { identity, method } of recipients)
    if (method === 'INVITE' && options.addresses.isTaken(identity))
      throw groupError('group-list-malformed', `${identity} is a group`);
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

/** Somebody to be invited without a list. */
export function invitee({ identity, owner }: Participant): Invitee {
  return {
    identity,
    owner,
    interworking: !/^(?:sips?|tel):/.test(identity),
    target: identity,
    method: 'INVITE',
    copyControl: 'to',
    anonymize: false,
  };
}

/** A member to be invited as it was when it rang. */
export function invitedAgain(member: Member): Invitee {
  const { invitation } = member;
  return {
    ...invitee(member),
    ...(invitation && { target: invitation.target, ...fieldsOf(invitation) }),
    copyControl: member.copyControl,
    anonymize: member.alias !== undefined,
  };
}
