import { defaultCapabilities } from '../access/capabilities.js';
import { element, type Element } from '../codec/element.js';
import type { ImpsContext } from '../context.js';
import type { Capabilities, MessageRecord, SessionRecord } from '../state/records.js';
import { contentData, messageInfo } from './message-info.js';
import type { Waiting } from './outbox.js';
import { encodedFor } from './transfer-encoding.js';
import { inShapeOf, isOver } from './user-requests.js';

/** The primitive of a waiting request; undefined when what it was about is gone, and then it is taken away. */
export async function render(
  context: ImpsContext,
  session: SessionRecord,
  waiting: Waiting,
): Promise<Element | undefined> {
  const { primitive, ofUser } = waiting;
  if (primitive && ofUser) return isOver(context, ofUser) ? undefined : inShapeOf(primitive, session.version);
  if (primitive) return primitive;
  const message = await context.mailbox.get(session.user, waiting.messageId ?? waiting.id);
  if (!message || message.expiresAt <= context.clock.now()) {
    await context.outbox.remove(session.id, waiting.id);
    return undefined;
  }
  const encoded = encodedFor(session, message);
  return encoded && pushes(session, encoded)
    ? newMessage(context, session, encoded)
    : announcement(context, session, encoded ?? message);
}

const newMessage = (context: ImpsContext, session: SessionRecord, message: MessageRecord): Element =>
  element('NewMessage', messageInfo(message, session.version, context.clock.now()), contentData(message));

/** Tells of a message that the client fetches, rejects or leaves. */
export const announcement = (context: ImpsContext, session: SessionRecord, message: MessageRecord): Element =>
  element('MessageNotification', messageInfo(message, session.version, context.clock.now()));

/** Whether a message goes to the session whole: by delivery method, size, content type and what was negotiated. */
function pushes(session: SessionRecord, message: MessageRecord): boolean {
  const { functions } = session;
  const may = (code: string): boolean => functions === undefined || functions.includes(code);
  if (!may('NOTIF')) return true;
  if (!may('NEWM')) return false;
  const capabilities = session.capabilities ?? defaultCapabilities;
  const group = message.recipient.group;
  const ofGroup = group === undefined ? undefined : session.groupDelivery?.[group];
  if ((ofGroup?.method ?? capabilities.deliveryMethod) !== 'P') return false;
  const limit = ofGroup?.pushLimit ?? pushLimit(capabilities, message.contentType);
  if (message.contentSize > limit) return false;
  return accepts(capabilities.anyContent, capabilities.contentTypes, message.contentType);
}

/** The limit of the content type, of text, or of all. */
function pushLimit({ typeLimits, textLimit, pushLimit: any }: Capabilities, type: string): number {
  const ofText = type.startsWith('text/') ? textLimit : undefined;
  const ofType = typeLimits && Object.hasOwn(typeLimits, type) ? typeLimits[type] : undefined;
  return ofType ?? ofText ?? any ?? Infinity;
}

/** Plain text is what every client reads. */
function accepts(any: boolean, types: readonly string[], type: string): boolean {
  if (any || type === 'text/plain') return true;
  const family = `${type.split('/')[0] ?? ''}/*`;
  return types.some((accepted) => accepted === type || accepted === family || accepted === '*/*');
}
