import type { Clock } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { cpmServices } from '../../identity/cpm-services.js';
import { referenceValue } from '../../identity/feature-tags.js';
import { MsrpNegotiation, type MsrpEndpoint, type MsrpSession } from '../../msrp/session/index.js';
import { FinalResponseError } from '../../sip/final-response-error.js';
import type { HeaderMap } from '../../sip/message/headers.js';
import type { Dialog, SipStack } from '../../sip/stack.js';
import { asSipStatus, type LargeMessageOutcome } from './outcome.js';

/** One message to be sent in large message mode. */
export interface LargeMessageToSend {
  /** Request-URI of the INVITE: a user, or the GRUU of one device. */
  readonly to: string;
  /** Route values, topmost first. */
  readonly route?: readonly string[] | undefined;
  /** Of the INVITE: From, To, P-Asserted-Identity, the identifiers of the conversation... The service is filled in. */
  readonly headers: HeaderMap;
  /** Media type of the message, `message/cpim` as a rule. */
  readonly contentType: string;
  /** Octets, or chunks of them, which are asked for as fast as the peer takes them. */
  readonly content: Uint8Array | AsyncIterable<Uint8Array>;
  /** Octets of the whole message. */
  readonly size: number;
  /** MSRP Message-ID: the same for each attempt, by which a peer knows the message again. Made when absent. */
  readonly messageId?: string | undefined;
  /** Whom it concerns, for the decision trail. */
  readonly subject: string;
}

export interface LargeMessageSenderOptions {
  readonly stack: Pick<SipStack, 'createUAC'>;
  readonly endpoint: MsrpEndpoint;
  readonly clock: Clock;
  /** Milliseconds until the invitation must be answered; a minute unless given. */
  readonly answerMs?: number | undefined;
}

const ANSWER_MS = 60_000;

/**
 * Sends one message over an MSRP session of its own: INVITE with the large message service and a `sendonly` offer that tells the
 * size (RFC 5547 §6), the message when it is answered, BYE (OMA CPM, large message mode).
 * @returns what became of it; never rejects for a peer's sake.
 * @throws ParleyError `msrp-limit`, `msrp-listen-failed`.
 */
export async function sendLargeMessage(
  message: LargeMessageToSend,
  options: LargeMessageSenderOptions,
): Promise<LargeMessageOutcome> {
  const session = options.endpoint.createSession({ subject: message.subject });
  try {
    const negotiation = new MsrpNegotiation(session, {
      acceptTypes: [message.contentType.split(';', 1)[0]!],
      acceptWrappedTypes: ['*'],
      direction: 'sendonly',
      file: { selector: `size:${message.size}` },
    });
    const dialog = await invite(message, negotiation.offer(), options);
    try {
      return await transfer(message, dialog, negotiation);
    } finally {
      if (dialog.state !== 'terminated') void dialog.destroy().catch(() => undefined);
    }
  } catch (error) {
    if (error instanceof ParleyError) return { status: error.sip, by: 'invitation' };
    if (!(error instanceof FinalResponseError)) throw error;
    // our own CANCEL: nobody answered in time
    return { status: error.status === 487 ? 408 : error.status, by: 'invitation' };
  } finally {
    session.close();
  }
}

async function invite(
  { to, route, headers }: LargeMessageToSend,
  offer: string,
  { stack, clock, answerMs = ANSWER_MS }: LargeMessageSenderOptions,
): Promise<Dialog> {
  let cancel: (reason?: string) => void = () => {};
  const timer = clock.after(answerMs, () => cancel());
  try {
    return await stack.createUAC(to, {
      method: 'INVITE',
      headers: {
        'P-Asserted-Service': cpmServices.largeMessage,
        'Accept-Contact': `*;+g.3gpp.icsi-ref="${referenceValue([cpmServices.largeMessage])}"`,
        ...headers,
        'Content-Type': 'application/sdp',
      },
      body: offer,
      ...(route === undefined ? {} : { route }),
      onStarted: (stop) => (cancel = stop),
    });
  } finally {
    timer.cancel();
  }
}

async function transfer(
  message: LargeMessageToSend,
  dialog: Dialog,
  negotiation: MsrpNegotiation,
): Promise<LargeMessageOutcome> {
  const { session } = negotiation;
  dialog.onEnd(() => session.close());
  try {
    const { maxSize } = negotiation.accept(dialog.response?.body ?? new Uint8Array(0));
    if (maxSize !== undefined && maxSize < message.size) return { status: 513, by: 'invitation' };
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error;
    return { status: 488, by: 'invitation' };
  }
  return { status: asSipStatus(await sent(message, session)), by: 'message' };
}

function sent(message: LargeMessageToSend, session: MsrpSession): Promise<number> {
  if (session.isClosed) return Promise.resolve(481);
  const { contentType, content, size, messageId } = message;
  return session.send({ contentType, content, size, ...(messageId === undefined ? {} : { messageId }) }).sent;
}
