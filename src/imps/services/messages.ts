import { defaultCapabilities } from '../access/capabilities.js';
import { child, element, numberOf, textOf, type Element } from '../codec/element.js';
import type { Handler, ImpsContext, SessionRequest } from '../context.js';
import { deliver, delivered, discard, refill, send } from '../delivery/courier.js';
import { contentData, messageInfo } from '../delivery/message-info.js';
import { encodedFor } from '../delivery/transfer-encoding.js';
import type { GroupDelivery, MessageRecord, SessionRecord } from '../state/records.js';
import { CspRefusal, Failures, codeFor, result, status, type StatusCode } from '../status.js';
import { listMembers } from './contact-list-store.js';
import { groupAudience, whisperTarget } from './group-messages.js';
import { groupOf } from './group-store.js';
import { groupId } from './groups.js';
import { addresseesOf, draftOf, messageIds, senderOf, type Addressee } from './message-draft.js';

/** Longest list of waiting messages that is given at once. */
const LIST = 100;
/** Recipients of a message that are served at the same time. */
const AT_ONCE = 32;

/** Sends one message to everybody it is addressed to; what is answered with 200 or 201 is committed. */
export const sendMessage: Handler = async (context, request) => {
  const draft = await draftOf(context, request);
  const recipients = addresseesOf(context, child(child(request.primitive, 'MessageInfo'), 'Recipient'));
  if (recipients.length === 0) throw new CspRefusal(400, 'no Recipient');
  if (recipients.length > context.config.messages.recipientLimit)
    throw new CspRefusal(402, 'too many recipients');
  const { failures, done } = await sendToAll(context, request, draft, recipients);
  const details = failures.details();
  return element(
    'SendMessage-Response',
    result(codeFor(done, details), details),
    done > 0 ? element('MessageID', draft.id) : undefined,
  );
};

async function sendToAll(
  context: ImpsContext,
  request: SessionRequest,
  draft: MessageRecord,
  recipients: readonly Addressee[],
): Promise<{ readonly failures: Failures; readonly done: number }> {
  const failures = new Failures();
  let done = 0;
  const codes = await toEach(recipients, (recipient) =>
    sendToOne(context, request, draft, recipient, failures),
  );
  codes.forEach((code, index) => {
    if (code === 200) done++;
    else if (code !== undefined) failures.add(code, recipients[index]!.written);
  });
  return { failures, done };
}

/** Some recipients at a time, since each waits for the store. @returns results in order */
async function toEach<T, R>(recipients: readonly T[], work: (recipient: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < recipients.length; at += AT_ONCE)
    results.push(...(await Promise.all(recipients.slice(at, at + AT_ONCE).map(work))));
  return results;
}

/** @returns undefined when the failures were named one by one and nothing of it was done */
async function sendToOne(
  context: ImpsContext,
  { session }: SessionRequest,
  draft: MessageRecord,
  to: Addressee,
  failures: Failures,
): Promise<StatusCode | undefined> {
  const { user, resource } = to;
  switch (to.kind) {
    case 'user': {
      if (user === undefined) return 531;
      const { client, applicationId } = to;
      return send(context, user, { ...draft, recipient: { user } }, { client, applicationId });
    }
    case 'list': {
      const members = resource && (await listMembers(context, session.user, resource));
      if (!members) return 700;
      let done = 0;
      const codes = await toEach(members, ({ user: member }) =>
        send(context, member, { ...draft, recipient: { user: member } }),
      );
      codes.forEach((code, index) => {
        if (code === 200) done++;
        else failures.add(code, element('UserID', members[index]!.user));
      });
      return done > 0 || members.length === 0 ? 200 : undefined;
    }
    case 'group': {
      if (!resource) return 800;
      const audience = await groupAudience(context, resource, session.user);
      if (typeof audience === 'number') return audience;
      const message = {
        ...draft,
        sender: audience.sender,
        recipient: { group: resource },
        deliveryReport: false,
      };
      const outside = await context.ports.groups.message(resource, {
        ...message,
        deliveryReport: draft.deliveryReport,
      });
      if (outside !== undefined) return outside;
      const codes = await toEach(audience.members, async ({ user: member, sessions }) => {
        if (await context.mailbox.full(member)) return 507;
        await deliver(context, member, message, sessions);
        return 200;
      });
      codes.forEach((code, index) => {
        const { screenName } = audience.members[index]!;
        const name = element('ScreenName', element('SName', screenName), element('GroupID', resource));
        if (code !== 200) failures.add(code, name);
      });
      return codes.length === 0 || codes.includes(200) ? 200 : undefined;
    }
    case 'screen-name': {
      if (!resource) return 800;
      const target = await whisperTarget(context, resource, session.user, to.screenName ?? '');
      if (typeof target === 'number') return target;
      const recipient = { group: resource, screenName: to.screenName };
      const message = { ...draft, sender: target.sender, recipient };
      const outside = await context.ports.groups.message(resource, message, target.user);
      if (outside !== undefined) return outside;
      if (target.sessions.length === 0) return 533;
      if (await context.mailbox.full(target.user)) return 507;
      await deliver(context, target.user, message, target.sessions);
      return 200;
    }
  }
}

/**
 * How messages come from now on: pushed or announced, up to which size; for one group or for all. A group's size is
 * GroupContentLimit in 1.3 and AcceptedContentLength before.
 */
export const setDeliveryMethod: Handler = async (context, { session, primitive }) => {
  const method = textOf(primitive, 'DeliveryMethod')?.trim();
  if (method !== 'P' && method !== 'N') throw new CspRefusal(402, 'DeliveryMethod');
  const limit = numberOf(primitive, 'AcceptedContentLength');
  const group = child(primitive, 'GroupID')
    ? (await groupOf(context, groupId(context, primitive))).id
    : undefined;
  await context.sessions.change(session.id, (current): SessionRecord => {
    if (group !== undefined) {
      const own: GroupDelivery = { method, pushLimit: numberOf(primitive, 'GroupContentLimit') ?? limit };
      const groupDelivery = { ...current.groupDelivery, [group]: own };
      if (Object.keys(groupDelivery).length > context.config.limits.groupsPerUser)
        throw new CspRefusal(403, 'delivery methods for too many groups');
      return { ...current, groupDelivery };
    }
    const capabilities = current.capabilities ?? defaultCapabilities;
    const pushLimit = limit ?? capabilities.pushLimit;
    return { ...current, capabilities: { ...capabilities, deliveryMethod: method, pushLimit } };
  });
  return status(200);
};

/** Messages that wait for the user: the oldest, as many as the client takes, and in 1.3 how many there are in all. */
export const getMessageList: Handler = async (context, { session, version, primitive }) => {
  if (child(primitive, 'GroupID')) throw new CspRefusal(821);
  const limit = Math.min(numberOf(primitive, 'MessageCount') ?? LIST, LIST);
  const now = context.clock.now();
  const infos: Element[] = [];
  if (limit > 0) {
    for await (const message of context.mailbox.list(session.user, '', limit)) {
      if (message.expiresAt > now)
        infos.push(messageInfo(encodedFor(session, message) ?? message, version, now));
    }
  }
  if (version !== '1.3') return element('GetMessageList-Response', infos);
  const total = infos.length < limit ? infos.length : await context.mailbox.count(session.user);
  return element(
    'GetMessageList-Response',
    element('MessageInfoList', infos),
    element('MessageTotalCount', total),
  );
};

export const getMessage: Handler = async (context, { session, version, primitive }) => {
  const [id = ''] = messageIds(primitive);
  const message = await context.mailbox.get(session.user, id);
  const now = context.clock.now();
  if (!message || message.expiresAt <= now) throw new CspRefusal(426);
  // it stays where it is: another client of the user may take it
  const encoded = encodedFor(session, message);
  if (!encoded) throw new CspRefusal(415, 'AcceptedTransferEncoding');
  const most = session.capabilities?.pullLimit ?? Infinity;
  if (encoded.contentSize > most) throw new CspRefusal(432, 'over AcceptedPullLength');
  return element('GetMessage-Response', messageInfo(encoded, version, now), contentData(encoded));
};

export const rejectMessage: Handler = async (context, { session, primitive }) => {
  const failures = new Failures();
  let done = 0;
  for (const id of messageIds(primitive)) {
    const message = await context.mailbox.get(session.user, id);
    if (message) {
      await discard(context, session.user, message, 538);
      done++;
    } else failures.add(426, element('MessageID', id));
  }
  const details = failures.details();
  return status(codeFor(done, details), details);
};

/** The client has a message; in request mode it hears a Status. */
export const messageDelivered: Handler = async (context, { session, primitive }) => {
  const [id = ''] = messageIds(primitive);
  const code = await delivered(context, session, id);
  // the one that was waited for is gone, so the next may be due
  await refill(context, session);
  return status(code);
};

/** Sends a waiting message on to others; its sender hears 541. */
export const forwardMessage: Handler = async (context, request) => {
  const { session, primitive, version } = request;
  const [id = ''] = messageIds(primitive);
  const original = await context.mailbox.get(session.user, id);
  if (!original) throw new CspRefusal(426);
  const sender = await senderOf(context, request, child(primitive, 'Sender'));
  const draft: MessageRecord = {
    ...original,
    id: request.seed,
    sender,
    senderSession: session.id,
    deliveryReport: false,
    // it is the forwarder's from here on
    origin: undefined,
    delivered: undefined,
    sessions: [],
  };
  const recipients = addresseesOf(context, child(primitive, 'Recipient'));
  if (recipients.length === 0) throw new CspRefusal(400, 'no Recipient');
  const { failures, done } = await sendToAll(context, request, draft, recipients);
  const details = failures.details();
  if (done > 0) await discard(context, session.user, original, 541);
  if (version === '1.3' && details.length === 0) {
    return element('ForwardMessage-Response', element('MessageID', draft.id));
  }
  return status(codeFor(done, details), details);
};
