import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { imdnsIn, isNotification } from '../../cpm/messages/imdns.js';
import type { Outcome } from '../../base/trail.js';
import {
  parseUserId,
  type ImpsServer,
  type IncomingMessage,
  type MessageRecord,
  type SessionRecord,
  type StatusCode,
  type UserId,
} from '../../imps/index.js';
import type { Imdn } from '../../msrp/imdn.js';
import { IS_COMPOSING_TYPE } from '../../msrp/is-composing.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { AddressMap } from '../addresses/address-map.js';
import type { Phone } from '../devices/phones.js';
import { sipStatus } from '../status-map.js';
import type { Traffic } from '../traffic.js';
import { toPhoneContent } from './content.js';
import type { Conversations } from './conversations.js';
import { originKey } from './identifiers.js';
import { readIncoming, requestKey, type Envelope, type Incoming } from './incoming.js';
import type { Notifications } from './notifications.js';
import type { Reports } from './reports.js';

export interface ToPhoneOptions {
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly addresses: AddressMap;
  readonly reports: Reports;
  readonly conversations: Conversations;
  readonly notifications: Notifications;
  readonly imps: () => ImpsServer;
  /** Domain of the IMPS users. */
  readonly home: string;
  identityOf(user: UserId): Promise<string | undefined>;
}

/** What is kept with a message to know its sender again, when a report is due. */
interface Note {
  /** Who gets the notification. */
  readonly sender: string;
  readonly messageId: string | undefined;
  readonly dateTime: string;
  readonly positive: boolean;
  readonly negative: boolean;
  /** Whether the sender hears of its loss unasked: it was told that the phone has it. */
  readonly alone: boolean;
  /** IMDN-Record-Route as received (RFC 5438 §8.1). */
  readonly routes: readonly string[];
  /** Conversation-ID, where it had one. */
  readonly conversation?: string | undefined;
  /** The open session that it came in. */
  readonly session?: string | undefined;
}

/** A message that was taken over is lost: it waited too long, or nobody is there to get it any more. */
const lost: ReadonlySet<StatusCode> = new Set([410, 542]);

/** What CPM users send to a phone. */
export class ToPhone {
  readonly #options: ToPhoneOptions;

  constructor(options: ToPhoneOptions) {
    this.#options = options;
  }

  /**
   * A pager mode message for a phone.
   * @returns the SIP status: 200 when it is committed for the phone.
   * @throws ParleyError `cpim-malformed`, `gateway-content`, `gateway-charset`, `gateway-report-forged`
   */
  async message(request: SipRequest, phone: Phone): Promise<number> {
    const type = request.get('Content-Type') ?? 'text/plain';
    const incoming = readIncoming(type, request.body, requestKey(request));
    const control = await this.control(incoming, phone.session.user, () => this.tellers(request));
    return control ?? sipStatus(await this.deliver(await this.#envelope(request), incoming, phone));
  }

  /**
   * What is no message to people: a notification, that somebody writes, or nothing.
   * @param tellers who it is from, as {@link Reports.arrived} wants it
   * @returns its status, undefined for a message
   * @throws ParleyError `gateway-report-forged`
   */
  async control(
    { content, head }: Incoming,
    user: UserId,
    tellers: () => Promise<readonly string[]>,
  ): Promise<number | undefined> {
    if (head && isNotification(head))
      return this.#notifications(imdnsIn(head, content.octets), user, await tellers());
    return content.type === IS_COMPOSING_TYPE || content.octets.length === 0 ? 200 : undefined;
  }

  /**
   * Puts a message of somebody on the SIP side into the way to one session. @returns 200 once it is committed
   * @throws ParleyError `gateway-content`, `gateway-charset`
   */
  async deliver(
    envelope: Envelope,
    incoming: Incoming,
    { session }: Pick<Phone, 'session'>,
  ): Promise<StatusCode> {
    const { user, id } = session;
    return this.#counted(user, envelope.trace, async () => {
      const record = await this.#record(envelope, incoming, user, session);
      if (!isFetchable(record, session)) return 432;
      return (await this.#options.imps().deliver(user, { ...record, session: id })).status;
    });
  }

  /** The same for a user of the IMPS server alone, whose rules choose among the phones, and keep it while none is there. */
  async toUser(request: SipRequest, incoming: Incoming, user: UserId): Promise<StatusCode> {
    const envelope = await this.#envelope(request);
    return this.#counted(user, envelope.trace, async () => {
      let phone: SessionRecord | undefined;
      for await (phone of this.#options.imps().sessions(user)) break;
      const record = await this.#record(envelope, incoming, user, phone);
      if (phone && !isFetchable(record, phone)) return 432;
      return (await this.#options.imps().deliver(user, { ...record, routed: true })).status;
    });
  }

  async #counted(user: UserId, trace: string, work: () => Promise<StatusCode>): Promise<StatusCode> {
    const note = (outcome: Outcome, reason: string): void =>
      this.#options.traffic.note({
        direction: 'message-to-phone',
        outcome,
        clause: 'CSP NewMessage, RFC 3428',
        subject: user,
        trace,
        reason,
      });
    try {
      const status = await work();
      note(status === 200 ? 'accepted' : 'refused', String(status));
      return status;
    } catch (error) {
      if (error instanceof ParleyError) note('refused', error.code);
      throw error;
    }
  }

  /** @param phone whose capabilities decide on the content; any is taken when it is undefined */
  async #record(
    { sender, sentAt: date, expires, conversationId, contributionId, session, group }: Envelope,
    { content, head, asked, id }: Incoming,
    user: UserId,
    phone: SessionRecord | undefined,
  ): Promise<IncomingMessage> {
    const { clock, conversations } = this.#options;
    const now = clock.now();
    const sentAt = timeOf(head?.value('DateTime')) ?? date ?? now;
    const note: Note = {
      sender: sender.uri,
      messageId: asked?.messageId ?? contributionId,
      dateTime: head?.value('DateTime') ?? new Date(sentAt).toISOString(),
      positive: asked?.positiveDelivery ?? false,
      negative: asked?.negativeDelivery ?? false,
      // a group keeps what it has for its members itself
      alone: group === undefined,
      routes: asked?.recordRoutes ?? [],
      conversation: conversationId,
      session,
    };
    const converted = toPhoneContent(content, phone?.capabilities);
    await conversations.heard(user, sender.uri, conversationId);
    return {
      ...converted,
      sender: { user: sender.wv, ...(group ? { group: group.id, screenName: group.screenName } : {}) },
      ...(group ? { recipient: { group: group.id, screenName: group.to } } : {}),
      deliveryReport: note.positive || note.negative,
      sentAt,
      origin: { key: originKey(sender.uri, id), note: JSON.stringify(note) },
      ...(expires === undefined ? {} : { expiresAt: now + Math.max(1, expires) * 1000 }),
    };
  }

  /** Has the sender of a message told what became of it at the phone (RFC 5438 §7.2.1); resolves when that cannot be lost. */
  async report(recipient: UserId, message: MessageRecord, status: StatusCode): Promise<void> {
    if (!message.origin) return;
    const note = JSON.parse(message.origin.note) as Note;
    const delivered = status === 200;
    const wanted = delivered ? note.positive : note.negative || (note.alone && lost.has(status));
    if (!wanted || note.messageId === undefined) return;
    const identity = (await this.#options.identityOf(recipient)) ?? recipient;
    const set = await this.#options.addresses.keyOf(identity);
    await this.#options.notifications.send({
      from: identity,
      set,
      to: note.sender,
      messageId: note.messageId,
      dateTime: note.dateTime,
      delivered,
      routes: note.routes,
      conversation: note.conversation,
      session: note.session,
    });
  }

  /** One, or several that a list server put together: what is right in them arrives. */
  async #notifications(imdns: readonly Imdn[], user: UserId, tellers: readonly string[]): Promise<number> {
    const outcomes = await Promise.allSettled(imdns.map((imdn) => this.#notification(imdn, user, tellers)));
    const reasons = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as Error] : [],
    );
    // what failed for no fault of its own comes again with the others, which are then known
    const failed = reasons.find(
      (reason) => !(reason instanceof ParleyError) || reason.code.startsWith('store-'),
    );
    if (failed) throw failed;
    if (reasons.length > 0 && reasons.length === imdns.length) throw reasons[0]!;
    return 200;
  }

  async #notification(imdn: Imdn, user: UserId, tellers: readonly string[]): Promise<void> {
    const note = (outcome: Outcome, reason: string): void =>
      this.#options.traffic.note({
        direction: 'report-to-phone',
        outcome,
        clause: 'RFC 5438 §9',
        subject: user,
        trace: imdn.messageId,
        reason,
      });
    try {
      const told = await this.#options.reports.arrived(user, imdn, tellers);
      note(told ? 'accepted' : 'noted', `${imdn.kind} ${imdn.status}`);
    } catch (error) {
      if (error instanceof ParleyError) note('refused', error.code);
      throw error;
    }
  }

  async #envelope(request: SipRequest): Promise<Envelope> {
    return {
      sender: await this.sender(request),
      sentAt: timeOf(request.get('Date')),
      expires: request.number('Expires'),
      trace: request.callId,
      conversationId: request.get('Conversation-ID'),
      contributionId: request.get('Contribution-ID'),
    };
  }

  /** Who the network says sent a notification: keys of registration sets, else addresses; nobody without asserted identity. */
  tellers(request: SipRequest): Promise<readonly string[]> {
    const asserted = request.addresses('P-Asserted-Identity').map(({ uriText }) => uriText);
    return Promise.all(asserted.map((uri) => this.#options.addresses.keyOf(uri)));
  }

  /** Who the network says the sender is (RFC 3325); one who asked for privacy has an address that leads nowhere. */
  async sender(request: SipRequest): Promise<{ uri: string; wv: UserId }> {
    const { addresses, home } = this.#options;
    const asserted = request.addresses('P-Asserted-Identity')[0];
    if (!asserted) return { uri: request.from.uriText, wv: parseUserId('anonymous', home)! };
    const uri = asserted.uriText;
    const wv = /^wv:/i.test(uri) ? parseUserId(uri, home) : await addresses.toWv(uri);
    if (wv === undefined) throw new ParleyError('gateway-address-invalid', 'sender');
    return { uri, wv };
  }
}

/** The least that stands around the content in what a phone fetches, in WBXML. */
const ENVELOPE = 120;

/** Whether the phone can ever fetch it: an answer is no larger than its ParserSize (document 001, capability negotiation). */
const isFetchable = ({ content }: IncomingMessage, { capabilities }: SessionRecord): boolean =>
  Buffer.byteLength(content) + ENVELOPE <= (capabilities?.parserSize || Infinity);

function timeOf(text: string | undefined): number | undefined {
  const time = text === undefined ? NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
