import { ParleyError } from '../../base/errors.js';
import { contentIdOfUri, parseContentId } from '../../sip/message/content.js';
import { reasonPhrase } from '../../sip/message/reason-phrases.js';
import type { Dialog, ServerRequest, ServerResponse } from '../../sip/stack.js';
import { groupError } from './errors.js';
import type { Focus } from './focus.js';
import { checkRight, findMember, type Group } from './group.js';
import { focusContact, readParts } from './invitation.js';
import { asKnown, invitees } from './invitees.js';
import { parseRecipient, type Recipient } from './recipient.js';
import { parseRecipientList } from './recipient-list.js';

/** Adding and removing (RFC 4579 §5.5, §5.11). */
const REFERRED = ['INVITE', 'BYE'] as const;

/**
 * A REFER to the focus: adds or removes members (RFC 4579 §5.5, §5.11; several by RFC 5368). It is answered when its rights
 * are checked; how the invitations end is told by NOTIFY, unless `Refer-Sub: false` forgoes it (RFC 4488).
 * @param by who asks, by the identity that the group knows it by.
 * @param dialog in which it came; without one there is no implicit subscription.
 * @throws ParleyError `group-*`.
 */
export async function refer(
  focus: Focus,
  by: string,
  request: ServerRequest,
  response: ServerResponse,
  dialog: Dialog | undefined,
  options: { readonly maximum: number; ownerOf(identity: string): Promise<string> },
): Promise<void> {
  const { group } = focus;
  const recipients = asKnown(group, await invitees(referred(request, by, options.maximum), options));
  for (const { identity, method } of recipients)
    checkRight(group, by, method === 'BYE' ? 'remove' : 'add', identity);
  const [only] = recipients;
  // of several, the others are not held up by one who is not there
  if (recipients.length === 1 && only!.method === 'BYE' && !isMeant(group, only!.identity))
    throw groupError('group-member-unknown', only!.identity);
  const quiet = dialog === undefined || request.get('Refer-Sub')?.trim().toLowerCase() === 'false';
  const invited = await focus.invite(
    recipients.filter(({ method }) => method === 'INVITE'),
    by,
  );
  response.send(202, {
    headers: { Contact: focusContact(group), ...(quiet ? { 'Refer-Sub': 'false' } : {}) },
  });
  const removed = recipients
    .filter(({ method }) => method === 'BYE')
    .map(async ({ identity }) => {
      if (identity === group.uri) await focus.close('closed');
      else await focus.remove(identity);
      return 200;
    });
  const outcomes = [...invited, ...removed].map((outcome) => outcome.catch(statusOf));
  if (!quiet) await report(dialog, outcomes);
}

const isMeant = (group: Group, identity: string): boolean =>
  identity === group.uri || findMember(group, identity) !== undefined;

function statusOf(error: unknown): number {
  if (error instanceof ParleyError) return error.sip;
  throw error;
}

function referred(request: ServerRequest, by: string, limit: number): readonly Recipient[] {
  const lines = request.headers.lines('Refer-To');
  const text = lines[0]?.trim() ?? '';
  if (lines.length !== 1) throw groupError('group-refer-malformed', 'one Refer-To is needed');
  // some clients leave the angle brackets out, and what follows the URI is then still the URI's
  const uri = /<([^<>]*)>/.exec(text)?.[1] ?? text;
  const contentId = contentIdOfUri(uri);
  if (contentId === undefined)
    return [parseRecipient(uri, { copyControl: 'to', anonymize: false }, REFERRED)];
  const named = request.get('Content-ID');
  const { list } = readParts(request);
  if (!list || (named !== undefined && parseContentId(named) !== contentId))
    throw groupError('group-refer-malformed', 'no such body');
  return parseRecipientList(list, { self: by, limit, methods: REFERRED });
}

/** The implicit subscription (RFC 3515 §2.4.4): 100 at once, the final status when all are done. */
async function report(dialog: Dialog, outcomes: readonly Promise<number>[]): Promise<void> {
  const notify = (status: number, state: string) =>
    dialog.send({
      method: 'NOTIFY',
      headers: { Event: 'refer', 'Subscription-State': state, 'Content-Type': 'message/sipfrag;version=2.0' },
      body: `SIP/2.0 ${status} ${reasonPhrase(status)}\r\n`,
    });
  await notify(100, 'active;expires=180');
  const statuses = await Promise.all(outcomes);
  await notify(statuses.find((status) => status !== 200) ?? 200, 'terminated;reason=noresource');
}
