import type { Connection, RequestSink } from '../connection/connection.js';
import { msrpError } from '../errors.js';
import type { MessageHead } from '../message/index.js';

/** A refused chunk is answered before its end when it is longer than this, so that the sender can interrupt it. */
const PATIENCE_OCTETS = 65_536;
/** Who sends so much after a refusal does not listen. */
const DEAF_OCTETS = 16 * 1024 * 1024;

/** Whether a status is answered at all (RFC 4975 §7.2). */
export function isAnswered(head: MessageHead, status: number): boolean {
  if (head.method === 'REPORT') return false;
  if (head.method !== 'SEND') return true;
  return head.failureReport === 'yes' || (head.failureReport === 'partial' && status !== 200);
}

/** Reads the rest of a request, answers it once with `status`, and ends the connection with who does not stop. */
export class RefusingSink implements RequestSink {
  readonly #connection: Connection;
  readonly #head: MessageHead;
  readonly #status: number;
  #octets = 0;
  #answered = false;

  constructor(connection: Connection, head: MessageHead, status: number) {
    this.#connection = connection;
    this.#head = head;
    this.#status = status;
  }

  body(piece: Buffer): void {
    this.#octets += piece.length;
    if (this.#octets > PATIENCE_OCTETS) this.answer();
    if (this.#octets > DEAF_OCTETS)
      this.#connection.destroy(msrpError('msrp-body-too-large', 'the sender of a refused message goes on'));
  }

  end(): void {
    this.answer();
  }

  lost(): void {}

  /** Answers now. */
  answer(): void {
    if (this.#answered) return;
    this.#answered = true;
    if (isAnswered(this.#head, this.#status)) this.#connection.respond(this.#head, this.#status);
  }
}
