import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { parseFileSelector, parseMsrpMedia } from '../../msrp/sdp/index.js';
import {
  MsrpNegotiation,
  streamedMessages,
  wholeMessages,
  type IncomingMessage,
  type MessageReceiver,
  type MsrpEndpoint,
} from '../../msrp/session/index.js';
import { parseMediaType } from '../../sip/message/content.js';
import type { SipRequest } from '../../sip/message/message.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import type { Dialog, ServerRequest, ServerResponse, SipStack } from '../../sip/stack.js';
import './errors.js';

/** A message that arrives in large message mode. */
export interface ArrivingLargeMessage {
  readonly contentType: string;
  /** MSRP Message-ID. */
  readonly messageId: string;
  /** Octets of the whole message, when the sender said so. */
  readonly size: number | undefined;
}

export interface LargeMessageReceiverOptions {
  readonly stack: SipStack;
  readonly endpoint: MsrpEndpoint;
  readonly clock: Clock;
  /** Octets of a message at most. */
  readonly limit: number;
  /** Whom it concerns, for the decision trail. */
  readonly subject: string;
  /** Of the 2xx; a Contact is filled in. */
  readonly headers?: HeaderMap | undefined;
  /** Milliseconds until the message must have begun, and until its sender must have ended the session after it; 30 s unless given. */
  readonly patienceMs?: number | undefined;
}

const PATIENCE_MS = 30_000;

/**
 * Takes one message in large message mode: answers the INVITE with 200 and `recvonly`, takes its message over MSRP, and ends the
 * session if the sender does not. The MSRP success report is sent when `take` has given 200 and one was asked for.
 * @param take gets the octets in order as they come and stops the sender while it does not read; iterating fails with
 * `msrp-message-abandoned` when the message does not become whole. The MSRP status that it gives answers the message (RFC 4975
 * §10): 200 when the message is safe.
 * @returns the status that the message was answered with; 408 when none came, 481 when the session ended in the middle.
 * @throws ParleyError `large-message-offer`, `large-message-size`, `msrp-limit` before the INVITE is answered.
 */
export function receiveLargeMessage(
  request: ServerRequest,
  response: ServerResponse,
  options: LargeMessageReceiverOptions,
  take: (message: ArrivingLargeMessage, octets: AsyncIterable<Buffer>) => Promise<number>,
): Promise<number> {
  return receive(
    request,
    response,
    options,
    streamedMessages(options.limit, (message, octets) => take(arriving(message), octets)),
  );
}

/** The same for messages that are small enough to be held in memory. */
export function receiveWholeLargeMessage(
  request: ServerRequest,
  response: ServerResponse,
  options: LargeMessageReceiverOptions,
  take: (message: ArrivingLargeMessage, octets: Buffer) => number | Promise<number>,
): Promise<number> {
  return receive(
    request,
    response,
    options,
    wholeMessages(options.limit, (message) =>
      take(
        { contentType: message.contentType, messageId: message.messageId, size: message.octets.length },
        message.octets,
      ),
    ),
  );
}

/** Octets that the offer of an invitation announces (RFC 5547 §6), when it says so. @throws ParleyError `large-message-offer` */
export function announcedOctets(request: SipRequest): number | undefined {
  const { selector } = offered(request).file ?? {};
  return selector === undefined ? undefined : parseFileSelector(selector).size;
}

async function receive(
  request: ServerRequest,
  response: ServerResponse,
  options: LargeMessageReceiverOptions,
  receiver: MessageReceiver,
): Promise<number> {
  const { stack, endpoint, limit, subject, headers = {} } = options;
  if ((announcedOctets(request) ?? 0) > limit) throw new ParleyError('large-message-size');
  const arrival = new Arrival(receiver, options);
  const session = endpoint.createSession({
    subject,
    receiver: arrival,
    events: { lost: () => arrival.over(408) },
  });
  try {
    const negotiation = new MsrpNegotiation(session, {
      acceptTypes: ['*'],
      acceptWrappedTypes: ['*'],
      direction: 'recvonly',
      maxSize: limit,
    });
    const dialog = await stack.createUAS(request, response, {
      headers: { ...headers, 'Content-Type': 'application/sdp' },
      body: negotiation.answer(request.body),
    });
    return await arrival.awaited(dialog);
  } finally {
    arrival.over(481);
    session.close();
  }
}

/** Exactly one message, within its time. */
class Arrival implements MessageReceiver {
  readonly holds: boolean;
  readonly limit: number;
  readonly #receiver: MessageReceiver;
  readonly #clock: Clock;
  readonly #patienceMs: number;
  #begun = false;
  #answered = false;
  #timer: Timer | undefined;
  #settle: (status: number) => void = () => {};
  readonly #status = new Promise<number>((resolve) => (this.#settle = resolve));

  constructor(receiver: MessageReceiver, { clock, patienceMs = PATIENCE_MS }: LargeMessageReceiverOptions) {
    this.#receiver = receiver;
    this.holds = receiver.holds;
    this.limit = receiver.limit;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** Waits for the message and then, where one was answered, for the sender's BYE. */
  async awaited(dialog: Dialog): Promise<number> {
    const ended = new Promise<void>((resolve) => dialog.onEnd(() => resolve()));
    void ended.then(() => this.over(481));
    this.#timer = this.#clock.after(this.#patienceMs, () => {
      if (!this.#begun) this.over(408);
    });
    const status = await this.#status;
    if (this.#answered) await Promise.race([ended, this.#patience()]);
    this.#timer.cancel();
    if (dialog.state !== 'terminated') await dialog.destroy();
    return status;
  }

  over(status: number): void {
    this.#timer?.cancel();
    this.#settle(status);
  }

  #patience(): Promise<void> {
    return new Promise((resolve) => (this.#timer = this.#clock.after(this.#patienceMs, resolve)));
  }

  begin(message: IncomingMessage): ReturnType<MessageReceiver['begin']> {
    if (this.#begun) return 403;
    const sink = this.#receiver.begin(message);
    if (typeof sink === 'number') return sink;
    this.#begun = true;
    return {
      piece: (piece, position) => sink.piece(piece, position),
      complete: async (length) => {
        const status = await sink.complete(length);
        this.#answered = true;
        this.over(status);
        return status;
      },
      abandoned: (reason) => {
        sink.abandoned(reason);
        this.over(reason === 'timeout' ? 408 : reason === 'refused' ? 413 : 481);
      },
    };
  }
}

const arriving = ({ contentType, messageId, total }: IncomingMessage): ArrivingLargeMessage => ({
  contentType,
  messageId,
  size: total,
});

function offered(request: SipRequest): ReturnType<typeof parseMsrpMedia> {
  const type = request.get('Content-Type');
  try {
    if (type === undefined || parseMediaType(type).type !== 'application/sdp')
      throw new ParleyError('large-message-offer', 'no session description');
    const media = parseMsrpMedia(request.body);
    if (media.direction === 'recvonly' || media.direction === 'inactive')
      throw new ParleyError('large-message-offer', media.direction);
    return media;
  } catch (error) {
    if (!(error instanceof ParleyError) || error.code === 'large-message-offer') throw error;
    throw new ParleyError('large-message-offer', error.message);
  }
}
