import type { Clock, Timer } from '../../base/clock.js';
import { ParleyError } from '../../base/errors.js';
import { msrpError } from '../errors.js';
import {
  formatEndLine,
  formatRequestHead,
  formatResponse,
  MessageParser,
  newTransactionId,
  type ContinuationFlag,
  type MessageHead,
  type ParserLimits,
} from '../message/index.js';
import type { Lane, LaneCarrier, Source } from './lane.js';
import { OpenChunk } from './open-chunk.js';
import { UNINTERRUPTIBLE_OCTETS, type OutgoingSend } from './outgoing-send.js';
import { TransactionTable, type ClientTransaction } from './transactions.js';
import type { Wire } from './wire.js';

/** Where the body and the end of a request go. */
export interface RequestSink {
  body(piece: Buffer): void;
  end(flag: ContinuationFlag): void;
  /** The connection ended in the middle of the request. */
  lost(): void;
}

/** Who decides about the requests that arrive. */
export interface RequestRouter {
  request(connection: Connection, head: MessageHead, hasBody: boolean): RequestSink;
}

/** Whoever needs the connection to stay: it is told when it ends. */
export interface ConnectionUser {
  connectionLost(error: ParleyError): void;
}

export interface ConnectionLimits {
  readonly parser: ParserLimits;
  /** Without a session for so long the connection is closed, milliseconds (RFC 4976 §5.4). */
  readonly idleMs: number;
  /** From the first octet of a head to its last, and from connecting to the first request (RFC 4976 §6.1). */
  readonly headMs: number;
  /** Requests without an answer; above, nothing new is sent. */
  readonly transactions: number;
  /** Octets collected before they go to the socket. */
  readonly batchOctets: number;
  /** Octets of one lane before the next has its turn. */
  readonly quantumOctets: number;
}

export const defaultConnectionLimits: Omit<ConnectionLimits, 'parser'> = {
  idleMs: 300_000,
  headMs: 30_000,
  transactions: 4096,
  batchOctets: 131_072,
  quantumOctets: 32_768,
};

/** Responses and REPORTs that may wait for the socket before we stop reading what gives rise to them. */
const CONTROL_OCTETS = 65_536;
/** What a chunk costs beside its body, for the size of a batch. */
const CHUNK_OVERHEAD = 256;
/** Beyond the limit by this factor the peer is taken for dead, even while we do not read its answers. */
const TRANSACTIONS_HARD_FACTOR = 16;

type State = 'open' | 'ending' | 'closed';

/**
 * One connection that sessions share (RFC 4975 §5.4): parses what arrives, sends what its lanes hold in fair turns,
 * interrupts long chunks when anything else waits, and matches responses with requests.
 */
export class Connection implements LaneCarrier, Source {
  readonly wire: Wire;
  readonly #clock: Clock;
  readonly #router: RequestRouter;
  readonly #limits: ConnectionLimits;
  readonly #onClosed: (connection: Connection, error: ParleyError | undefined) => void;
  readonly #parser: MessageParser;
  readonly #transactions: TransactionTable<MessageHead>;
  readonly #users = new Set<ConnectionUser>();
  /** Lanes with something to send, in the order of their turns. */
  readonly #ready = new Set<Lane>();
  /** Whole messages that may interrupt: responses, REPORTs and other requests without a long body. */
  #control: string[] = [];
  #controlOctets = 0;
  #holdsItself = false;
  #open: OpenChunk | undefined;
  #turnOctets = 0;
  #sink: RequestSink | undefined;
  #holds = 0;
  #full = false;
  #scheduled = false;
  #state: State = 'open';
  #watch: Timer | undefined;
  #headSince: number;
  #idleSince: number;
  /** Has had a session: until then it is on probation (RFC 4976 §6.1). */
  #proven = false;

  constructor(options: {
    wire: Wire;
    clock: Clock;
    router: RequestRouter;
    limits: ConnectionLimits;
    onClosed: (connection: Connection, error: ParleyError | undefined) => void;
  }) {
    this.wire = options.wire;
    this.#clock = options.clock;
    this.#router = options.router;
    this.#limits = options.limits;
    this.#onClosed = options.onClosed;
    this.#transactions = new TransactionTable(options.clock);
    this.#headSince = this.#idleSince = options.clock.now();
    this.#parser = new MessageParser(
      {
        head: (head, hasBody) => this.#head(head, hasBody),
        body: (piece) => this.#sink?.body(piece),
        end: (flag) => {
          const sink = this.#sink;
          this.#sink = undefined;
          sink?.end(flag);
        },
      },
      options.limits.parser,
    );
    this.#rewatch();
    this.wire.start({
      octets: (octets) => this.#octets(octets),
      drained: () => {
        this.#full = false;
        this.#pump();
      },
      closed: (error) => this.#closed(error),
    });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Sessions bound to it. */
  get users(): number {
    return this.#users.size;
  }

  /** Keeps the connection from being closed as idle. */
  addUser(user: ConnectionUser): void {
    this.#users.add(user);
    this.#proven = true;
  }

  removeUser(user: ConnectionUser): void {
    if (this.#users.delete(user) && this.#users.size === 0) this.#idleSince = this.#clock.now();
  }

  /**
   * Answers a request (RFC 4975 §7.2): a SEND only to the previous hop, anything else along the whole path back.
   * @param fields further header lines, each with CRLF.
   */
  respond(request: MessageHead, status: number, fields = ''): void {
    const { transactionId, fromPath, toPath, method } = request;
    const back = method === 'SEND' ? firstOf(fromPath) : fromPath;
    this.#say(formatResponse(transactionId, status, back, firstOf(toPath), fields));
  }

  /**
   * Sends a request without a long body: REPORT, AUTH, NICKNAME, or a SEND without content.
   * @param fields whole header lines, each with CRLF. @param transaction undefined when no answer is awaited.
   */
  request(
    method: string,
    toPath: string,
    fromPath: string,
    fields: string,
    transaction?: ClientTransaction<MessageHead>,
  ): void {
    const id = newTransactionId();
    if (transaction) {
      this.#transactions.begin(id, transaction);
      this.#transactions.sent(id);
    }
    this.#say(formatRequestHead(id, method, toPath, fromPath, fields) + formatEndLine(id, '$'));
  }

  wake(lane: Lane): void {
    this.#ready.add(lane);
    this.#schedule();
  }

  remove(lane: Lane): void {
    this.#ready.delete(lane);
    // the peer must learn that no more comes of what was being sent
    if (this.#open?.lane === lane) this.#endOpen('#');
    this.#schedule();
  }

  hold(): void {
    if (++this.#holds > 1 || this.#state !== 'open') return;
    this.wire.pause();
    this.#transactions.suspend();
    this.#schedule();
  }

  release(): void {
    if (--this.#holds > 0 || this.#state !== 'open') return;
    this.wire.resume();
    this.#transactions.resume();
    this.#headSince = this.#clock.now();
  }

  /** Sends what waits in its control queue, then ends the connection. */
  end(): void {
    if (this.#state !== 'open') return;
    this.#pump();
    this.#state = 'ending';
    this.wire.end();
    this.#watch?.cancel();
    this.#watch = this.#clock.after(this.#limits.headMs, () => this.wire.destroy());
  }

  /** Ends the connection at once, for a reason that its users are told. */
  destroy(error: ParleyError): void {
    if (this.#state === 'closed') return;
    this.#closed(error);
    this.wire.destroy();
  }

  #octets(octets: Buffer): void {
    if (this.#state !== 'open') return;
    if (!this.#parser.inMessage) this.#headSince = this.#clock.now();
    try {
      this.#parser.push(octets);
    } catch (error) {
      // the framing is lost: nothing that follows could be believed
      this.destroy(
        error instanceof ParleyError ? error : msrpError('msrp-internal', undefined, { cause: error }),
      );
    }
  }

  #head(head: MessageHead, hasBody: boolean): void {
    if (head.method === undefined) {
      if (this.#transactions.answer(head.transactionId, head.status, head)) this.#schedule();
      return;
    }
    this.#sink = this.#router.request(this, head, hasBody);
  }

  #say(message: string): void {
    if (this.#state !== 'open') return;
    this.#control.push(message);
    this.#controlOctets += message.length;
    if (this.#controlOctets > CONTROL_OCTETS && this.#full && !this.#holdsItself) {
      this.#holdsItself = true;
      this.hold();
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#full || this.#state !== 'open') return;
    this.#scheduled = true;
    // once for everything that one read of the socket gave rise to
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    let collected = 0;
    while (!this.#full && this.#state === 'open') {
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
        this.#full = !this.wire.flush();
        collected = 0;
      }
    }
    if (!this.#full && this.#state === 'open') this.#full = !this.wire.flush();
  }

  #writeControl(): void {
    this.#interrupt();
    for (const message of this.#control) this.wire.write(message, true);
    this.#control = [];
    this.#controlOctets = 0;
    if (this.#holdsItself) {
      this.#holdsItself = false;
      this.release();
    }
  }

  /** A chunk should not be cut below 2048 octets while there is more of it (RFC 4975 §7.1.1). */
  #mayInterrupt(): boolean {
    const open = this.#open;
    return !open || open.octets >= UNINTERRUPTIBLE_OCTETS || !open.send.sendable;
  }

  #windowIsFull(): boolean {
    const { size } = this.#transactions;
    if (size >= this.#limits.transactions * TRANSACTIONS_HARD_FACTOR) {
      this.destroy(msrpError('msrp-connection-lost', 'the peer answers nothing'));
      return true;
    }
    // while we do not read, answers cannot come, and to wait for them would be to wait for ourselves
    return size >= this.#limits.transactions && this.#holds === 0;
  }

  #nextLane(): Lane | undefined {
    for (const lane of this.#ready) {
      if (!lane.front()) {
        this.#ready.delete(lane);
        this.#turnOctets = 0;
        continue;
      }
      if (this.#turnOctets < this.#limits.quantumOctets || this.#ready.size === 1) return lane;
      this.#turnOctets = 0;
      this.#ready.delete(lane);
      this.#ready.add(lane);
    }
    return this.#ready.values().next().value;
  }

  #begin(lane: Lane, send: OutgoingSend): void {
    const open = new OpenChunk(lane, send);
    this.#open = open;
    this.wire.write(send.chunkHead(open.transactionId), false);
    if (send.parts.failureReport !== 'no') this.#transactions.begin(open.transactionId, open);
  }

  /** Writes the next octets of the open chunk, and its end when that is due. @returns octets written. */
  #continue(lane: Lane, send: OutgoingSend): number {
    const open = this.#open!;
    let left = Math.max(UNINTERRUPTIBLE_OCTETS, this.#limits.quantumOctets - this.#turnOctets);
    const before = open.octets;
    for (let piece = lane.take(send, left); piece; piece = left > 0 ? lane.take(send, left) : undefined) {
      this.wire.write(piece, false);
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
    this.wire.write(open.send.hasBody ? `\r\n${endLine}` : endLine, true);
    this.#transactions.sent(open.transactionId, open.send.parts.failureReport === 'partial');
  }

  #closed(error: ParleyError | undefined): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#parser.stop();
    this.#watch?.cancel();
    this.#transactions.clear();
    this.#ready.clear();
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.lost();
    const reason = error ?? msrpError('msrp-connection-lost', 'the peer closed it');
    for (const user of [...this.#users]) user.connectionLost(reason);
    this.#users.clear();
    this.#onClosed(this, error);
  }

  /** One timer that looks at everything that takes too long. */
  #rewatch(): void {
    const { headMs, idleMs } = this.#limits;
    this.#watch = this.#clock.after(Math.min(headMs, idleMs), () => {
      const now = this.#clock.now();
      const inHead = this.#holds === 0 && this.#sink === undefined && this.#parser.inMessage;
      const idle = this.#users.size === 0 && now - this.#idleSince >= (this.#proven ? idleMs : headMs);
      if (inHead && now - this.#headSince >= headMs)
        this.destroy(msrpError('msrp-timeout', 'a header section that does not end'));
      else if (idle) this.end();
      else this.#rewatch();
    });
  }
}

/** The leftmost URI of a path. */
export function firstOf(path: string): string {
  const space = path.indexOf(' ');
  return space < 0 ? path : path.slice(0, space);
}
