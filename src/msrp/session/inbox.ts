import type { Clock, Timer } from '../../base/clock.js';
import type { Connection, RequestSink } from '../connection/connection.js';
import type { ByteRange, MessageHead } from '../message/index.js';
import { IncomingChunk } from './incoming-chunk.js';
import { OpenMessage } from './incoming.js';
import type { MsrpLimits } from './limits.js';
import type { Abandonment, MessageReceiver } from './receiver.js';
import { RefusingSink } from './refusing.js';

/** What all sessions of an endpoint hold together. */
export interface HeldOctets {
  octets: number;
}

export interface InboxOptions {
  readonly clock: Clock;
  readonly limits: MsrpLimits;
  readonly held: HeldOctets;
  readonly receiver: MessageReceiver;
  /** Sends a REPORT to the peer, if it can be reached. */
  report(messageId: string, status: number, last: number, total: number | undefined): void;
  /** A message came whole and was answered, or was refused. */
  arrived(status: number): void;
}

/** Puts the chunks of a session's messages together (RFC 4975 §7.3.1). */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #open = new Map<string, OpenMessage>();
  #heldOctets = 0;
  /** Messages that came whole and wait for their receiver's word. */
  #deciding = 0;
  #timer: Timer | undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  get receiver(): MessageReceiver {
    return this.#options.receiver;
  }

  get now(): number {
    return this.#options.clock.now();
  }

  /** A SEND with content. */
  chunk(connection: Connection, head: MessageHead): RequestSink {
    let range: ByteRange | undefined;
    try {
      range = head.range();
    } catch {
      return this.#refusing(connection, head, 400);
    }
    if (head.messageId === undefined || head.contentType === undefined)
      return this.#refusing(connection, head, 400);
    const open = this.#open.get(head.messageId) ?? this.#begin(connection, head, range?.total);
    if (typeof open === 'number') return this.#refusing(connection, head, open);
    open.moveTo(connection);
    if (head.successReport) open.successReport = true;
    const refusal = open.refusedWith ?? rangeFault(open, range);
    if (refusal !== undefined) {
      this.refuse(open, refusal);
      return new RefusingSink(connection, head, refusal);
    }
    return new IncomingChunk(this, connection, head, open, range);
  }

  /** Octets of a chunk. @returns 200, or the status that refuses the message. */
  take(open: OpenMessage, piece: Buffer, position: number): number {
    const { receiver, limits, held } = this.#options;
    if (position + piece.length - 1 > receiver.limit) return 413;
    if (!receiver.holds) return open.take(piece, position, true, this.now);
    if (
      this.#heldOctets + piece.length > limits.sessionHeldOctets ||
      held.octets + piece.length > limits.heldOctets
    )
      return 413;
    const before = open.octets;
    const status = open.take(piece, position, false, this.now);
    this.#heldOctets += open.octets - before;
    held.octets += open.octets - before;
    return status;
  }

  /** A chunk ended that was the last one, or after it. @returns the status of the answer, once it is known. */
  async complete(open: OpenMessage, connection: Connection): Promise<number> {
    const { limits } = this.#options;
    this.#open.delete(open.messageId);
    const stopped = ++this.#deciding > limits.openMessages;
    if (stopped) connection.hold();
    const status = await decisionOf(open);
    this.#deciding--;
    if (stopped) connection.release();
    this.#letGo(open);
    this.#options.arrived(status);
    return status;
  }

  /** After the answer of the last chunk: the success report that the sender asked for (RFC 4975 §7.1.2). */
  reportSuccess(open: OpenMessage): void {
    if (open.successReport) this.#options.report(open.messageId, 200, open.length!, open.length);
  }

  /** Takes nothing more of a message. It is remembered for a while, so that its further chunks are refused. */
  refuse(open: OpenMessage, status: number): void {
    if (open.refusedWith !== undefined) return;
    open.refusedWith = status;
    open.abandon('refused');
    this.#letGo(open);
    this.#options.arrived(status);
  }

  /** The sender ended a message. */
  abort(messageId: string): void {
    const open = this.#open.get(messageId);
    if (open) this.#giveUp(open, 'aborted');
  }

  /** The last chunk of a refused message came. */
  forget(open: OpenMessage): void {
    this.#open.delete(open.messageId);
  }

  close(): void {
    this.#timer?.cancel();
    for (const open of [...this.#open.values()]) this.#giveUp(open, 'closed');
  }

  #refusing(connection: Connection, head: MessageHead, status: number): RequestSink {
    this.#options.arrived(status);
    return new RefusingSink(connection, head, status);
  }

  #begin(connection: Connection, head: MessageHead, total: number | undefined): OpenMessage | number {
    const { receiver, limits } = this.#options;
    if (total !== undefined && total > receiver.limit) return 413;
    if (this.#open.size >= limits.openMessages) return 413;
    const open = new OpenMessage(connection, head, total, this.now);
    const sink = receiver.begin(open);
    if (typeof sink === 'number') return sink;
    open.sink = sink;
    this.#open.set(open.messageId, open);
    this.#watch();
    return open;
  }

  #giveUp(open: OpenMessage, reason: Abandonment): void {
    this.#open.delete(open.messageId);
    open.abandon(reason);
    this.#letGo(open);
  }

  #letGo(open: OpenMessage): void {
    if (!this.receiver.holds) return;
    this.#heldOctets -= open.octets;
    this.#options.held.octets -= open.octets;
    open.octets = 0;
  }

  #watch(): void {
    const { clock, limits } = this.#options;
    this.#timer ??= clock.after(limits.idleMessageMs / 2, () => {
      this.#timer = undefined;
      for (const open of [...this.#open.values()]) this.#expire(open);
      if (this.#open.size > 0) this.#watch();
    });
  }

  #expire(open: OpenMessage): void {
    const { limits } = this.#options;
    const idle = !open.isHeld && this.now - open.lastAt >= limits.idleMessageMs;
    if (!idle && this.now - open.since < limits.messageMs) return;
    const refused = open.refusedWith !== undefined;
    const { contiguous } = open.ranges;
    this.#giveUp(open, 'timeout');
    // whoever was told nothing yet learns it; the absence of octets is no error to Failure-Report "partial"
    if (!refused && open.failureReported) this.#options.report(open.messageId, 408, contiguous, open.total);
  }
}

async function decisionOf({ sink, length }: OpenMessage): Promise<number> {
  try {
    return await sink!.complete(length!);
  } catch {
    return 500;
  }
}

/** A range that contradicts what is known of the message. */
function rangeFault(open: OpenMessage, range: ByteRange | undefined): number | undefined {
  const total = open.length ?? open.total;
  const contradicts = range?.total !== undefined && total !== undefined && range.total !== total;
  return contradicts ? 400 : undefined;
}
