import type { Connection, RequestSink } from '../connection/connection.js';
import type { MessageHead } from '../message/index.js';
import { RelayFlow, type FlowFigures } from './relay-flow.js';
import type { MsrpSession, SessionTraffic } from './session.js';

/** Sees the octets of one message as they pass. */
export interface MessageObserver {
  piece(piece: Buffer, position: number): void;
  /** @param status 200 when the receiver took its last chunk, else why it did not become whole. */
  end(status: number): void;
}

/** A message that begins to pass. */
export interface PassingMessage {
  readonly from: MsrpSession;
  readonly to: MsrpSession;
  readonly messageId: string;
  readonly contentType: string;
  readonly total: number | undefined;
}

export interface SpliceOptions {
  /** Octets of one message; the endpoint's limit unless given. */
  readonly messageOctets?: number | undefined;
  /** Asked when a message begins: who is to see it pass, for records. */
  readonly observe?: ((message: PassingMessage) => MessageObserver | undefined) | undefined;
}

/** Two sessions joined. */
export interface Splice {
  /** What went from the first session to the second, and back. */
  readonly forth: FlowFigures;
  readonly back: FlowFigures;
}

/**
 * Joins two sessions: what arrives in one leaves by the other chunk by chunk, with the same Message-IDs, byte ranges,
 * content and report wishes, and never held whole. A slow receiver stops the sender. A chunk is answered with what the
 * receiver answered; when that takes too long, with 200, and then a failure comes as a REPORT (RFC 4976 §6.4.1). REPORTs
 * pass. What the receiver had not answered for when its connection was lost goes out again on its next one (RFC 4975 §5.4). When a session is lost or closed its owner closes the other.
 */
export function splice(a: MsrpSession, b: MsrpSession, options: SpliceOptions = {}): Splice {
  const forth = new RelayFlow(a, b, options);
  const back = new RelayFlow(b, a, options);
  a.handOver(new SplicedTraffic(forth, back));
  b.handOver(new SplicedTraffic(back, forth));
  return { forth: forth.figures, back: back.figures };
}

/** The traffic of one session of the two. */
class SplicedTraffic implements SessionTraffic {
  readonly #received: RelayFlow;
  readonly #sent: RelayFlow;

  constructor(received: RelayFlow, sent: RelayFlow) {
    this.#received = received;
    this.#sent = sent;
  }

  chunk(connection: Connection, head: MessageHead): RequestSink {
    return this.#received.chunk(connection, head);
  }

  abort(messageId: string): void {
    this.#received.abort(messageId);
  }

  report(head: MessageHead, connection: Connection): void {
    this.#received.report(head, connection);
  }

  bound(): void {}

  /** What was sent here and not answered for goes out again. */
  unbound(): void {
    this.#sent.interrupted();
  }

  close(): void {
    this.#sent.receiverLost();
    this.#received.close();
  }
}
