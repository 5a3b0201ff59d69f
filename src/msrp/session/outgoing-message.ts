import type { Timer } from '../../base/clock.js';
import { OutgoingSend } from '../connection/outgoing-send.js';
import { newMessageId, type FailureReport } from '../message/index.js';
import type { ContentReader } from './content-reader.js';
import type { MsrpLimits } from './limits.js';
import { ReceivedRanges } from './ranges.js';
import type { Report } from './report.js';

/** A message to send. Header values are Latin-1 as on the wire. */
export interface Outgoing {
  readonly contentType: string;
  /** Octets, or chunks of them in order, which are asked for only as fast as the peer takes them. */
  readonly content: Uint8Array | AsyncIterable<Uint8Array>;
  /** Octets of the whole message, when they are known although `content` comes in chunks. */
  readonly size?: number | undefined;
  readonly messageId?: string | undefined;
  readonly successReport?: boolean | undefined;
  readonly failureReport?: FailureReport | undefined;
  /** Further header lines, each with CRLF. */
  readonly fields?: string | undefined;
}

/** What became of a message of ours. */
export interface SentMessage {
  readonly messageId: string;
  /**
   * Never rejects. 200 once the peer has answered for every octet; another status when it refused (RFC 4975 §10),
   * 408 when it did not answer, 481 when the session ended before, 400 when `content` failed or broke its promise.
   * With Failure-Report `no` or `partial`, 200 means that everything was handed to the socket.
   */
  readonly sent: Promise<number>;
  /** Never rejects. With a success report asked for: what it says, 408 when none came in time; else as `sent`. */
  readonly reported: Promise<number>;
  /** Stops; the peer is told so. `sent` becomes 413. */
  abort(): void;
}

/** Octets that are under way until the peer answers for them. */
interface Chunk {
  readonly start: number;
  readonly octets: Buffer;
  readonly last: boolean;
  send: OutgoingSend | undefined;
  /** Octets answered for. */
  answered: number;
}

/** What the session lends its messages. */
export interface OutgoingCarrier {
  readonly limits: MsrpLimits;
  readonly paths: { readonly to: string; readonly from: string };
  /** Queues a chunk on the session's lane. */
  put(send: OutgoingSend, octets: Buffer, last: boolean): void;
  /** Takes a chunk back, as far as it was not sent. @returns whether the peer will be told the end of the message. */
  cancel(send: OutgoingSend): boolean;
  /** Tells the peer that no more comes of a message. */
  end(messageId: string): void;
  /** There may be more to send. */
  wake(): void;
  after(ms: number, fn: () => void): Timer;
  /** It needs nothing more. */
  done(message: OutgoingMessage): void;
}

/** One message on its way out: cut into chunks, resent from the first unanswered one after a lost connection. */
export class OutgoingMessage implements SentMessage {
  readonly messageId: string;
  readonly sent: Promise<number>;
  readonly reported: Promise<number>;
  readonly #carrier: OutgoingCarrier;
  readonly #message: Outgoing;
  readonly #content: ContentReader;
  readonly #failureReport: FailureReport;
  #unanswered: Chunk[] = [];
  #inFlight = 0;
  #position = 1;
  #lastMade = false;
  #status: number | undefined;
  #settleSent!: (status: number) => void;
  #settleReported!: (status: number) => void;
  #reportTimer: Timer | undefined;
  readonly #reportedRanges = new ReceivedRanges();
  #reportDone = false;

  constructor(carrier: OutgoingCarrier, message: Outgoing, content: ContentReader) {
    this.#carrier = carrier;
    this.#message = message;
    this.#content = content;
    this.#failureReport = message.failureReport ?? 'yes';
    this.messageId = message.messageId ?? newMessageId();
    this.sent = new Promise((resolve) => (this.#settleSent = resolve));
    this.reported = new Promise((resolve) => (this.#settleReported = resolve));
  }

  /** Asks the source for its beginning. */
  prefetch(): void {
    this.#content.prefetch(() => this.#carrier.wake());
  }

  /** Queues its next chunk. @returns false when there is nothing to queue now. */
  advance(): boolean {
    if (this.#status !== undefined) return false;
    const again = this.#unanswered.find((chunk) => !chunk.send);
    if (again) {
      this.#put(again);
      return true;
    }
    const { chunkOctets, windowOctets } = this.#carrier.limits;
    if (this.#lastMade || this.#inFlight >= windowOctets) return false;
    const next = this.#content.take(chunkOctets);
    if (next === 'later') return false;
    if (next === 'failed') {
      this.#finish(400, true);
      return false;
    }
    const chunk: Chunk = { ...next, start: this.#position, send: undefined, answered: 0 };
    this.#position += next.octets.length;
    this.#lastMade = next.last;
    this.#unanswered.push(chunk);
    this.#inFlight += next.octets.length;
    this.#put(chunk);
    return true;
  }

  /** The connection ended: what was not answered for goes out again on the next one. */
  interrupted(): void {
    for (const chunk of this.#unanswered) {
      chunk.send = undefined;
      chunk.answered = 0;
    }
  }

  report({ status, range }: Report): void {
    if (status !== 200) {
      // a failure report counts as a response with that status (RFC 4975 §7.3.2)
      if (this.#status === undefined) this.#finish(status, true);
      else this.#settleReport(status);
      return;
    }
    const length = this.#lastMade ? this.#position - 1 : Infinity;
    this.#reportedRanges.add(range?.start ?? 1, range?.end ?? range?.total ?? length);
    if (this.#reportedRanges.covers(length)) this.#settleReport(200);
  }

  abort(): void {
    this.#finish(413, true);
  }

  /** The session ended. */
  close(): void {
    this.#finish(481, false);
    this.#settleReport(481);
  }

  #put(chunk: Chunk): void {
    const { paths, limits } = this.#carrier;
    const { contentType, fields = '', successReport = false } = this.#message;
    const total = this.#content.size ?? (this.#lastMade ? this.#position - 1 : undefined);
    const send = new OutgoingSend(
      {
        toPath: paths.to,
        fromPath: paths.from,
        messageId: this.messageId,
        start: chunk.start,
        total,
        ranged: true,
        successReport,
        failureReport: this.#failureReport,
        fields,
        contentType,
      },
      {
        answered: (status, start, end) => {
          if (chunk.send !== send) return;
          if (status !== 200) this.#finish(status, status === 413);
          else this.#answeredFor(chunk, end - start + 1);
        },
        sent: () => {
          if (chunk.send === send && this.#failureReport !== 'yes')
            this.#answeredFor(chunk, chunk.octets.length);
        },
        lost: () => {},
      },
    );
    chunk.send = send;
    this.#carrier.put(send, chunk.octets, chunk.last);
    if (this.#inFlight < limits.windowOctets) this.prefetch();
  }

  #answeredFor(chunk: Chunk, octets: number): void {
    chunk.answered += octets;
    if (chunk.answered < chunk.octets.length) return;
    this.#unanswered = this.#unanswered.filter((other) => other !== chunk);
    this.#inFlight -= chunk.octets.length;
    if (this.#lastMade && this.#unanswered.length === 0) this.#finish(200, false);
    else {
      this.prefetch();
      this.#carrier.wake();
    }
  }

  #finish(status: number, tellPeer: boolean): void {
    if (this.#status !== undefined) return;
    this.#status = status;
    this.#content.stop();
    if (status !== 200) this.#cancel(tellPeer);
    this.#unanswered = [];
    this.#settleSent(status);
    if (status !== 200 || !this.#message.successReport) this.#settleReport(status);
    else if (!this.#reportDone)
      this.#reportTimer = this.#carrier.after(this.#carrier.limits.reportMs, () => this.#settleReport(408));
  }

  /** Takes back what waits; a peer that has some of the message learns that no more comes (RFC 4975 §7.1). */
  #cancel(tellPeer: boolean): void {
    let told = this.#lastMade && this.#unanswered.every(({ send }) => send?.begun);
    const begun = this.#position - 1 > this.#inFlight || this.#unanswered.some(({ send }) => send?.begun);
    for (const { send } of this.#unanswered) told = (send && this.#carrier.cancel(send)) || told;
    if (tellPeer && begun && !told) this.#carrier.end(this.messageId);
  }

  #settleReport(status: number): void {
    if (this.#reportDone) return;
    this.#reportDone = true;
    this.#reportTimer?.cancel();
    this.#settleReported(status);
    this.#carrier.done(this);
  }
}
