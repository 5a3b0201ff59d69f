import { clientKey, readClientId } from '../address/client-id.js';
import { parseResourceId, parseUserId, type ResourceId, type UserId } from '../address/wv-address.js';
import { parseDateTime } from '../codec/date-time.js';
import {
  child,
  childrenOf,
  element,
  flagOf,
  numberOf,
  textOf,
  textsOf,
  type Element,
} from '../codec/element.js';
import type { ImpsContext, SessionRequest } from '../context.js';
import type { MessageRecord, Party } from '../state/records.js';
import { CspRefusal } from '../status.js';
import { memberOf } from './group-store.js';

/** One addressee of a message as it was written. */
export interface Addressee {
  readonly kind: 'user' | 'group' | 'screen-name' | 'list';
  /** The address as written and nothing else, for the DetailedResult of a failure. */
  readonly written: Element;
  readonly user?: UserId | undefined;
  /** A group, or a contact list. */
  readonly resource?: ResourceId | undefined;
  readonly screenName?: string | undefined;
  /** A client or application of the user that is meant alone. */
  readonly client?: string | undefined;
  readonly applicationId?: string | undefined;
}

/** Who a Recipient names. Addresses that are none have neither user nor resource. */
export function addresseesOf(context: ImpsContext, recipient: Element | undefined): Addressee[] {
  const { domain } = context.config;
  const users = childrenOf(recipient, 'User').map((user): Addressee => {
    const client = readClientId(user);
    return {
      kind: 'user',
      written: element('UserID', textOf(user, 'UserID')),
      user: parseUserId(textOf(user, 'UserID'), domain),
      client: client && clientKey(client),
      applicationId: textOf(user, 'ApplicationID')?.trim(),
    };
  });
  const groups = childrenOf(recipient, 'Group').map((group): Addressee => {
    const screenName = child(group, 'ScreenName');
    const source = screenName ?? group;
    const id = element('GroupID', textOf(source, 'GroupID'));
    return {
      kind: screenName ? 'screen-name' : 'group',
      written: screenName ? element('ScreenName', element('SName', textOf(screenName, 'SName')), id) : id,
      resource: parseResourceId(textOf(source, 'GroupID'), domain),
      screenName: screenName && (textOf(screenName, 'SName') ?? ''),
    };
  });
  const lists = childrenOf(recipient, 'ContactList').map((list): Addressee => ({
    kind: 'list',
    written: element('ContactList', list.text),
    resource: parseResourceId(list.text, domain),
  }));
  return [...users, ...groups, ...lists];
}

/**
 * The sender that a message shows, checked against the session: absent is filled in.
 * @throws CspRefusal 427 another user, 428 another client, 450 another application, 429 no group, 800, 810
 */
export async function senderOf(
  context: ImpsContext,
  { session }: Pick<SessionRequest, 'session'>,
  sender: Element | undefined,
): Promise<Party> {
  const own: Party = { user: session.user };
  const group = child(sender, 'Group');
  if (group) return groupSender(context, session.user, group);
  const user = child(sender, 'User');
  if (!user) return own;
  const text = textOf(user, 'UserID');
  if (text !== undefined && parseUserId(text, context.config.domain) !== session.user)
    throw new CspRefusal(427);
  const client = readClientId(user);
  if (client && clientKey(client) !== clientKey(session.client)) throw new CspRefusal(428);
  const application = textOf(user, 'ApplicationID')?.trim();
  if (application !== undefined && application !== session.applicationId) throw new CspRefusal(450);
  return { ...own, clientId: client, applicationId: application };
}

async function groupSender(context: ImpsContext, user: UserId, group: Element): Promise<Party> {
  const screenName = child(group, 'ScreenName');
  const text = textOf(screenName ?? group, 'GroupID');
  if (text === undefined) throw new CspRefusal(429);
  const id = parseResourceId(text, context.config.domain);
  const joined = id && (await memberOf(context, id, user));
  if (!id || joined === undefined) throw new CspRefusal(800);
  if (joined === null) throw new CspRefusal(810);
  const name = textOf(screenName, 'SName');
  if (name !== undefined && name !== joined.screenName) throw new CspRefusal(810);
  return { user, group: id, screenName: joined.screenName };
}

/** The message of a SendMessage-Request; its recipient is filled in for each who gets it. */
export async function draftOf(context: ImpsContext, request: SessionRequest): Promise<MessageRecord> {
  const { primitive, seed, session } = request;
  const info = child(primitive, 'MessageInfo');
  if (!info) throw new CspRefusal(400, 'no MessageInfo');
  const data = child(primitive, 'ContentData');
  const now = context.clock.now();
  const { defaultValidity, maxValidity } = context.config.messages;
  const asked = numberOf(info, 'Validity');
  const validity = Math.min(asked === undefined || asked === 0 ? defaultValidity : asked, maxValidity);
  const content = data?.text ?? '';
  const size = data?.bytes?.length ?? content.length;
  const [contentType = '', ...parameters] = (
    textOf(info, 'ContentType')?.trim().toLowerCase() || 'text/plain'
  ).split(';');
  const charset = parameters.find((parameter) => parameter.trim().startsWith('charset='));
  return {
    id: seed,
    sender: await senderOf(context, request, child(info, 'Sender')),
    recipient: {},
    contentType: contentType.trim(),
    contentCharset: charset?.replace(/^[^=]*=\s*"?|"?\s*$/g, '') || undefined,
    contentEncoding: textOf(info, 'ContentEncoding')?.trim() || 'None',
    contentName: textOf(info, 'ContentName'),
    // as it is: what the sender claims is no reason to refuse, since clients count octets or characters, and none to believe
    contentSize: size,
    content,
    contentBytes: data?.bytes,
    font: child(info, 'Font'),
    sentAt: parseDateTime(textOf(info, 'DateTime') ?? '') ?? now,
    expiresAt: now + validity * 1000,
    deliveryReport: flagOf(primitive, 'DeliveryReport') ?? false,
    senderSession: session.id,
    sessions: [],
  };
}

/** Message-IDs of a request, in order. @throws CspRefusal 400 when there is none */
export function messageIds(primitive: Element): string[] {
  const ids = textsOf(primitive, 'MessageID').map((text) => text.trim());
  if (ids.length === 0) throw new CspRefusal(400, 'no MessageID');
  return ids;
}
