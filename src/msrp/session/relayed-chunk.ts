import type { Connection, RequestSink } from '../connection/connection.js';
import type { Lane } from '../connection/lane.js';
import { OutgoingSend } from '../connection/outgoing-send.js';
import type { ByteRange, ContinuationFlag, MessageHead } from '../message/index.js';
import { isAnswered, RefusingSink } from './refusing.js';
import type { PassingState, RelayFlow } from './relay-flow.js';

export interface RelayedChunkParts {
  readonly connection: Connection;
  readonly head: MessageHead;
  readonly range: ByteRange | undefined;
  readonly message: PassingState;
  readonly lane: Lane;
}

/** A chunk that comes in on one side while it goes out on the other. */
export class RelayedChunk implements RequestSink {
  readonly #flow: RelayFlow;
  readonly #parts: RelayedChunkParts;
  readonly #start: number;
  readonly #most: number;
  #send: OutgoingSend | undefined;
  #octets = 0;
  #answeredOctets = 0;
  #flag: ContinuationFlag | undefined;
  #endedAt = Infinity;
  /** The sender has its answer. */
  #responded = false;
  #settled = false;
  #rest: RefusingSink | undefined;

  constructor(flow: RelayFlow, parts: RelayedChunkParts) {
    this.#flow = flow;
    this.#parts = parts;
    const { range, message } = parts;
    this.#start = range?.start ?? 1;
    this.#most = Math.min(range?.end ?? Infinity, range?.total ?? Infinity, message.total ?? Infinity);
  }

  open(toPath: string, fromPath: string): void {
    const { head, range, lane } = this.#parts;
    this.#send = new OutgoingSend(
      {
        toPath,
        fromPath,
        messageId: head.messageId!,
        start: this.#start,
        total: range?.total,
        ranged: range !== undefined,
        successReport: head.successReport,
        failureReport: head.failureReport,
        fields: head.others.length === 0 ? '' : head.others.map((line) => `${line}\r\n`).join(''),
        contentType: head.contentType ?? '',
      },
      {
        answered: (status, start, end) => this.#answered(status, end - start + 1),
        // with Failure-Report "partial" the receiver says nothing when all is well (RFC 4975 §7.2)
        sent: () => head.failureReport === 'partial' && this.#over(),
        // the session tells it, and then the answers of what was sent are missing too
        lost: () => {},
      },
    );
    lane.open(this.#send);
  }

  body(piece: Buffer): void {
    if (this.#rest) {
      this.#rest.body(piece);
      return;
    }
    const { message, lane, connection } = this.#parts;
    const position = this.#start + this.#octets;
    const last = position + piece.length - 1;
    if (last > this.#most || last > this.#flow.limit) {
      this.failed(last > this.#most ? 400 : 413);
      return;
    }
    this.#octets += piece.length;
    message.octets += piece.length;
    message.lastAt = this.#flow.now;
    this.#flow.figures.octets += piece.length;
    message.observer?.piece(piece, position);
    lane.write(this.#send!, piece);
    lane.holdWhileFull(connection);
  }

  end(flag: ContinuationFlag): void {
    this.#flag = flag;
    this.#endedAt = this.#flow.now;
    if (this.#rest) {
      this.#rest.end();
      return;
    }
    const { lane, head, message, connection } = this.#parts;
    const { total } = message;
    if (flag === '$' && total !== undefined && this.#start + this.#octets - 1 !== total) {
      this.failed(400);
      return;
    }
    if (flag !== '+') this.#flow.complete(message);
    lane.end(this.#send!, flag);
    // one without content has not passed `body`
    lane.holdWhileFull(connection);
    if (head.failureReport === 'no') this.#over();
  }

  /** The sender's connection ended; it may go on with the message on another. */
  lost(): void {
    this.#responded = true;
    if (!this.#rest) this.#parts.lane.end(this.#send!, '+');
    this.#settle();
  }

  /** The receiver refused it, or cannot be reached. The rest of it is dropped. */
  failed(status: number): void {
    if (this.#settled) return;
    const { connection, head, lane, message } = this.#parts;
    lane.cancel(this.#send!);
    if (!this.#responded) {
      this.#rest = new RefusingSink(connection, head, status);
      // a receiver that wants no more of a message should not be made to wait for the chunk's end
      if (this.#flag !== undefined || status === 413) this.#rest.answer();
    } else if (head.failureReport === 'yes' || (head.failureReport === 'partial' && status !== 408)) {
      const last = this.#start + this.#octets - 1;
      this.#flow.reportFailure(head.messageId!, status, this.#start, last, message.total);
    }
    this.#responded = true;
    this.#settle();
    this.#flow.ended(message, status);
  }

  /** Answers in the receiver's place when it ended before `time` (milliseconds). @returns whether it was so old. */
  overdue(time: number): boolean {
    if (this.#endedAt > time) return false;
    this.#respond(200);
    if (this.#parts.head.failureReport === 'partial') this.#settle();
    return true;
  }

  #answered(status: number, octets: number): void {
    if (this.#settled) return;
    if (status !== 200) {
      this.failed(status);
      return;
    }
    this.#answeredOctets += octets;
    if (this.#flag === undefined || this.#answeredOctets < this.#octets) return;
    this.#respond(200);
    this.#settle();
    this.#over();
  }

  /** All of it is where it should be. */
  #over(): void {
    if (this.#flag === '$') this.#flow.ended(this.#parts.message, 200);
    else if (this.#flag === '#') this.#flow.ended(this.#parts.message, 413);
  }

  #settle(): void {
    this.#settled = true;
    this.#flow.settled(this);
  }

  #respond(status: number): void {
    if (this.#responded) return;
    this.#responded = true;
    const { connection, head } = this.#parts;
    if (isAnswered(head, status)) connection.respond(head, status);
  }
}
