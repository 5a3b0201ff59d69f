import { parseReplaces } from '../../sip/message/replaces.js';
import { groupError } from './errors.js';
import type { Invitee, Recipient } from './recipient.js';

/** One end of a 1-1 session. */
export interface SessionParty {
  /** Key of the registration set of a user here, else the address of record. */
  readonly owner: string;
  /** The Contact of the device, a GRUU where it has one. */
  readonly device: string | undefined;
}

/** A 1-1 session that goes on. */
export interface KnownSession {
  readonly contributionId: string | undefined;
  readonly callId: string;
  /** Whether its dialog has other identifiers at one end than at the other. */
  readonly renamed: boolean;
  readonly ends: readonly SessionParty[];
}

/** The 1-1 sessions that this domain knows. */
export interface OneToOneSessions {
  /** Those of one owner. */
  of(owner: string): AsyncIterable<KnownSession>;
}

/**
 * Holds the replacements that recipients are marked with against the sessions that there are. A session of the recipient with somebody
 * else than the inviter is not the inviter's to replace. A recipient whose entry names no device gets the device of that session. A
 * Session-Replaces that is unknown here stays as it is: the recipient's device knows best, and takes what it does not know for an ordinary
 * invitation. RFC 3891 has such a device answer 481 instead, so that a Replaces stays only when its dialog is known to have these
 * identifiers at both ends; the session of any other one is named by its Contribution-ID.
 * @param inviter its {@link SessionParty.owner}.
 * @throws ParleyError `group-replaces-not-yours`
 */
export async function checkReplacements(
  recipients: readonly Invitee[],
  inviter: string,
  sessions: OneToOneSessions,
): Promise<readonly Invitee[]> {
  return Promise.all(
    recipients.map(async (recipient) =>
      marked(recipient) ? checked(recipient, inviter, sessions) : recipient,
    ),
  );
}

const marked = ({ sessionReplaces, replaces }: Recipient): boolean =>
  sessionReplaces !== undefined || replaces !== undefined;

async function checked(recipient: Invitee, inviter: string, sessions: OneToOneSessions): Promise<Invitee> {
  const { replaces, ...plain } = recipient;
  const { owner } = recipient;
  const callId = replaces === undefined ? undefined : parseReplaces(replaces).callId;
  let found: KnownSession | undefined;
  let somebodyElses = false;
  for (const whose of new Set([owner, inviter])) {
    for await (const session of sessions.of(whose)) {
      if (!isNamed(session, recipient, callId)) continue;
      const owners = session.ends.map((end) => end.owner);
      if (owners.includes(inviter) && owners.includes(owner)) found ??= session;
      else if (owners.includes(owner)) somebodyElses = true;
    }
  }
  if (!found && somebodyElses) throw groupError('group-replaces-not-yours', recipient.identity);
  if (!found) return plain;
  const device = found.ends.find((end) => end.owner === owner)?.device;
  const pinned = plain.target.includes(';gr') || plain.acceptContact !== undefined;
  const same = callId === found.callId && !found.renamed;
  return {
    ...plain,
    ...(pinned || !device?.includes(';gr') ? {} : { target: device }),
    ...(same ? { replaces: replaces! } : {}),
    ...(plain.sessionReplaces === undefined && found.contributionId !== undefined
      ? { sessionReplaces: found.contributionId }
      : {}),
  };
}

function isNamed(
  { contributionId, callId, ends }: KnownSession,
  { sessionReplaces }: Recipient,
  replaced: string | undefined,
): boolean {
  if (replaced !== undefined && callId === replaced) return true;
  if (sessionReplaces === undefined) return false;
  return sessionReplaces === contributionId || ends.some(({ device }) => device === sessionReplaces);
}
