import type { Connection, RequestSink } from '../connection/connection.js';
import type { MessageHead } from '../message/index.js';
import type { Onward, RelayFigures } from './forwarded-chunk.js';

/** What the relay wants to know of the answers that it passes back. */
export type AnswerObserver = (status: number, answer: MessageHead | undefined) => void;

/** A request other than SEND on its way through: its answer comes from beyond (RFC 4976 §6.4.2, §6.4.3). */
export class ForwardedRequest implements RequestSink {
  readonly #connection: Connection;
  readonly #head: MessageHead;
  readonly #onward: Onward;
  readonly #observe: AnswerObserver | undefined;
  readonly #hasBody: boolean;
  #pieces: string[] = [];

  constructor(
    connection: Connection,
    head: MessageHead,
    parts: { hasBody: boolean; onward: Onward; figures: RelayFigures; observe?: AnswerObserver | undefined },
  ) {
    this.#connection = connection;
    this.#head = head;
    this.#onward = parts.onward;
    this.#observe = parts.observe;
    this.#hasBody = parts.hasBody;
    parts.figures.requests++;
  }

  /** Small by the parser's limit. */
  body(piece: Buffer): void {
    this.#pieces.push(piece.toString('latin1'));
  }

  end(): void {
    const { hop } = this.#onward;
    const opening = hop.connection === undefined;
    // what waits for a connection that is not there yet is one request of each source
    if (opening) this.#connection.hold();
    hop.whenOpen((next) => {
      if (opening) this.#connection.release();
      if (next) this.#pass(next);
      else this.#answer(408, undefined);
    });
  }

  lost(): void {}

  #pass(next: Connection): void {
    const { method, contentType } = this.#head;
    const { toPath, fromPath } = this.#onward;
    const body = this.#hasBody
      ? `Content-Type: ${contentType ?? ''}\r\n\r\n${this.#pieces.join('')}\r\n`
      : '';
    const fields = fieldsOf(this.#head) + body;
    const transaction =
      method === 'REPORT'
        ? undefined
        : {
            answered: (status: number, answer: MessageHead | undefined) => this.#answer(status, answer),
          };
    next.request(method!, toPath, fromPath, fields, transaction);
    next.holdWhileCrowded(this.#connection);
  }

  #answer(status: number, answer: MessageHead | undefined): void {
    if (this.#head.method === 'REPORT') return;
    this.#observe?.(status, answer);
    const { via } = this.#onward;
    const fields = answer ? fieldsOf(answer) : '';
    this.#connection.respond(this.#head, status, fields, answer ? `${via} ${answer.fromPath}` : via);
  }
}

/** Every header line but the paths and the type of a body. */
function fieldsOf(head: MessageHead): string {
  const { messageId, byteRange, successReport, failureReport, reportStatus, others } = head;
  return (
    (messageId === undefined ? '' : `Message-ID: ${messageId}\r\n`) +
    (byteRange === undefined ? '' : `Byte-Range: ${byteRange}\r\n`) +
    (successReport ? 'Success-Report: yes\r\n' : '') +
    (failureReport === 'yes' ? '' : `Failure-Report: ${failureReport}\r\n`) +
    others.map((line) => `${line}\r\n`).join('') +
    (reportStatus === undefined ? '' : `Status: ${reportStatus}\r\n`)
  );
}
