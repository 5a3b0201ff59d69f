import { groupError } from './errors.js';
import type { Recipient } from './recipient.js';

/** A 1-1 session that goes on. */
export interface KnownSession {
  readonly contributionId: string | undefined;
  /** Its two users, each with the Contact of the device, a GRUU where it has one. */
  readonly ends: readonly { readonly user: string; readonly device: string | undefined }[];
}

/** The 1-1 sessions of a user, as far as this domain knows them. */
export type SessionsOf = (user: string) => AsyncIterable<KnownSession> | Promise<AsyncIterable<KnownSession>>;

/**
 * Holds the replacements that recipients are marked with against the sessions that there are. A session of the recipient with somebody
 * else than the inviter is not the inviter's to replace. A recipient whose entry names no device gets the device of that session. What is
 * unknown here stays as it is: the recipient's device knows best, and takes what it does not know for an ordinary invitation.
 * @throws ParleyError `group-replaces-not-yours`
 */
export async function checkReplacements(
  recipients: readonly Recipient[],
  inviter: string,
  sessionsOf: SessionsOf,
): Promise<readonly Recipient[]> {
  if (recipients.every(({ sessionReplaces }) => sessionReplaces === undefined)) return recipients;
  return Promise.all(recipients.map((recipient) => checked(recipient, inviter, sessionsOf)));
}

async function checked(recipient: Recipient, inviter: string, sessionsOf: SessionsOf): Promise<Recipient> {
  const { identity, sessionReplaces, target, acceptContact } = recipient;
  if (sessionReplaces === undefined) return recipient;
  let somebodyElses = false;
  for await (const { contributionId, ends } of await sessionsOf(identity)) {
    const names = [contributionId, ...ends.map(({ device }) => device)];
    if (!names.includes(sessionReplaces)) continue;
    if (!ends.some(({ user }) => user === inviter)) {
      somebodyElses = true;
      continue;
    }
    const device = ends.find(({ user }) => user === identity)?.device;
    const pinned = target.includes(';gr') || acceptContact !== undefined;
    return pinned || device === undefined || !device.includes(';gr')
      ? recipient
      : { ...recipient, target: device };
  }
  if (somebodyElses) throw groupError('group-replaces-not-yours', identity);
  return recipient;
}
