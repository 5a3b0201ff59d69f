import type { Connection, RequestSink } from '../connection/connection.js';
import type { ByteRange, ContinuationFlag, MessageHead } from '../message/index.js';
import type { Inbox } from './inbox.js';
import type { OpenMessage } from './incoming.js';
import { isAnswered, RefusingSink } from './refusing.js';

/** A chunk of a message on its way in. */
export class IncomingChunk implements RequestSink {
  readonly #inbox: Inbox;
  readonly #connection: Connection;
  readonly #head: MessageHead;
  readonly #message: OpenMessage;
  readonly #announced: ByteRange | undefined;
  #position: number;
  #refusing: RefusingSink | undefined;

  constructor(
    inbox: Inbox,
    connection: Connection,
    head: MessageHead,
    message: OpenMessage,
    announced: ByteRange | undefined,
  ) {
    this.#inbox = inbox;
    this.#connection = connection;
    this.#head = head;
    this.#message = message;
    this.#announced = announced;
    this.#position = announced?.start ?? 1;
  }

  body(piece: Buffer): void {
    if (!this.#refusing) {
      // given up, by time or by another chunk
      const gone = this.#message.sink ? undefined : (this.#message.refusedWith ?? 413);
      const last = this.#position + piece.length - 1;
      const status =
        gone ?? (last > this.#most ? 400 : this.#inbox.take(this.#message, piece, this.#position));
      this.#position = last + 1;
      if (status === 200) return;
      this.#refuse(status);
    }
    this.#refusing?.body(piece);
  }

  end(flag: ContinuationFlag): void {
    const message = this.#message;
    if (!this.#refusing && flag === '$') this.#last();
    if (this.#refusing) {
      if (flag !== '+') this.#inbox.forget(message);
      this.#refusing.end();
      return;
    }
    if (flag === '#') {
      this.#inbox.abort(message.messageId);
      this.#answer(200);
      return;
    }
    if (message.length === undefined || !message.ranges.covers(message.length) || !message.sink) {
      this.#answer(200);
      return;
    }
    void this.#inbox.complete(message, this.#connection).then((status) => {
      this.#answer(status);
      if (status === 200) this.#inbox.reportSuccess(message);
    });
  }

  /** What came is kept: the sender may go on where it was interrupted. */
  lost(): void {}

  /** The last position that this chunk may reach. */
  get #most(): number {
    const { end, total } = this.#announced ?? {};
    return Math.min(
      end ?? Infinity,
      total ?? Infinity,
      this.#message.total ?? Infinity,
      this.#message.length ?? Infinity,
    );
  }

  /** The chunk with `$` determines the length (RFC 4975 §7.3.1). */
  #last(): void {
    const length = this.#position - 1;
    const known = this.#message.length ?? this.#message.total ?? this.#announced?.total;
    if (known !== undefined && known !== length) this.#refuse(400);
    else this.#message.length = length;
  }

  #refuse(status: number): void {
    this.#inbox.refuse(this.#message, status);
    this.#refusing = new RefusingSink(this.#connection, this.#head, status);
    // the sender should stop in the middle of the chunk
    if (status === 413) this.#refusing.answer();
  }

  #answer(status: number): void {
    if (isAnswered(this.#head, status)) this.#connection.respond(this.#head, status);
  }
}
