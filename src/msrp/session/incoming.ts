import type { Connection } from '../connection/connection.js';
import type { MessageHead } from '../message/index.js';
import { ReceivedRanges } from './ranges.js';
import type { Abandonment, IncomingMessage, MessageSink } from './receiver.js';

/** Shorter pieces are copied, so that they do not keep a whole read buffer alive. */
const COPY_BELOW = 4096;

/** A message of which chunks come in. */
export class OpenMessage implements IncomingMessage {
  readonly messageId: string;
  readonly contentType: string;
  readonly total: number | undefined;
  readonly fields: readonly string[];
  readonly failureReported: boolean;
  readonly since: number;
  successReport: boolean;
  /** Octets given to the sink, overlapping ones again. */
  octets = 0;
  /** When its last octet came. */
  lastAt: number;
  /** Known once its last chunk came. */
  length: number | undefined;
  /** Why its further chunks are refused. */
  refusedWith: number | undefined;
  /** A chunk of it is arriving: then it is not idle while we ourselves do not read. */
  sink: MessageSink | undefined;
  readonly ranges = new ReceivedRanges();
  #connection: Connection;
  #holds = 0;

  constructor(connection: Connection, head: MessageHead, total: number | undefined, now: number) {
    this.#connection = connection;
    this.messageId = head.messageId!;
    this.contentType = head.contentType ?? '';
    this.total = total;
    this.fields = head.others;
    this.successReport = head.successReport;
    this.failureReported = head.failureReport === 'yes';
    this.since = this.lastAt = now;
  }

  /** Whether its receiver has stopped it. */
  get isHeld(): boolean {
    return this.#holds > 0;
  }

  hold(): void {
    if (++this.#holds === 1) this.#connection.hold();
  }

  release(): void {
    if (--this.#holds === 0) this.#connection.release();
  }

  /** Further chunks come on another connection. */
  moveTo(connection: Connection): void {
    if (connection === this.#connection) return;
    if (this.#holds > 0) {
      this.#connection.release();
      connection.hold();
    }
    this.#connection = connection;
  }

  /** @returns the status that refuses the message, 200 when the piece was taken. */
  take(piece: Buffer, position: number, ordered: boolean, now: number): number {
    this.lastAt = now;
    let from = position;
    let octets = piece;
    if (ordered) {
      const next = this.ranges.contiguous + 1;
      if (from > next) return 413;
      // what was handed on before cannot be taken back
      if (from < next) octets = piece.subarray(next - from);
      from = next;
    }
    if (octets.length === 0) return 200;
    if (!this.ranges.add(from, from + octets.length - 1)) return 413;
    this.octets += octets.length;
    this.sink!.piece(octets.length < COPY_BELOW ? Buffer.from(octets) : octets, from);
    return 200;
  }

  abandon(reason: Abandonment): void {
    const { sink } = this;
    this.sink = undefined;
    sink?.abandoned(reason);
  }
}
