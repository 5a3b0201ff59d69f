import { orNone } from '../../base/errors.js';
import { parseGruu } from '../../identity/gruu.js';
import { parseReplaces, type Replaces } from '../../sip/message/replaces.js';
import { isGruu, type Invitee, type Recipient } from './recipient.js';

/** One end of a 1-1 session. */
export interface SessionParty {
  /** Key of the registration set of a user here, else the address of record. */
  readonly owner: string;
  /** The Contact of the device, a GRUU where it has one. */
  readonly device: string | undefined;
}

/** The identifiers of a dialog (RFC 3261 §12). */
export interface DialogName {
  readonly callId: string;
  readonly callerTag: string;
  /** Undefined where it is not known. */
  readonly calleeTag: string | undefined;
}

/** A 1-1 session that goes on. */
export interface KnownSession {
  readonly contributionId: string | undefined;
  /** What each end calls it: one name where both ends have the same, others where a B2BUA is between them. */
  readonly dialogs: readonly DialogName[];
  readonly caller: SessionParty;
  readonly callee: SessionParty;
}

/** The 1-1 sessions that this domain knows. */
export interface OneToOneSessions {
  /** Those of one owner. */
  of(owner: string): AsyncIterable<KnownSession>;
}

/** Why a replacement is not passed on. */
export type IgnoredReplacement = 'session of somebody else' | 'session of another device';

/**
 * Holds the replacements that recipients are marked with against the sessions that there are. A recipient whose entry names no device gets
 * the device of the session. A session of the recipient with somebody else than the inviter, or with another device than the entry names,
 * is not the inviter's to replace: the invitation is an ordinary one. A Session-Replaces that is unknown here stays as it is: the
 * recipient's device knows best, and takes what it does not know for an ordinary invitation. RFC 3891 has such a device answer 481 instead,
 * so that a Replaces stays only when its dialog is known to have these identifiers at both ends; where a B2BUA is between them, the inviter
 * names the dialog that it has itself, and its session is named by the Contribution-ID, which both ends share.
 * @param inviter its {@link SessionParty.owner}. @param ignored gets what is not passed on.
 */
export async function checkReplacements(
  recipients: readonly Invitee[],
  inviter: string,
  sessions: OneToOneSessions,
  ignored: (recipient: Invitee, why: IgnoredReplacement) => void,
): Promise<readonly Invitee[]> {
  return Promise.all(
    recipients.map(async (recipient) => {
      const { sessionReplaces, replaces, ...ordinary } = recipient;
      if (sessionReplaces === undefined && replaces === undefined) return recipient;
      const checked = await held(recipient, inviter, sessions);
      if (typeof checked !== 'string') return checked;
      ignored(recipient, checked);
      return ordinary;
    }),
  );
}

async function held(
  recipient: Invitee,
  inviter: string,
  sessions: OneToOneSessions,
): Promise<Invitee | IgnoredReplacement> {
  const { replaces, ...plain } = recipient;
  const { owner } = recipient;
  const dialog = replaces === undefined ? undefined : parseReplaces(replaces);
  let found: KnownSession | undefined;
  let somebodyElses = false;
  for (const whose of new Set([owner, inviter])) {
    for await (const session of sessions.of(whose)) {
      if (!isNamed(session, recipient, dialog)) continue;
      const owners = [session.caller.owner, session.callee.owner];
      if (owners.includes(inviter) && owners.includes(owner)) found ??= session;
      else if (owners.includes(owner)) somebodyElses = true;
    }
  }
  if (!found) return somebodyElses ? 'session of somebody else' : plain;
  const { device } = found.callee.owner === owner ? found.callee : found.caller;
  const named = deviceNamed(plain);
  if (named !== undefined && isAnother(named, device)) return 'session of another device';
  const same =
    dialog !== undefined && found.dialogs.length === 1 && found.dialogs[0]!.callId === dialog.callId;
  return {
    ...plain,
    ...(named !== undefined || !isGruu(device) ? {} : { target: device }),
    ...(same ? { replaces: replaces! } : {}),
    ...(plain.sessionReplaces === undefined && found.contributionId !== undefined
      ? { sessionReplaces: found.contributionId }
      : {}),
  };
}

function isNamed(session: KnownSession, recipient: Invitee, dialog: Replaces | undefined): boolean {
  const { contributionId, caller, callee } = session;
  if (dialog && session.dialogs.some((name) => isNameOf(name, callee.owner === recipient.owner, dialog)))
    return true;
  const { sessionReplaces } = recipient;
  if (sessionReplaces === undefined) return false;
  return [contributionId, caller.device, callee.device].includes(sessionReplaces);
}

/** Whether a Replaces means that dialog: `to-tag` is the tag of the recipient's end (RFC 3891 §3). */
function isNameOf(
  { callId, callerTag, calleeTag }: DialogName,
  isCallee: boolean,
  { callId: wanted, toTag, fromTag }: Replaces,
): boolean {
  const [own, other] = isCallee ? [calleeTag, callerTag] : [callerTag, calleeTag];
  const fits = (known: string | undefined, tag: string): boolean => known === undefined || known === tag;
  return wanted === callId && fits(own, toTag) && fits(other, fromTag);
}

/** What an entry says of the device: the `gr` of its GRUU or the instance of its Accept-Contact; empty for a temporary GRUU. */
function deviceNamed({ target, acceptContact }: Recipient): string | undefined {
  if (isGruu(target)) return grOf(target);
  return /;\s*\+sip\.instance\s*=\s*"<([^>"]+)>"/i.exec(acceptContact ?? '')?.[1];
}

/** Empty where only the registrar knows which device it is. */
function grOf(uri: string | undefined): string {
  const gruu = uri === undefined ? undefined : orNone(() => parseGruu(uri));
  return gruu?.kind === 'public' ? gruu.gr : '';
}

/** Whether two names, which must be UUIDs to be compared, are those of two devices: hardware has one that hides it as well. */
function isAnother(named: string, device: string | undefined): boolean {
  const [one, other] = [named, grOf(device)].map((name) => name.toLowerCase());
  return [one, other].every((name) => name!.startsWith('urn:uuid:')) && one !== other;
}
