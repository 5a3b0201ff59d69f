import type { Timer } from '../../base/clock.js';
import type { Connection, RequestSink } from '../connection/connection.js';
import type { ByteRange, MessageHead } from '../message/index.js';
import { endOfMessage } from './outbox.js';
import { RefusingSink } from './refusing.js';
import { RelayedChunk } from './relayed-chunk.js';
import { reportFields, sameReportFields } from './report.js';
import type { MsrpSession } from './session.js';
import type { MessageObserver, SpliceOptions } from './splice.js';

/** Counted in one direction. */
export interface FlowFigures {
  /** Whole, as far as the receiver answers. */
  messages: number;
  octets: number;
  refused: number;
}

/** A message of which chunks pass. */
export interface PassingState {
  readonly messageId: string;
  readonly total: number | undefined;
  readonly since: number;
  readonly observer: MessageObserver | undefined;
  octets: number;
  lastAt: number;
  /** Its sender has ended it; what is missing is the receiver's word. */
  complete: boolean;
}

/** One direction of a splice. */
export class RelayFlow {
  readonly figures: FlowFigures = { messages: 0, octets: 0, refused: 0 };
  readonly #from: MsrpSession;
  readonly #to: MsrpSession;
  readonly #options: SpliceOptions;
  readonly #open = new Map<string, PassingState>();
  /** How many of them their sender has not ended. */
  #arriving = 0;
  /** Chunks that the receiver has not answered, oldest first. */
  readonly #unanswered = new Set<RelayedChunk>();
  /** What they keep to send again. */
  #kept = 0;
  #timer: Timer | undefined;

  constructor(from: MsrpSession, to: MsrpSession, options: SpliceOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
  }

  get now(): number {
    return this.#from.clock.now();
  }

  /** Octets of a chunk that goes out. */
  get chunkOctets(): number {
    return this.#to.limits.chunkOctets;
  }

  get limit(): number {
    return this.#options.messageOctets ?? this.#from.limits.messageOctets;
  }

  chunk(connection: Connection, head: MessageHead): RequestSink {
    let range: ByteRange | undefined;
    try {
      range = head.range();
    } catch {
      return this.#refuse(connection, head, 400);
    }
    if (head.messageId === undefined || head.contentType === undefined)
      return this.#refuse(connection, head, 400);
    if (this.#to.isClosed || this.#to.peerPath === undefined) return this.#refuse(connection, head, 481);
    const message = this.#open.get(head.messageId) ?? this.#begin(head, range?.total);
    if (!message || (range?.total ?? 0) > this.limit) return this.#refuse(connection, head, 413);
    if (range?.total !== undefined && message.total !== undefined && range.total !== message.total)
      return this.#refuse(connection, head, 400);
    const chunk = new RelayedChunk(this, { connection, head, range, message });
    if (head.failureReport !== 'no') this.#unanswered.add(chunk);
    chunk.open(this.#to);
    this.#watch();
    return chunk;
  }

  report(head: MessageHead, connection: Connection): void {
    if (head.messageId !== undefined && head.reportStatus !== undefined && head.fault === undefined)
      this.#to.report(sameReportFields(head), connection);
  }

  abort(messageId: string): void {
    const message = this.#open.get(messageId);
    if (message) this.#giveUp(message, 413);
  }

  /** The receiver answered for all of a chunk, or refused it. */
  settled(chunk: RelayedChunk): void {
    this.#unanswered.delete(chunk);
  }

  /** Whether so many octets more may be kept: within the limit of a direction, and half of what the endpoint may hold. */
  mayKeep(octets: number): boolean {
    const { held, limits } = this.#to;
    return this.#kept + octets <= limits.resumeOctets && held.octets + octets <= limits.heldOctets / 2;
  }

  /** So many octets more are kept, or with a negative number fewer. */
  keep(octets: number): void {
    this.#kept += octets;
    this.#to.held.octets += octets;
  }

  /**
   * The sender ended a message. From then on it counts no more among those under way: RFC 4975 §7.1.1 lets a sender go on
   * without awaiting answers, and where the receiver is behind with them the lane stops it.
   */
  complete(message: PassingState): void {
    if (message.complete || this.#open.get(message.messageId) !== message) return;
    message.complete = true;
    this.#arriving--;
  }

  /** A message ended. @param status 200 when it is whole. */
  ended(message: PassingState, status: number): void {
    if (this.#open.get(message.messageId) !== message) return;
    this.#open.delete(message.messageId);
    if (!message.complete) this.#arriving--;
    if (status === 200) this.figures.messages++;
    else this.figures.refused++;
    message.observer?.end(status);
  }

  /** Tells the sender of a failure that can no longer be the answer to its chunk. */
  reportFailure(
    messageId: string,
    status: number,
    first: number,
    last: number,
    total: number | undefined,
  ): void {
    this.#from.report(reportFields(messageId, status, first, last, total));
  }

  /** The receiver's connection ended, and it may come back: what it has not answered for waits for that. */
  interrupted(): void {
    for (const chunk of [...this.#unanswered]) chunk.interrupted(this.#to);
  }

  /** The receiver will not come back: answers will not come. */
  receiverLost(): void {
    for (const chunk of [...this.#unanswered]) chunk.failed(408);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const message of [...this.#open.values()]) this.ended(message, 481);
  }

  #refuse(connection: Connection, head: MessageHead, status: number): RequestSink {
    this.figures.refused++;
    return new RefusingSink(connection, head, status);
  }

  #begin(head: MessageHead, total: number | undefined): PassingState | undefined {
    if (this.#arriving >= this.#from.limits.openMessages || (total ?? 0) > this.limit) return undefined;
    const messageId = head.messageId!;
    const observer = this.#options.observe?.({
      from: this.#from,
      to: this.#to,
      messageId,
      contentType: head.contentType ?? '',
      total,
    });
    const message: PassingState = {
      messageId,
      total,
      observer,
      octets: 0,
      since: this.now,
      lastAt: this.now,
      complete: false,
    };
    this.#arriving++;
    this.#open.set(messageId, message);
    return message;
  }

  #watch(): void {
    const { clock, limits } = this.#from;
    this.#timer ??= clock.after(limits.relayAnswerMs / 4, () => {
      this.#timer = undefined;
      for (const chunk of this.#unanswered) if (!chunk.overdue(this.now - limits.relayAnswerMs)) break;
      for (const message of this.#open.values()) {
        const { lastAt, since, complete } = message;
        // of what is complete the receiver's answer is awaited, for as long as its transaction lasts
        if (complete) continue;
        if (this.now - lastAt >= limits.idleMessageMs || this.now - since >= limits.messageMs)
          this.#giveUp(message, 408);
      }
      if (this.#unanswered.size > 0 || this.#open.size > 0) this.#watch();
    });
  }

  /** The receiver learns that no more comes. */
  #giveUp(message: PassingState, status: number): void {
    const { peerPath, lane, uri } = this.#to;
    if (peerPath !== undefined && !this.#to.isClosed) {
      const send = endOfMessage(message.messageId, peerPath, uri.text);
      lane.open(send);
      lane.end(send, '#');
    }
    this.ended(message, status);
  }
}
