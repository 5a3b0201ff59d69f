import { table } from '../../store/store.js';
import { parseResourceId, parseUserId, type UserId } from '../address/wv-address.js';
import { child, childrenOf, element, flagOf, numberOf, textOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext } from '../context.js';
import { toEachSession } from '../delivery/user-requests.js';
import { keyOf } from '../state/records.js';
import { CspRefusal, Failures, codeFor, status, type StatusCode } from '../status.js';
import type { CspVersion } from '../vocabulary/versions.js';
import { accepts } from './access-lists.js';
import { isReachable } from './contact-lists.js';
import { notifyTypes } from './general-notifications.js';
import { acceptInvitation, mayInvite } from './group-invitations.js';

/** An invitation without an answer. By invitee, Invite-ID and inviter, since the inviter makes the ID. */
export interface InvitationRecord {
  readonly inviter: UserId;
  readonly invitee: UserId;
  readonly id: string;
  readonly type: string;
  readonly group?: string | undefined;
  /** From somebody elsewhere, who is told of the answer there. */
  readonly outside?: boolean | undefined;
}

export const invitations = table<InvitationRecord>('imps-invitations');

const types: Readonly<Record<CspVersion, readonly string[]>> = {
  '1.1': ['GR', 'IM', 'PR', 'SC'],
  '1.2': ['GR', 'GM', 'IM', 'PR', 'SC'],
  '1.3': ['AP', 'EC', 'EG', 'GM', 'GR', 'IM', 'PR', 'SC'],
};
const DEFAULT_VALIDITY = 86_400;

/** What an invitation passes on as it is, and what taking it back does: in the order of the content models. */
const passedOn = {
  invite: ['ApplicationID', 'GroupID', 'PresenceSubList', 'URLList', 'InviteNote', 'ScreenName', 'Validity'],
  cancel: ['InviteNote', 'ApplicationID', 'GroupID', 'PresenceSubList', 'URLList', 'ScreenName'],
} as const;

/** @throws CspRefusal 402 for the type, 429, 400 or 450 for what the type needs */
function checkType(primitive: Element, version: CspVersion): string {
  const type = textOf(primitive, 'InviteType')?.trim() ?? '';
  if (!types[version].includes(type)) throw new CspRefusal(402, 'InviteType');
  if ((type === 'GR' || type === 'GM') && !child(primitive, 'GroupID')) throw new CspRefusal(429);
  if (type === 'SC' && !child(primitive, 'URLList')) throw new CspRefusal(400, 'no URLList');
  if (type === 'AP' && !child(primitive, 'ApplicationID')) throw new CspRefusal(450);
  return type;
}

function inviteId(primitive: Element): string {
  const id = textOf(primitive, 'InviteID')?.trim();
  if (!id || id.length > 100) throw new CspRefusal(400, 'no InviteID');
  return id;
}

/** @throws CspRefusal 400 for none, 402 for more than the operator allows */
function recipientsOf(context: ImpsContext, primitive: Element, failures: Failures): UserId[] {
  const users = childrenOf(child(primitive, 'Recipient'), 'User');
  if (users.length === 0) throw new CspRefusal(400, 'no Recipient');
  if (users.length > context.config.messages.recipientLimit) throw new CspRefusal(402, 'too many recipients');
  return users.flatMap((user) => {
    const text = textOf(user, 'UserID');
    const id = parseUserId(text, context.config.domain);
    if (id === undefined) failures.add(531, element('UserID', text ?? ''));
    return id ?? [];
  });
}

const userElement = (name: string, user: UserId): Element =>
  element(name, element('User', element('UserID', user)));

/** To every session of a user that takes invitations. */
const toUser = async (context: ImpsContext, user: UserId, request: Element): Promise<void> => {
  await toEachSession(context, user, request);
};

export const inviteRequest: Handler = async (context, { session, version, primitive }) => {
  const id = inviteId(primitive);
  const type = checkType(primitive, version);
  const group = parseResourceId(textOf(primitive, 'GroupID'), context.config.domain);
  if (type === 'GR' || type === 'GM') await mayInvite(context, group, type, session.user);
  const failures = new Failures();
  const wanted: InvitationRecord[] = [];
  for (const invitee of recipientsOf(context, primitive, failures)) {
    if (!(await isReachable(context, invitee))) failures.add(531, element('UserID', invitee));
    else if (!(await accepts(context, invitee, { user: session.user })))
      failures.add(532, element('UserID', invitee));
    else wanted.push({ inviter: session.user, invitee, id, type, group });
  }
  const outside = await context.ports.groups.invite(wanted, session);
  let done = 0;
  for (const record of wanted) {
    const code = outside.get(record.invitee) ?? (await invite(context, primitive, record));
    if (code === 200) done++;
    else failures.add(code, element('UserID', record.invitee));
  }
  const details = failures.details();
  return status(codeFor(done, details), details);
};

/** @returns 200, or 507 when too many requests wait for the invitee */
export async function invite(
  context: ImpsContext,
  primitive: Element,
  record: InvitationRecord,
): Promise<StatusCode> {
  const asked = numberOf(primitive, 'Validity');
  // 0 asks for the default, as it does of a message
  const wanted = asked === undefined || asked === 0 ? DEFAULT_VALIDITY : asked;
  const validity = Math.min(wanted, context.config.messages.maxValidity);
  const deadline = context.clock.now() + validity * 1000;
  const key = keyOf(record.invitee, record.id, record.inviter);
  await context.store.update(invitations, key, () => ({
    kind: 'put',
    value: record,
    deadline,
    result: undefined,
  }));
  if (await sendInvitation(context, record, passing(primitive, 'invite'), deadline)) return 200;
  await context.store.update(invitations, key, () => ({ kind: 'remove', result: undefined }));
  return 507;
}

const sendInvitation = (
  context: ImpsContext,
  { id, type, inviter, invitee }: InvitationRecord,
  more: readonly Element[],
  validUntil: number,
): Promise<boolean> =>
  toEachSession(
    context,
    invitee,
    element(
      'InviteUser-Request',
      element('InviteID', id),
      element('InviteType', type),
      userElement('Sender', inviter),
      userElement('Recipient', invitee),
      more,
    ),
    validUntil,
  );

/** Invites a user of this server for somebody elsewhere. */
export async function inviteFor(
  context: ImpsContext,
  invitation: InvitationRecord,
  more: readonly Element[],
): Promise<void> {
  const value = { ...invitation, outside: true };
  const deadline = context.clock.now() + DEFAULT_VALIDITY * 1000;
  await context.store.update(invitations, keyOf(value.invitee, value.id, value.inviter), () => ({
    kind: 'put',
    value,
    deadline,
    result: undefined,
  }));
  await sendInvitation(context, value, more, deadline);
}

/** Takes an invitation from elsewhere back; one that was answered is no more. */
export async function cancelFor(
  context: ImpsContext,
  { id, inviter, invitee }: InvitationRecord,
): Promise<void> {
  const had = await context.store.update(invitations, keyOf(invitee, id, inviter), (current) =>
    current ? { kind: 'remove', result: true } : { kind: 'keep', result: false },
  );
  if (!had) return;
  await toUser(context, invitee, cancelling(id, inviter, invitee));
}

const cancelling = (id: string, inviter: UserId, invitee: UserId, more: readonly Element[] = []): Element =>
  element(
    'CancelInviteUser-Request',
    element('InviteID', id),
    userElement('Sender', inviter),
    userElement('Recipient', invitee),
    more,
  );

/** Tells who invited a user elsewhere what that one answered. */
export const tellInviter = (
  context: ImpsContext,
  { id, inviter, invitee }: InvitationRecord,
  accepted: boolean,
): Promise<void> => toUser(context, inviter, responding(id, accepted, invitee, inviter));

const responding = (
  id: string,
  accepted: boolean,
  invitee: UserId,
  inviter: UserId,
  more: readonly Element[] = [],
): Element =>
  element(
    'Invite-Response',
    element('InviteID', id),
    element('Acceptance', accepted),
    userElement('Sender', invitee),
    userElement('Recipient', inviter),
    more,
  );

const passing = (primitive: Element, what: keyof typeof passedOn): Element[] =>
  passedOn[what].flatMap((name) => childrenOf(primitive, name));

/** Finds the invitation that a user answers. Without naming the inviter, the only one of that ID is meant. */
async function findInvitation(
  context: ImpsContext,
  invitee: UserId,
  id: string,
  inviter: UserId | undefined,
): Promise<{ readonly key: string; readonly value: InvitationRecord }> {
  const prefix = keyOf(invitee, id, inviter ?? '');
  for await (const found of context.store.scan(invitations, { prefix, limit: 1 })) return found;
  throw new CspRefusal(423);
}

/** The invitee's answer goes to the inviter; for a group it opens the door. */
export const inviteUserResponse: Handler = async (context, { session, primitive }) => {
  const id = inviteId(primitive);
  const accepted = flagOf(primitive, 'Acceptance');
  if (accepted === undefined) throw new CspRefusal(400, 'no Acceptance');
  const named = textOf(child(child(primitive, 'Recipient'), 'User'), 'UserID');
  const { key, value } = await findInvitation(
    context,
    session.user,
    id,
    parseUserId(named, context.config.domain),
  );
  if (accepted) await acceptInvitation(context, value.group, value.type, session.user);
  await context.store.update(invitations, key, () => ({ kind: 'remove', result: undefined }));
  if (value.outside) {
    await context.ports.groups.answered(value, session, accepted);
    return status(200);
  }
  const note = textOf(primitive, 'ResponseNote');
  const more = [
    ...(note === undefined ? [] : [element('InviteNote', note)]),
    ...childrenOf(primitive, 'ScreenName'),
  ];
  await toUser(context, value.inviter, responding(id, accepted, session.user, value.inviter, more));
  await notifyTypes(context, session.user, accepted ? 'IA' : 'IR', [element('InviteID', id)], {
    except: session.id,
  });
  return status(200);
};

/** Takes an invitation back from those who have not answered it. */
export const cancelInvite: Handler = async (context, { session, primitive }) => {
  const id = inviteId(primitive);
  const failures = new Failures();
  let done = 0;
  for (const invitee of recipientsOf(context, primitive, failures)) {
    const had = await context.store.update(invitations, keyOf(invitee, id, session.user), (current) =>
      current ? { kind: 'remove', result: true } : { kind: 'keep', result: false },
    );
    if (!had && (await context.ports.groups.cancel({ inviter: session.user, invitee, id, type: 'GR' }))) {
      done++;
      continue;
    }
    if (!had) {
      failures.add(423, element('UserID', invitee));
      continue;
    }
    done++;
    await toUser(context, invitee, cancelling(id, session.user, invitee, passing(primitive, 'cancel')));
    await notifyTypes(context, invitee, 'IC', [element('InviteID', id)]);
  }
  const details = failures.details();
  if (done === 0 && details.every(({ code }) => code === 423)) throw new CspRefusal(423);
  return status(codeFor(done, details), details);
};
