import { ParleyError } from '../../base/errors.js';
import { contentIdOfUri, parseContentId } from '../../sip/message/content.js';
import { reasonPhrase } from '../../sip/message/reason-phrases.js';
import type { Dialog, ServerRequest, ServerResponse, SipStack } from '../../sip/stack.js';
import { groupError } from './errors.js';
import type { Focus } from './focus.js';
import { checkRight, findMember, type Group } from './group.js';
import { focusContact, readParts } from './invitation.js';
import { asKnown, invitees, type InviteesOptions } from './invitees.js';
import { parseRecipient, type Recipient } from './recipient.js';
import { parseRecipientList } from './recipient-list.js';

/** Adding and removing (RFC 4579 §5.5, §5.11). */
const REFERRED = ['INVITE', 'BYE'] as const;

/** Seconds that are left to say how an invitation ended after it has rung. */
const AFTER_RINGING = 32;

export interface ReferOptions extends InviteesOptions {
  readonly stack: SipStack;
  /** Entries of a list at most. */
  readonly maximum: number;
  /** Milliseconds that an invitation rings. */
  readonly ringing: number;
}

/**
 * A REFER to the focus: adds or removes members (RFC 4579 §5.5, §5.11; several by RFC 5368). It is answered when its rights
 * are checked; how the invitation ends is told by NOTIFY, unless `Refer-Sub: false` forgoes it (RFC 4488), as a list does (RFC 5368 §5).
 * @param by who asks, by the identity that the group knows it by.
 * @param dialog in which it came; without one it makes a dialog of its own.
 * @throws ParleyError `group-*`.
 */
export async function refer(
  focus: Focus,
  by: string,
  request: ServerRequest,
  response: ServerResponse,
  dialog: Dialog | undefined,
  options: ReferOptions,
): Promise<void> {
  const { group } = focus;
  const recipients = asKnown(group, await invitees(referred(request, by, options.maximum), options));
  for (const { identity, method } of recipients)
    checkRight(group, by, method === 'BYE' ? 'remove' : 'add', identity);
  const [only] = recipients;
  // of several, the others are not held up by one who is not there
  if (recipients.length === 1 && only!.method === 'BYE' && !isMeant(group, only!.identity))
    throw groupError('group-member-unknown', only!.identity);
  const quiet = isList(request) || /^\s*false\b/i.test(request.get('Refer-Sub') ?? '');
  const invited = await focus.invite(
    recipients.filter(({ method }) => method === 'INVITE'),
    by,
  );
  const headers = { Contact: focusContact(group), ...(quiet ? { 'Refer-Sub': 'false' } : {}) };
  const expires = Math.ceil(options.ringing / 1_000) + AFTER_RINGING;
  let told = dialog;
  if (dialog || quiet) response.send(202, { headers });
  else told = await options.stack.createUAS(request, response, { headers, expires });
  focus.referred(by, recipients);
  const removed = recipients
    .filter(({ method }) => method === 'BYE')
    .map(async ({ identity }) => {
      if (identity === group.uri) await focus.close('closed');
      else await focus.remove(identity, by);
      return 200;
    });
  const outcomes = [...invited, ...removed].map((outcome) => outcome.catch(statusOf));
  if (!quiet) await report(told!, dialog && request.cseq.number, expires, outcomes);
}

const isMeant = (group: Group, identity: string): boolean =>
  identity === group.uri || findMember(group, identity) !== undefined;

/** What failed for no reason of ours is 500 to who asked; of an invitation the focus has logged why. */
const statusOf = (error: unknown): number => (error instanceof ParleyError ? error.sip : 500);

/** Some clients leave the angle brackets out, and what follows the URI is then still the URI's. */
function referTo(request: ServerRequest): string {
  const text = request.get('Refer-To')?.trim() ?? '';
  return /<([^<>]*)>/.exec(text)?.[1] ?? text;
}

const isList = (request: ServerRequest): boolean => contentIdOfUri(referTo(request)) !== undefined;

function referred(request: ServerRequest, by: string, limit: number): readonly Recipient[] {
  if (request.headers.lines('Refer-To').length !== 1)
    throw groupError('group-refer-malformed', 'one Refer-To is needed');
  const uri = referTo(request);
  const contentId = contentIdOfUri(uri);
  if (contentId === undefined)
    return [parseRecipient(uri, { copyControl: 'to', anonymize: false }, REFERRED)];
  const named = request.get('Content-ID');
  const { list } = readParts(request);
  if (!list || (named !== undefined && parseContentId(named) !== contentId))
    throw groupError('group-refer-malformed', 'no such body');
  return parseRecipientList(list, { self: by, limit, methods: REFERRED });
}

/**
 * The implicit subscription (RFC 3515 §2.4.4): 100 at once, the final status when it is there.
 * @param id CSeq of a REFER inside the dialog of a session, by which several are told apart (RFC 3515 §2.4.6).
 */
async function report(
  dialog: Dialog,
  id: number | undefined,
  expires: number,
  outcomes: readonly Promise<number>[],
): Promise<void> {
  const Event = id === undefined ? 'refer' : `refer;id=${id}`;
  const notify = async (status: number, state: string): Promise<void> => {
    // who asked may have gone meanwhile, and what it asked for is done all the same
    if (dialog.state === 'terminated') return;
    await dialog.send({
      method: 'NOTIFY',
      headers: { Event, 'Subscription-State': state, 'Content-Type': 'message/sipfrag;version=2.0' },
      body: `SIP/2.0 ${status} ${reasonPhrase(status)}\r\n`,
    });
  };
  await notify(100, `active;expires=${expires}`);
  const statuses = await Promise.all(outcomes);
  await notify(statuses.find((status) => status !== 200) ?? 200, 'terminated;reason=noresource');
}
