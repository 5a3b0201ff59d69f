import type { ContinuationFlag } from '../message/index.js';
import type { OutgoingSend } from './outgoing-send.js';

/** What each piece and each request costs beside its octets, so that many tiny or empty ones cannot fill memory unseen. */
const PIECE_OVERHEAD = 64;
const REQUEST_OVERHEAD = 256;

/** Whatever can be asked to deliver nothing for a while. */
export interface Source {
  /** Counted: reading goes on after as many {@link release}. */
  hold(): void;
  release(): void;
}

/** A connection, as a lane sees it. */
export interface LaneCarrier {
  /** The lane has something to send, or may send again. */
  wake(lane: Lane): void;
  /** @param flag that a chunk of it gets which is on the wire. */
  remove(lane: Lane, flag: ContinuationFlag): void;
}

/**
 * A queue of requests that keep their order. A connection serves its lanes in turn, so that none waits for
 * another; within a lane a request waits for those before it, unless they have run out of octets for now.
 */
export class Lane {
  readonly #highWater: number;
  readonly #held = new Set<Source>();
  readonly #sends: OutgoingSend[] = [];
  #carrier: LaneCarrier | undefined;
  #pending = 0;
  #unanswered = 0;
  #closed = false;

  /** @param highWater pending octets from which the lane is full; it has room again below half of that. */
  constructor(highWater: number) {
    this.#highWater = highWater;
  }

  /** Octets waiting, with an allowance for each piece and each request. */
  get pending(): number {
    return this.#pending;
  }

  /** Chunks of it on the wire whose answer is awaited. */
  get unanswered(): number {
    return this.#unanswered;
  }

  get full(): boolean {
    return this.#pending >= this.#highWater;
  }

  get empty(): boolean {
    return this.#sends.length === 0;
  }

  /** Lets a connection carry what the lane holds and will hold. */
  attach(carrier: LaneCarrier): void {
    this.#carrier = carrier;
    if (this.front()) carrier.wake(this);
  }

  /** Puts a request at the end of the queue; its octets follow with {@link write}. */
  open(send: OutgoingSend): void {
    if (this.#closed) {
      send.events.lost();
      return;
    }
    this.#sends.push(send);
    this.#pending += costOf(send);
  }

  write(send: OutgoingSend, piece: Buffer): void {
    if (this.#closed || send.flag !== undefined) return;
    send.append(piece);
    this.#pending += piece.length + PIECE_OVERHEAD;
    this.#carrier?.wake(this);
  }

  /** The request ends with `flag` after what was written; `#` drops what was not sent yet. */
  end(send: OutgoingSend, flag: ContinuationFlag): void {
    if (this.#closed || send.flag !== undefined) return;
    this.#sent(send.finish(flag), 0);
    this.#carrier?.wake(this);
  }

  /**
   * Takes back what was not sent of a request.
   * @returns true when some of it was: then the peer is told by `#` that the message ends there.
   */
  cancel(send: OutgoingSend): boolean {
    const at = this.#sends.indexOf(send);
    if (at < 0) return false;
    const { pending, pieces } = send;
    if (send.begun) send.finish('#');
    else this.#sends.splice(at, 1);
    this.#sent(pending + (send.begun ? 0 : costOf(send)), pieces);
    if (send.begun) this.#carrier?.wake(this);
    return send.begun;
  }

  /** Stops `source` while the lane is full. */
  holdWhileFull(source: Source): void {
    if (!this.full || this.#closed || this.#held.has(source)) return;
    this.#held.add(source);
    source.hold();
  }

  /** The request to be sent now, if any has something to send. */
  front(): OutgoingSend | undefined {
    for (const send of this.#sends) if (send.sendable) return send;
    return undefined;
  }

  /** For the connection: the next octets of a request, at most `max`; undefined when none wait. */
  take(send: OutgoingSend, max: number): Buffer | undefined {
    const pieces = send.pieces;
    const taken = send.take(max);
    if (taken) this.#sent(taken.length, pieces - send.pieces);
    return taken;
  }

  /** For the connection: the request is done with. */
  done(send: OutgoingSend): void {
    const at = this.#sends.indexOf(send);
    if (at >= 0) {
      this.#sends.splice(at, 1);
      this.#sent(costOf(send), 0);
    }
    send.events.sent();
  }

  /** For the connection: the answer of a chunk is awaited from now on. */
  awaiting(): void {
    this.#unanswered++;
  }

  /** For the connection: that answer came, or will not come. */
  settled(): void {
    this.#unanswered--;
    if (!this.#closed && this.front()) this.#carrier?.wake(this);
  }

  /**
   * Gives up everything: each request is lost, and who was held may go on.
   * @param flag `+` when the rest of a message that is on the wire comes on another way.
   */
  close(flag: ContinuationFlag = '#'): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#carrier?.remove(this, flag);
    this.#pending = 0;
    this.#releaseIfRoom();
    for (const send of this.#sends.splice(0)) send.events.lost();
  }

  #sent(octets: number, pieces: number): void {
    this.#pending = Math.max(0, this.#pending - octets - pieces * PIECE_OVERHEAD);
    this.#releaseIfRoom();
  }

  #releaseIfRoom(): void {
    if (this.#held.size === 0 || this.#pending >= this.#highWater / 2) return;
    const sources = [...this.#held];
    this.#held.clear();
    for (const source of sources) source.release();
  }
}

/** Octets that a request takes while it waits, beside its content. */
function costOf(send: OutgoingSend): number {
  return send.headOctets + REQUEST_OVERHEAD;
}
