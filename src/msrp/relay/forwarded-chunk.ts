import type { Connection, RequestSink } from '../connection/connection.js';
import { OutgoingSend } from '../connection/outgoing-send.js';
import type { ByteRange, ContinuationFlag, MessageHead } from '../message/index.js';
import { passedOn } from '../session/passing.js';
import { RefusingSink } from '../session/refusing.js';
import { reportFields } from '../session/report.js';
import type { Hop, HopClient } from './hop.js';

/** Where a request goes on to. */
export interface Onward {
  readonly hop: Hop;
  /** Without our own URIs at its beginning. */
  readonly toPath: string;
  /** With our own URIs at its beginning. */
  readonly fromPath: string;
  /** Our own URIs, the one nearest to the next hop first. */
  readonly via: string;
}

/** What a relay counts. */
export interface RelayFigures {
  /** Requests that were passed on, and octets of their content. */
  requests: number;
  octets: number;
  /** Requests that were refused, AUTH among them. */
  refused: number;
  /** Failures that were reported to the sender of a message. */
  failures: number;
}

/**
 * A SEND on its way through: its octets leave as they come, it is answered to the previous hop as soon as it ended, and what goes
 * wrong afterwards is told by a REPORT (RFC 4976 §6.4.1).
 */
export class ForwardedChunk implements RequestSink, HopClient {
  readonly #connection: Connection;
  readonly #head: MessageHead;
  readonly #onward: Onward;
  readonly #figures: RelayFigures;
  readonly #send: OutgoingSend;
  readonly #start: number;
  readonly #most: number;
  readonly #total: number | undefined;
  #octets = 0;
  #answeredOctets = 0;
  #ended = false;
  #settled = false;
  #rest: RefusingSink | undefined;

  constructor(
    connection: Connection,
    head: MessageHead,
    parts: { range: ByteRange | undefined; hasBody: boolean; onward: Onward; figures: RelayFigures },
  ) {
    const { range, onward, figures } = parts;
    this.#connection = connection;
    this.#head = head;
    this.#onward = onward;
    this.#figures = figures;
    this.#start = range?.start ?? 1;
    this.#total = range?.total;
    this.#most = Math.min(range?.end ?? Infinity, range?.total ?? Infinity);
    this.#send = new OutgoingSend(
      passedOn(head, range, {
        toPath: onward.toPath,
        fromPath: onward.fromPath,
        start: this.#start,
        contentType: parts.hasBody ? (head.contentType ?? '') : undefined,
      }),
      {
        answered: (status, start, end) => this.#answered(status, end - start + 1),
        // with another Failure-Report no answer is awaited, though one that refuses may still come
        sent: () => head.failureReport !== 'yes' && onward.hop.clients.delete(this),
        // the hop tells it, and then the answers of what was sent are missing too
        lost: () => {},
      },
    );
    figures.requests++;
    onward.hop.clients.add(this);
    onward.hop.lane.open(this.#send);
  }

  body(piece: Buffer): void {
    if (this.#rest) {
      this.#rest.body(piece);
      return;
    }
    if (this.#start + this.#octets + piece.length - 1 > this.#most) {
      this.#failed(400);
      return;
    }
    this.#octets += piece.length;
    this.#figures.octets += piece.length;
    const { lane } = this.#onward.hop;
    lane.write(this.#send, piece);
    lane.holdWhileFull(this.#connection);
  }

  end(flag: ContinuationFlag): void {
    this.#ended = true;
    if (this.#rest) {
      this.#rest.end();
      return;
    }
    const { lane } = this.#onward.hop;
    lane.end(this.#send, flag);
    // one without content has not passed `body`
    lane.holdWhileFull(this.#connection);
    if (this.#head.failureReport === 'yes') this.#connection.respond(this.#head, 200);
  }

  /** The connection of the previous hop ended; the sender may go on with the message on another. */
  lost(): void {
    if (!this.#rest) this.#onward.hop.lane.end(this.#send, '+');
  }

  hopLost(): void {
    this.#failed(408);
  }

  /** @param octets of this answer's part: a chunk that was cut into several has an answer for each. */
  #answered(status: number, octets: number): void {
    this.#answeredOctets += octets;
    if (status !== 200) this.#failed(status);
    else if (this.#ended && this.#answeredOctets >= this.#octets) this.#settle();
  }

  #settle(): void {
    this.#settled = true;
    this.#onward.hop.clients.delete(this);
  }

  #failed(status: number): void {
    if (this.#settled) return;
    this.#settle();
    this.#onward.hop.lane.cancel(this.#send);
    if (!this.#ended) {
      this.#rest = new RefusingSink(this.#connection, this.#head, status);
      // the sender should not go on with what nobody takes
      this.#rest.answer();
      return;
    }
    const { failureReport, messageId, fromPath } = this.#head;
    if (failureReport === 'no' || (failureReport === 'partial' && status === 408)) return;
    this.#figures.failures++;
    const last = this.#start + this.#octets - 1;
    const fields = reportFields(messageId!, status, this.#start, last, this.#total);
    this.#connection.request('REPORT', fromPath, this.#onward.via, fields);
  }
}
