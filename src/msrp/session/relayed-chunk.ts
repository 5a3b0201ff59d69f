import type { Connection, RequestSink } from '../connection/connection.js';
import type { Lane } from '../connection/lane.js';
import { OutgoingSend } from '../connection/outgoing-send.js';
import type { ByteRange, ContinuationFlag, MessageHead } from '../message/index.js';
import { passedOn } from './passing.js';
import { ReceivedRanges } from './ranges.js';
import { isAnswered, RefusingSink } from './refusing.js';
import type { PassingState, RelayFlow } from './relay-flow.js';

/** What a kept piece costs beside its octets. */
const PIECE_OVERHEAD = 64;

export interface RelayedChunkParts {
  readonly connection: Connection;
  readonly head: MessageHead;
  readonly range: ByteRange | undefined;
  readonly message: PassingState;
}

/** Where a chunk leaves for: the receiver's session. */
export interface Receiver {
  readonly lane: Lane;
  readonly peerPath: string | undefined;
  readonly uri: { readonly text: string };
}

/**
 * A chunk that comes in on one side while it goes out on the other, where it may be several. What was not answered for goes out
 * again when the receiver's connection was lost, as far as it was kept.
 */
export class RelayedChunk implements RequestSink {
  readonly #flow: RelayFlow;
  readonly #parts: RelayedChunkParts;
  readonly #start: number;
  readonly #most: number;
  /** Only with Failure-Report `yes` the receiver tells what it has (RFC 4975 §7.2). */
  readonly #keeps: boolean;
  #receiver!: Receiver;
  #lane!: Lane;
  #send!: OutgoingSend;
  #sendOctets = 0;
  #octets = 0;
  /** Of the chunk's octets, those from its first without a gap; the others, as ranges of which the first octet is 1. */
  #answered = 0;
  #apart: ReceivedRanges | undefined;
  /** Its last octets, and how many are before them. */
  #kept: Buffer[] | undefined;
  #unkept = 0;
  #flag: ContinuationFlag | undefined;
  #endedAt = Infinity;
  /** The sender has its answer. */
  #responded = false;
  #settled = false;
  #rest: RefusingSink | undefined;

  constructor(flow: RelayFlow, parts: RelayedChunkParts) {
    this.#flow = flow;
    this.#parts = parts;
    const { range, message, head } = parts;
    this.#start = range?.start ?? 1;
    this.#most = Math.min(range?.end ?? Infinity, range?.total ?? Infinity, message.total ?? Infinity);
    this.#keeps = head.failureReport === 'yes';
  }

  /** @param before octets of the chunk that have gone out already. */
  open(receiver: Receiver, before = 0): void {
    const { lane, peerPath, uri } = receiver;
    this.#receiver = receiver;
    this.#lane = lane;
    const { head, range } = this.#parts;
    const send = new OutgoingSend(
      passedOn(head, range, {
        toPath: peerPath!,
        fromPath: uri.text,
        start: this.#start + before,
        contentType: head.contentType ?? '',
      }),
      {
        answered: (status, start, end) => this.#onAnswer(lane, status, start, end),
        // with Failure-Report "partial" the receiver says nothing when all is well (RFC 4975 §7.2)
        sent: () => head.failureReport === 'partial' && this.#over(),
        // the session tells it, and then the answers of what was sent are missing too
        lost: () => {},
      },
    );
    this.#send = send;
    this.#sendOctets = 0;
    lane.open(send);
  }

  body(piece: Buffer): void {
    if (this.#rest) {
      this.#rest.body(piece);
      return;
    }
    const { message, connection } = this.#parts;
    const position = this.#start + this.#octets;
    const last = position + piece.length - 1;
    if (last > this.#most || last > this.#flow.limit) {
      this.failed(last > this.#most ? 400 : 413);
      return;
    }
    const before = this.#octets;
    this.#octets += piece.length;
    message.octets += piece.length;
    message.lastAt = this.#flow.now;
    this.#flow.figures.octets += piece.length;
    message.observer?.piece(piece, position);
    this.#write(piece, before);
    if (this.#keeps) this.#keep(piece);
    this.#lane.holdWhileFull(connection);
  }

  end(flag: ContinuationFlag): void {
    this.#flag = flag;
    this.#endedAt = this.#flow.now;
    if (this.#rest) {
      this.#rest.end();
      return;
    }
    const { head, message, connection } = this.#parts;
    const lane = this.#lane;
    const { total } = message;
    if (flag === '$' && total !== undefined && this.#start + this.#octets - 1 !== total) {
      this.failed(400);
      return;
    }
    if (flag !== '+') this.#flow.complete(message);
    lane.end(this.#send, flag);
    // one without content has not passed `body`
    lane.holdWhileFull(connection);
    if (head.failureReport === 'no') this.#over();
  }

  /** The sender's connection ended; it may go on with the message on another. */
  lost(): void {
    this.#responded = true;
    if (!this.#rest) this.#lane.end(this.#send, '+');
    this.#settle();
  }

  /** The receiver's connection ended: what it has not answered for waits for its next one, or the chunk fails. */
  interrupted(receiver: Receiver): void {
    const answered = this.#answered;
    if (!this.#keeps || this.#unkept > answered) {
      this.failed(408);
      return;
    }
    this.open(receiver, answered);
    let before = this.#unkept;
    for (const piece of this.#kept ?? []) {
      const again = before < answered ? piece.subarray(answered - before) : piece;
      if (this.#flag !== '#') this.#write(again, Math.max(before, answered));
      before += piece.length;
    }
    if (this.#flag !== undefined) this.#lane.end(this.#send, this.#flag);
  }

  /** The receiver refused it, or cannot be reached. The rest of it is dropped. */
  failed(status: number): void {
    if (this.#settled) return;
    const { connection, head, message } = this.#parts;
    this.#lane.cancel(this.#send);
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

  /** Puts octets on the lane, as a chunk of its own where the last is long enough: so answers come on the way. */
  #write(piece: Buffer, before: number): void {
    const lane = this.#lane;
    if (this.#keeps && this.#sendOctets >= this.#flow.chunkOctets) {
      lane.end(this.#send, '+');
      this.open(this.#receiver, before);
    }
    lane.write(this.#send, piece);
    this.#sendOctets += piece.length;
  }

  /** Above the limits all that is kept is given up: a gap could not be filled. */
  #keep(piece: Buffer): void {
    const cost = piece.length + PIECE_OVERHEAD;
    if (!this.#flow.mayKeep(cost)) {
      this.#forget();
      return;
    }
    if (this.#kept) this.#kept.push(piece);
    else this.#kept = [piece];
    this.#flow.keep(cost);
  }

  #shed(): void {
    const { length } = this.#kept!.shift()!;
    this.#unkept += length;
    this.#flow.keep(-length - PIECE_OVERHEAD);
  }

  #forget(): void {
    if (this.#kept) for (const { length } of this.#kept) this.#flow.keep(-length - PIECE_OVERHEAD);
    this.#kept = undefined;
    this.#unkept = this.#octets;
  }

  /** Octets behind the first `before` up to `end` were answered for. */
  #note(before: number, end: number): void {
    if (before <= this.#answered && !this.#apart) {
      this.#answered = Math.max(this.#answered, end);
      return;
    }
    this.#apart ??= new ReceivedRanges();
    this.#apart.add(1, this.#answered);
    this.#apart.add(before + 1, end);
    this.#answered = this.#apart.contiguous;
  }

  /** @param lane the one that it went out on: of an earlier one no answers count. @param start position of its first octet. */
  #onAnswer(lane: Lane, status: number, start: number, end: number): void {
    if (this.#settled || lane !== this.#lane) return;
    if (status !== 200) {
      this.failed(status);
      return;
    }
    this.#note(start - this.#start, end - this.#start + 1);
    if (this.#flag === undefined || this.#answered < this.#octets) {
      while (this.#kept && this.#unkept + (this.#kept[0]?.length ?? Infinity) <= this.#answered) this.#shed();
      return;
    }
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
    this.#forget();
    this.#flow.settled(this);
  }

  #respond(status: number): void {
    if (this.#responded) return;
    this.#responded = true;
    const { connection, head } = this.#parts;
    if (isAnswered(head, status)) connection.respond(head, status);
  }
}
