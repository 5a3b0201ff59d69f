import type { ParleyError } from '../../base/errors.js';
import { msrpError } from '../errors.js';
import { formatEndLine, type ContinuationFlag, type MessageHead } from '../message/index.js';
import type { Lane, LaneCarrier, Source } from './lane.js';
import type { ConnectionLimits } from './limits.js';
import { OpenChunk } from './open-chunk.js';
import { UNINTERRUPTIBLE_OCTETS, type OutgoingSend } from './outgoing-send.js';
import type { TransactionTable } from './transactions.js';
import type { Wire } from './wire.js';

/** Responses and REPORTs that may wait for the socket before we stop reading what gives rise to them. */
const CONTROL_OCTETS = 65_536;
/** What a chunk costs beside its body, for the size of a batch. */
const CHUNK_OVERHEAD = 256;
/** Beyond the limit by this factor the peer is taken for dead, even while we do not read its answers. */
const TRANSACTIONS_HARD_FACTOR = 16;

/** The connection, as its sending half sees it. */
export interface WriterOwner extends Source {
  /** Whether reading is stopped, so that no answers come. */
  readonly isHeld: boolean;
  destroy(error: ParleyError): void;
}

/**
 * The sending half of a connection: gives its lanes fair turns, cuts long chunks short when anything else waits, and
 * lets responses and REPORTs go before (RFC 4975 §7.1.1).
 */
export class Writer implements LaneCarrier {
  readonly #wire: Wire;
  readonly #limits: ConnectionLimits;
  readonly #transactions: TransactionTable<MessageHead>;
  readonly #owner: WriterOwner;
  /** Lanes with something to send, in the order of their turns. */
  readonly #ready = new Set<Lane>();
  /** Those of them that wait for answers first. */
  readonly #stalled = new Set<Lane>();
  /** Whole messages that may interrupt: responses, REPORTs and other requests without a long body. */
  #control: string[] = [];
  #controlOctets = 0;
  /** Stopped until the whole messages that wait have gone. */
  readonly #held = new Set<Source>();
  #open: OpenChunk | undefined;
  #turnOctets = 0;
  #full = false;
  #scheduled = false;
  #stopped = false;

  constructor(options: {
    wire: Wire;
    limits: ConnectionLimits;
    transactions: TransactionTable<MessageHead>;
    owner: WriterOwner;
  }) {
    this.#wire = options.wire;
    this.#limits = options.limits;
    this.#transactions = options.transactions;
    this.#owner = options.owner;
  }

  /** Sends a whole message as soon as a chunk may be interrupted. */
  say(message: string): void {
    if (this.#stopped) return;
    this.#control.push(message);
    this.#controlOctets += message.length;
    this.holdWhileCrowded(this.#owner);
    this.schedule();
  }

  /** Stops `source` while too many whole messages wait for the socket. */
  holdWhileCrowded(source: Source): void {
    if (this.#controlOctets <= CONTROL_OCTETS || !this.#full || this.#stopped || this.#held.has(source))
      return;
    this.#held.add(source);
    source.hold();
  }

  wake(lane: Lane): void {
    if (!this.#stalled.has(lane)) this.#ready.add(lane);
    this.schedule();
  }

  remove(lane: Lane, flag: ContinuationFlag): void {
    this.#ready.delete(lane);
    this.#stalled.delete(lane);
    // the peer must learn that no more comes here of what was being sent
    if (this.#open?.lane === lane) this.#endOpen(this.#open.send.flag === '#' ? '#' : flag);
    this.schedule();
  }

  /** There may be something to send, or room for it. */
  schedule(): void {
    if (this.#scheduled || this.#full || this.#stopped) return;
    this.#scheduled = true;
    // once for everything that one read of the socket gave rise to
    queueMicrotask(() => {
      this.#scheduled = false;
      this.pump();
    });
  }

  /** The socket has room again. */
  drained(): void {
    this.#full = false;
    this.pump();
  }

  /** Hands the socket what it takes. */
  pump(): void {
    let collected = 0;
    this.#resume();
    while (!this.#full && !this.#stopped) {
      if (this.#control.length > 0 && this.#mayInterrupt()) this.#writeControl();
      const lane = this.#windowIsFull() ? undefined : this.#nextLane();
      const send = lane?.front();
      if (!lane || !send) break;
      if (this.#open?.send !== send) {
        this.#interrupt();
        this.#begin(lane, send);
      }
      collected += CHUNK_OVERHEAD + this.#continue(lane, send);
      if (collected >= this.#limits.batchOctets) {
        this.#full = !this.#wire.flush();
        collected = 0;
      }
    }
    if (!this.#full && !this.#stopped) this.#full = !this.#wire.flush();
  }

  /** Sends nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#ready.clear();
    this.#stalled.clear();
    this.#release();
  }

  #writeControl(): void {
    this.#interrupt();
    for (const message of this.#control) this.#wire.write(message, true);
    this.#control = [];
    this.#controlOctets = 0;
    this.#release();
  }

  #release(): void {
    if (this.#held.size === 0) return;
    const sources = [...this.#held];
    this.#held.clear();
    for (const source of sources) source.release();
  }

  /** A chunk should not be cut below 2048 octets while there is more of it (RFC 4975 §7.1.1). */
  #mayInterrupt(): boolean {
    const open = this.#open;
    return !open || open.octets >= UNINTERRUPTIBLE_OCTETS || !open.send.sendable;
  }

  #windowIsFull(): boolean {
    const { size } = this.#transactions;
    if (size >= this.#limits.transactions * TRANSACTIONS_HARD_FACTOR) {
      this.#owner.destroy(msrpError('msrp-connection-lost', 'the peer answers nothing'));
      return true;
    }
    // while we do not read, answers cannot come, and to wait for them would be to wait for ourselves
    return size >= this.#limits.transactions && !this.#owner.isHeld;
  }

  #nextLane(): Lane | undefined {
    for (const lane of this.#ready) {
      if (!lane.front()) {
        this.#ready.delete(lane);
        this.#turnOctets = 0;
        continue;
      }
      if (!this.#mayBegin(lane)) {
        this.#ready.delete(lane);
        this.#stalled.add(lane);
        this.#turnOctets = 0;
        continue;
      }
      if (this.#turnOctets < this.#limits.quantumOctets) return lane;
      this.#turnOctets = 0;
      if (this.#ready.size === 1) return lane;
      this.#ready.delete(lane);
      this.#ready.add(lane);
    }
    return this.#ready.values().next().value;
  }

  /**
   * Whether a lane may have one more chunk unanswered: while it has fewer than there is room for. A session that answers nothing
   * thus takes half of the window of a shared connection at most, two of them a third each, and the others go on.
   */
  #mayBegin(lane: Lane): boolean {
    if (this.#open?.lane === lane || this.#owner.isHeld) return true;
    return lane.unanswered < this.#limits.transactions - this.#transactions.size;
  }

  /** Lets those that waited for answers try again. */
  #resume(): void {
    for (const lane of this.#stalled) this.#ready.add(lane);
    this.#stalled.clear();
  }

  #begin(lane: Lane, send: OutgoingSend): void {
    const open = new OpenChunk(lane, send);
    this.#open = open;
    this.#wire.write(send.chunkHead(open.transactionId), false);
    if (send.parts.failureReport === 'no') return;
    this.#transactions.begin(open.transactionId, open);
    lane.awaiting();
  }

  /** Writes the next octets of the open chunk, and its end when that is due. @returns octets written. */
  #continue(lane: Lane, send: OutgoingSend): number {
    const open = this.#open!;
    let left = Math.max(UNINTERRUPTIBLE_OCTETS, this.#limits.quantumOctets - this.#turnOctets);
    const before = open.octets;
    for (let piece = lane.take(send, left); piece; piece = left > 0 ? lane.take(send, left) : undefined) {
      this.#wire.write(piece, false);
      open.octets += piece.length;
      left -= piece.length;
    }
    const written = open.octets - before;
    this.#turnOctets += written;
    if (send.flag !== undefined && send.pending === 0) {
      this.#endOpen(send.flag);
      lane.done(send);
    }
    return written;
  }

  #interrupt(): void {
    if (this.#open) this.#endOpen('+');
  }

  #endOpen(flag: ContinuationFlag): void {
    const open = this.#open!;
    this.#open = undefined;
    const endLine = formatEndLine(open.transactionId, flag);
    this.#wire.write(open.send.hasBody ? `\r\n${endLine}` : endLine, true);
    this.#transactions.sent(open.transactionId);
  }
}
